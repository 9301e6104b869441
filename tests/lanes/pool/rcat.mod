TITLE Low-threshold calcium channel of the test pool: driven by eca, which is a Nernst potential where cai moves

NEURON {
    THREADSAFE
    SUFFIX rcat
    USEION ca READ eca WRITE ica
    RANGE gbar, g
    GLOBAL vm, vh
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 5e-4 (S/cm2)
    vm = -56 (mV)
    vh = -80 (mV)
}

ASSIGNED {
    v (mV)
    celsius (degC)
    eca (mV)
    ica (mA/cm2)
    g (S/cm2)
    qm
    qh
}

STATE {
    m
    h
}

INITIAL {
    qm = 5^((celsius - 24)/10(degC))
    qh = 3^((celsius - 24)/10(degC))
    m = opened(v, vm, -6.2)
    h = opened(v, vh, 4)
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*m^2*h
    ica = g*(v - eca)
}

UNITSOFF

DERIVATIVE states {
    m' = (opened(v, vm, -6.2) - m)/mtau(v)
    h' = (opened(v, vh, 4) - h)/htau(v)
}

FUNCTION opened(v, half, k) {
    opened = 1/(1 + exp((v - half)/k))
}

FUNCTION mtau(v) {
    mtau = (0.6 + 1/(exp(-(v + 132)/16.7) + exp((v + 16.8)/18.2)))/qm
}

FUNCTION htau(v) {
    if (v < -81) {
        htau = exp((v + 467)/66.6)/qh
    } else {
        htau = (28 + exp(-(v + 21.88)/10.2))/qh
    }
}

UNITSON
