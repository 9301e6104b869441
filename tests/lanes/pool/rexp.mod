TITLE Currents of the test pool that have no state: an exponential inward one that saturates, and a rectifier

NEURON {
    THREADSAFE
    SUFFIX rexp
    NONSPECIFIC_CURRENT i
    USEION k READ ek WRITE ik
    RANGE ibar, vt, dt0, gk
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    ibar = 1e-3 (mA/cm2)
    vt = -50 (mV)
    dt0 = 3 (mV)
    gk = 5e-5 (S/cm2)
}

ASSIGNED {
    v (mV)
    ek (mV)
    i (mA/cm2)
    ik (mA/cm2)
}

UNITSOFF

BREAKPOINT {
    LOCAL x
    x = (v - vt)/dt0
    if (x > 30) {
        i = -ibar
    } else {
        x = exp(x)
        i = -ibar*x/(1 + x)
    }
    ik = gk*(v - ek)/sqrt(1 + exp((v - ek - 10)/12))
}

UNITSON
