TITLE Potassium channel of the squid axon as a scheme of five states

COMMENT
Four gates that open and close by themselves, with the rates of Hodgkin & Huxley, J. Physiol. 117:500 (1952): k0 has none of them
open, k4 all. As a scheme: Hille, Ion Channels of Excitable Membranes (3rd ed. 2001), chapter 18. It conducts in k4.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX k_markov
    USEION k READ ek WRITE ik
    RANGE gbar, g
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER { gbar = 0.036 (S/cm2) }

ASSIGNED {
    v (mV)
    celsius (degC)
    ek (mV)
    ik (mA/cm2)
    g (S/cm2)
    a (/ms)
    b (/ms)
}

STATE { k0 k1 k2 k3 k4 }

INITIAL {
    SOLVE gates STEADYSTATE sparse
}

BREAKPOINT {
    SOLVE gates METHOD sparse
    g = gbar*k4
    ik = g*(v - ek)
}

KINETIC gates {
    rates(v)
    ~ k0 <-> k1 (4*a, b)
    ~ k1 <-> k2 (3*a, 2*b)
    ~ k2 <-> k3 (2*a, 3*b)
    ~ k3 <-> k4 (a, 4*b)
    CONSERVE k0 + k1 + k2 + k3 + k4 = 1
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL q
    q = 3^((celsius - 6.3)/10)
    a = q*0.1*rise((-v - 55)/10)
    b = q*0.125*exp(-(v + 65)/80)
}

: z/(exp(z) - 1), and its limit near 0
FUNCTION rise(z) {
    if (fabs(z) < 1e-5) {
        rise = 1 - z/2
    } else {
        rise = z/(exp(z) - 1)
    }
}

UNITSON
