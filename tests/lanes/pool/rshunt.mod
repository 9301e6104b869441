TITLE A leak at a point, of the test pool, that opens while v is away from its reversal

NEURON {
    THREADSAFE
    POINT_PROCESS RShunt
    NONSPECIFIC_CURRENT i
    RANGE g, e, tau, s, i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    g = 1e-3 (uS)
    e = -65 (mV)
    tau = 10 (ms)
}

ASSIGNED {
    v (mV)
    i (nA)
}

STATE { s }

INITIAL {
    s = opened(v)
}

BREAKPOINT {
    SOLVE states METHOD euler
    i = g*(0.5 + s)*(v - e)
}

UNITSOFF

DERIVATIVE states {
    s' = (opened(v) - s)/tau
}

FUNCTION opened(v) {
    LOCAL away
    away = fabs(v - e)
    opened = away/(20 + away)
}

UNITSON
