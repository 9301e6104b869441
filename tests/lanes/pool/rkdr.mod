TITLE Delayed rectifier of the test pool: its rates come from a TABLE that depends on celsius

NEURON {
    THREADSAFE
    SUFFIX rkdr
    USEION k READ ek WRITE ik
    RANGE gbar, gk, ninf, ntau
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER { gbar = 0.02 (S/cm2) <0,1e9> }

ASSIGNED {
    v (mV)
    celsius (degC)
    ek (mV)
    ik (mA/cm2)
    gk (S/cm2)
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
    gk = gbar*n^4
    ik = gk*(v - ek)
}

DERIVATIVE states {
    rates(v)
    n' = (ninf - n)/ntau
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL alpha, beta, q10
    TABLE ninf, ntau DEPEND celsius FROM -120 TO 80 WITH 400
    q10 = 2.5^((celsius - 20)/10)
    alpha = 0.03*vtrap(-(v + 48), 9)
    beta = 0.45*exp(-(v + 58)/35)
    ntau = 1/(q10*(alpha + beta))
    ninf = alpha/(alpha + beta)
}

FUNCTION vtrap(x, y) {
    if (fabs(x/y) < 1e-6) {
        vtrap = y*(1 - x/y/2)
    } else {
        vtrap = x/(exp(x/y) - 1)
    }
}

UNITSON
