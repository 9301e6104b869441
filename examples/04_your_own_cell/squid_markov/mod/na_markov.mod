TITLE Sodium channel of the squid axon as a scheme of eight states

COMMENT
Three gates m and one gate h that open and close by themselves, with the rates of Hodgkin & Huxley, J. Physiol. 117:500 (1952):
c2 has two of the m gates open, i2 too, but its h gate is closed. As a scheme: Hille, Ion Channels of Excitable Membranes
(3rd ed. 2001), chapter 18. It conducts in c3.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX na_markov
    USEION na READ ena WRITE ina
    RANGE gbar, g
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER { gbar = 0.12 (S/cm2) }

ASSIGNED {
    v (mV)
    celsius (degC)
    ena (mV)
    ina (mA/cm2)
    g (S/cm2)
    am (/ms)
    bm (/ms)
    ah (/ms)
    bh (/ms)
}

STATE { c0 c1 c2 c3 i0 i1 i2 i3 }

INITIAL {
    SOLVE gates STEADYSTATE sparse
}

BREAKPOINT {
    SOLVE gates METHOD sparse
    g = gbar*c3
    ina = g*(v - ena)
}

KINETIC gates {
    rates(v)
    ~ c0 <-> c1 (3*am, bm)
    ~ c1 <-> c2 (2*am, 2*bm)
    ~ c2 <-> c3 (am, 3*bm)
    ~ i0 <-> i1 (3*am, bm)
    ~ i1 <-> i2 (2*am, 2*bm)
    ~ i2 <-> i3 (am, 3*bm)
    ~ i0 <-> c0 (ah, bh)
    ~ i1 <-> c1 (ah, bh)
    ~ i2 <-> c2 (ah, bh)
    ~ i3 <-> c3 (ah, bh)
    CONSERVE c0 + c1 + c2 + c3 + i0 + i1 + i2 + i3 = 1
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL q
    q = 3^((celsius - 6.3)/10)
    am = q*rise((-v - 40)/10)
    bm = q*4*exp(-(v + 65)/18)
    ah = q*0.07*exp(-(v + 65)/20)
    bh = q/(exp(-(v + 35)/10) + 1)
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
