TITLE A sinusoidal current into a point, of the test pool: an electrode current that reads t

NEURON {
    THREADSAFE
    POINT_PROCESS ROsc
    ELECTRODE_CURRENT i
    RANGE amp, freq, del, i
}

UNITS {
    (nA) = (nanoamp)
    PI = (pi) (1)
}

PARAMETER {
    amp = 0.01 (nA)
    freq = 40 (/s)
    del = 10 (ms)
}

ASSIGNED { i (nA) }

INITIAL { i = 0 }

UNITSOFF

BREAKPOINT {
    if (t < del) {
        i = 0
    } else {
        i = amp*sin(2*PI*freq*(t - del)*0.001)
    }
}

UNITSON
