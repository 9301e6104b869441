TITLE Calcium, potassium and leak of the barnacle's muscle fibre

COMMENT
Morris & Lecar, Biophys. J. 35:193 (1981): calcium follows the voltage at once, potassium by w.
(1 + tanh(x))/2 is written 1/(1 + exp(-2x)).
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX morlec
    NONSPECIFIC_CURRENT i
    RANGE gca, gk, gl, phi
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gca = 0.0044 (S/cm2)
    gk = 0.008 (S/cm2)
    gl = 0.002 (S/cm2)
    phi = 0.04 (1/ms)
}

ASSIGNED {
    v (mV)
    i (mA/cm2)
    winf
    wrate (1/ms)
}

STATE { w }

INITIAL {
    rates(v)
    w = winf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gca/(1 + exp(-(v + 1.2)/9))*(v - 120) + gk*w*(v + 84) + gl*(v + 60)
}

DERIVATIVE states {
    rates(v)
    w' = (winf - w)*wrate
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL x
    winf = 1/(1 + exp(-(v - 2)/15))
    x = exp((v - 2)/60)
    wrate = phi*(x + 1/x)/2
}

UNITSON
