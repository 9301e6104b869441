TITLE High-voltage calcium channel of the test pool: Goldman-Hodgkin-Katz flux, not linear in v, slowed by calcium

NEURON {
    THREADSAFE
    SUFFIX rcal
    USEION ca READ cai, cao WRITE ica
    RANGE pbar, ki, minf, mtau
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (mM) = (milli/liter)
    FARADAY = (faraday) (coulomb)
    R = (k-mole) (joule/degC)
}

PARAMETER {
    pbar = 1e-5 (cm/s)
    ki = 0.001 (mM)
}

ASSIGNED {
    v (mV)
    celsius (degC)
    cai (mM)
    cao (mM)
    ica (mA/cm2)
    minf
    mtau (ms)
}

STATE { m }

INITIAL {
    rates(v)
    m = minf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    ica = pbar*m*m*ki/(ki + cai)*ghk(v, cai, cao)
}

DERIVATIVE states {
    rates(v)
    m' = (minf - m)/mtau
}

UNITSOFF

: 2 F z (ci - co exp(-z))/(1 - exp(-z)) with z = 2 F v/(R T), in mA/cm2 for a permeability in cm/s
FUNCTION ghk(v, ci, co) {
    LOCAL z
    z = 2e-3*FARADAY*v/(R*(celsius + 273.15))
    ghk = 2e-3*FARADAY*(ci*efun(-z) - co*efun(z))
}

FUNCTION efun(z) {
    if (fabs(z) < 1e-4) {
        efun = 1 - z/2
    } else {
        efun = z/(exp(z) - 1)
    }
}

PROCEDURE rates(v (mV)) {
    LOCAL a, b
    a = 0.09*efun(-(v + 22)/4.5)*4.5
    b = 0.35*exp(-(v + 60)/25)
    mtau = 1/(a + b)
    if (mtau < 0.2) {
        mtau = 0.2
    }
    minf = a/(a + b)
}

UNITSON
