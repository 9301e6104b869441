TITLE Potassium current of the squid axon, gbar n^4

COMMENT
Hodgkin & Huxley, J. Physiol. 117:500 (1952), eqs. 6, 7, 12 and 13, with v the membrane potential and rest at -65 mV.
Rates grow threefold every 10 degC, from those at 6.3 degC.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX squid_k
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
    ninf
    ntau (ms)
}

STATE { n }

INITIAL {
    rates(v)
    n = ninf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*n*n*n*n
    ik = g*(v - ek)
}

DERIVATIVE states {
    rates(v)
    n' = (ninf - n)/ntau
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL a, b, q
    q = 3^((celsius - 6.3)/10)
    a = 0.1*rise((-v - 55)/10)
    b = 0.125*exp(-(v + 65)/80)
    ntau = 1/(q*(a + b))
    ninf = a/(a + b)
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
