TITLE Calcium-dependent potassium channel of the test pool: a Hill function of cai and a logarithm

NEURON {
    THREADSAFE
    SUFFIX rsk
    USEION k READ ek WRITE ik
    USEION ca READ cai
    RANGE gbar, kd, hill, w
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (mM) = (milli/liter)
    (S) = (siemens)
}

PARAMETER {
    gbar = 1e-3 (S/cm2)
    kd = 5e-4 (mM)
    hill = 3.6
}

CONSTANT { slowest = 25 }

ASSIGNED {
    v (mV)
    cai (mM)
    ek (mV)
    ik (mA/cm2)
    winf
    wtau (ms)
}

STATE { w }

INITIAL {
    rates(cai)
    w = winf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    ik = gbar*w*(v - ek)
}

DERIVATIVE states {
    rates(cai)
    w' = (winf - w)/wtau
}

UNITSOFF

PROCEDURE rates(c) {
    LOCAL r
    r = (c/kd)^hill
    winf = r/(1 + r)
    wtau = slowest/(1 + log(1 + 4*c/kd))
    if (!(wtau > 4)) {
        wtau = 4
    }
}

UNITSON
