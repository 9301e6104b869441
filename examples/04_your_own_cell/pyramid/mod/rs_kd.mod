TITLE Delayed rectifier of a regular spiking cortical cell, gbar n^4

COMMENT
Pospischil et al., Biological Cybernetics 99:427 (2008), section 2.1, after Traub & Miles (1991); vt moves its threshold. At 36 degC.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX rs_kd
    USEION k READ ek WRITE ik
    RANGE gbar, g, vt
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 0.006 (S/cm2)
    vt = -56.2 (mV)
}

ASSIGNED {
    v (mV)
    ek (mV)
    ik (mA/cm2)
    g (S/cm2)
    ninf
    ntau (ms)
}

STATE { n }

INITIAL {
    rates(v - vt)
    n = ninf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*n*n*n*n
    ik = g*(v - ek)
}

DERIVATIVE states {
    rates(v - vt)
    n' = (ninf - n)/ntau
}

UNITSOFF

PROCEDURE rates(u (mV)) {
    LOCAL a, b
    a = 0.032*5*rise((15 - u)/5)
    b = 0.5*exp((10 - u)/40)
    ntau = 1/(a + b)
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
