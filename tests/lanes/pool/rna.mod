TITLE Transient sodium channel of the test pool: guarded rates, tadj set by INITIAL only, GLOBAL and RANGE parameters

NEURON {
    THREADSAFE
    SUFFIX rna
    USEION na READ ena WRITE ina
    RANGE gbar, vshift, g
    GLOBAL q10, thalf, hslope
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 0.05 (S/cm2)
    vshift = 0 (mV)
    q10 = 2.3
    thalf = -37 (mV)
    hslope = 6.2 (mV)
}

ASSIGNED {
    v (mV)
    celsius (degC)
    ena (mV)
    ina (mA/cm2)
    g (S/cm2)
    tadj
    minf
    mtau (ms)
    hinf
    htau (ms)
}

STATE { m h }

INITIAL {
    tadj = q10^((celsius - 23)/10(degC))
    rates(v - vshift)
    m = minf
    h = hinf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*m*m*m*h
    ina = g*(v - ena)
}

DERIVATIVE states {
    rates(v - vshift)
    m' = (minf - m)/mtau
    h' = (hinf - h)/htau
}

UNITSOFF

PROCEDURE rates(vm) {
    LOCAL a, b
    a = 0.2*vtrap(thalf - vm, 9)
    b = 0.13*vtrap(vm - thalf, 9)
    mtau = 1/(a + b)/tadj
    minf = a/(a + b)
    a = 0.025*vtrap(-50 - vm, 5)
    b = 0.0095*vtrap(vm + 75, 5)
    htau = 1/(a + b)/tadj
    if (htau < 0.05) { htau = 0.05 }
    hinf = 1/(1 + exp((vm + 64)/hslope))
}

FUNCTION vtrap(x, y) {
    if (fabs(x/y) < 1e-6) {
        vtrap = y*(1 - x/y/2)
    } else {
        vtrap = x/(exp(x/y) - 1)
    }
}

UNITSON
