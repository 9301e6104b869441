TITLE High-voltage-activated calcium channel, g = tadj gbar m^2 h

COMMENT
[MS96] Mainen & Sejnowski, Nature 382:363 (1996), with the corrections of ModelDB entry 2488.
eca is fixed (by the cell), not a Nernst potential.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX ca
    USEION ca READ eca WRITE ica
    RANGE gbar, g, minf, mtau, hinf, htau, tadj
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (pS) = (picosiemens)
    (um) = (micron)
}

PARAMETER { gbar = 0 (pS/um2) }

ASSIGNED {
    v (mV)
    celsius (degC)
    eca (mV)
    ica (mA/cm2)
    g (pS/um2)
    minf
    mtau (ms)
    hinf
    htau (ms)
    tadj
}

STATE { m h }

INITIAL {
    tadj = 2.3^((celsius - 23)/10(degC)) : rates and conductance alike [MS96]
    rates(v)
    m = minf
    h = hinf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = tadj*gbar*m*m*h
    ica = (1e-4)*g*(v - eca)
}

DERIVATIVE states {
    rates(v)
    m' = (minf - m)/mtau
    h' = (hinf - h)/htau
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL z, a, b
    z = -(v + 27)/3.8
    a = 0.055*3.8*efun(z, exp(z))
    b = 0.94*exp((-75 - v)/17)
    minf = a/(a + b)
    mtau = 1/(tadj*(a + b))

    a = 0.000457*exp((-13 - v)/50)
    b = 0.0065/(exp((-v - 15)/28) + 1)
    hinf = a/(a + b)
    htau = 1/(tadj*(a + b))
}

: z/(exp(z) - 1) with x = exp(z); near 0 its limit, whose error z^2/12 is below rounding there.
FUNCTION efun(z, x) {
    if (fabs(z) < 1e-5) {
        efun = 1 - z/2
    } else {
        efun = z/(x - 1)
    }
}

UNITSON
