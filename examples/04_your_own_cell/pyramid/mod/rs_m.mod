TITLE Slow potassium current of a regular spiking cortical cell, gbar p

COMMENT
Pospischil et al., Biological Cybernetics 99:427 (2008), section 2.2, after Yamada et al. (1989): it makes the cell adapt. At 36 degC.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX rs_m
    USEION k READ ek WRITE ik
    RANGE gbar, g, taumax
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 7.5e-5 (S/cm2)
    taumax = 608 (ms)
}

ASSIGNED {
    v (mV)
    ek (mV)
    ik (mA/cm2)
    g (S/cm2)
    pinf
    ptau (ms)
}

STATE { p }

INITIAL {
    rates(v)
    p = pinf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*p
    ik = g*(v - ek)
}

DERIVATIVE states {
    rates(v)
    p' = (pinf - p)/ptau
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    pinf = 1/(1 + exp(-(v + 35)/10))
    ptau = taumax/(3.3*exp((v + 35)/20) + exp(-(v + 35)/20))
}

UNITSON
