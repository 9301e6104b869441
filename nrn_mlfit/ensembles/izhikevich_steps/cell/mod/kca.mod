TITLE Calcium-dependent potassium channel, g = tadj gbar n

COMMENT
[MS96] Mainen & Sejnowski, Nature 382:363 (1996), with the corrections of ModelDB entry 2488.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX kca
    USEION k READ ek WRITE ik
    USEION ca READ cai
    RANGE gbar, g, ninf, ntau, tadj
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (mM) = (milli/liter)
    (pS) = (picosiemens)
    (um) = (micron)
}

PARAMETER { gbar = 0 (pS/um2) }

ASSIGNED {
    v (mV)
    celsius (degC)
    cai (mM)
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
    rates(cai)
    n = ninf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = tadj*gbar*n
    ik = (1e-4)*g*(v - ek)
}

DERIVATIVE states {
    rates(cai)
    n' = (ninf - n)/ntau
}

UNITSOFF

PROCEDURE rates(cai (mM)) {
    LOCAL a, b
    a = 0.01*cai : 1/(mM ms)
    b = 0.02
    ninf = a/(a + b)
    ntau = 1/(tadj*(a + b))
}

UNITSON
