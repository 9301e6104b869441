TITLE Sodium current of a regular spiking cortical cell, gbar m^3 h

COMMENT
Pospischil et al., Biological Cybernetics 99:427 (2008), section 2.1, after Traub & Miles (1991); vt moves its threshold. At 36 degC.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX rs_na
    USEION na READ ena WRITE ina
    RANGE gbar, g, vt
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 0.056 (S/cm2)
    vt = -56.2 (mV)
}

ASSIGNED {
    v (mV)
    ena (mV)
    ina (mA/cm2)
    g (S/cm2)
    minf
    hinf
    mtau (ms)
    htau (ms)
}

STATE { m h }

INITIAL {
    rates(v - vt)
    m = minf
    h = hinf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*m*m*m*h
    ina = g*(v - ena)
}

DERIVATIVE states {
    rates(v - vt)
    m' = (minf - m)/mtau
    h' = (hinf - h)/htau
}

UNITSOFF

PROCEDURE rates(u (mV)) {
    LOCAL a, b
    a = 0.32*4*rise((13 - u)/4)
    b = 0.28*5*rise((u - 40)/5)
    mtau = 1/(a + b)
    minf = a/(a + b)
    a = 0.128*exp((17 - u)/18)
    b = 4/(1 + exp((40 - u)/5))
    htau = 1/(a + b)
    hinf = a/(a + b)
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
