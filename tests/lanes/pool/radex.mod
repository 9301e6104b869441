TITLE An integrate-and-fire neuron of the test pool: adaptive and exponential, Euler steps, reset in the step after a spike

COMMENT
The membrane potential V and the adaptation w belong to the point process. A spike is one step at `peak`.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS RAdex
    RANGE C, gl, el, vt, slope, a, b, tauw, reset, peak, I, V, w
}

UNITS { (mV) = (millivolt) }

PARAMETER {
    C = 0.2
    gl = 0.01
    el = -70 (mV)
    vt = -50 (mV)
    slope = 2 (mV)
    a = 0.002
    b = 0.05
    tauw = 60 (ms)
    reset = -58 (mV)
    peak = 20 (mV)
    I = 0
}

ASSIGNED {
    dt (ms)
    V (mV)
    w
}

INITIAL {
    V = el
    w = 0
}

BREAKPOINT {
    SOLVE advance
}

UNITSOFF

PROCEDURE advance() {
    LOCAL dV, dw, x
    if (V >= peak) {
        V = reset
        w = w + b
    }
    x = (V - vt)/slope
    if (x > 10) { x = 10 }
    dV = (-gl*(V - el) + gl*slope*exp(x) - w + I)/C
    dw = (a*(V - el) - w)/tauw
    V = V + dt*dV
    w = w + dt*dw
    if (V > peak) { V = peak }
}

UNITSON
