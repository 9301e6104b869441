TITLE Fast sodium channel, g = tadj gbar m^3 h

COMMENT
[MS96] Mainen & Sejnowski, Nature 382:363 (1996), with the corrections of ModelDB entry 2488.
vshift is -5 mV in the reconstructed cells of [MS96] and -10 mV elsewhere; it is RANGE so that both may live in one process.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX na
    USEION na READ ena WRITE ina
    RANGE gbar, vshift, g, minf, mtau, hinf, htau, tadj
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (pS) = (picosiemens)
    (um) = (micron)
}

PARAMETER {
    gbar = 0 (pS/um2)
    vshift = -10 (mV)
}

ASSIGNED {
    v (mV)
    celsius (degC)
    ena (mV)
    ina (mA/cm2)
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
    rates(v + vshift)
    m = minf
    h = hinf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = tadj*gbar*m*m*m*h
    ina = (1e-4)*g*(v - ena)
}

DERIVATIVE states {
    rates(v + vshift)
    m' = (minf - m)/mtau
    h' = (hinf - h)/htau
}

UNITSOFF

: Both halves of a gate share one exponential: efun(-z) = exp(z) efun(z). The halves of h have
: different midpoints, -50 and -75 mV: exp((u + 75)/5) = exp((u + 50)/5) exp(5).
PROCEDURE rates(u (mV)) {
    LOCAL z, x, a, b
    z = (u + 35)/9
    x = exp(z)
    b = efun(z, x)
    a = 0.182*9*x*b
    b = 0.124*9*b
    minf = a/(a + b)
    mtau = 1/(tadj*(a + b))

    z = (u + 50)/5
    x = exp(z)
    a = 0.024*5*x*efun(z, x)
    b = 0.0091*5*efun(z + 5, x*148.4131591025766)
    hinf = 1/(1 + exp((u + 65)/6.2))
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
