TITLE Slow (M-type) potassium channel, g = tadj gbar n

COMMENT
[MS96] Mainen & Sejnowski, Nature 382:363 (1996), with the corrections of ModelDB entry 2488.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX km
    USEION k READ ek WRITE ik
    RANGE gbar, g, ninf, ntau, tadj
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (pS) = (picosiemens)
    (um) = (micron)
}

PARAMETER { gbar = 0 (pS/um2) }

ASSIGNED {
    v (mV)
    celsius (degC)
    ek (mV)
    ik (mA/cm2)
    g (pS/um2)
    ninf
    ntau (ms)
    tadj
}

STATE { n }

INITIAL {
    tadj = 2.3^((celsius - 23)/10(degC)) : rates and conductance alike [MS96]
    rates(v)
    n = ninf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = tadj*gbar*n
    ik = (1e-4)*g*(v - ek)
}

DERIVATIVE states {
    rates(v)
    n' = (ninf - n)/ntau
}

UNITSOFF

: Both halves share one exponential: efun(-z) = exp(z) efun(z).
PROCEDURE rates(v (mV)) {
    LOCAL z, x, a, b
    z = (v + 30)/9
    x = exp(z)
    b = efun(z, x)
    a = 0.001*9*x*b
    b = 0.001*9*b
    ninf = a/(a + b)
    ntau = 1/(tadj*(a + b))
}

: z/(exp(z) - 1) with x = exp(z); near 0 its limit, whose error z^2/12 is below rounding there.
FUNCTION efun(z, x) {
    if (fabs(z) < 1e-5) {
        efun = 1 - z/2
    } else {
        efun = z/(x - 1)
    }
}

UNITSON
