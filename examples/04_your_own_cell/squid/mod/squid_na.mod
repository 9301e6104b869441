TITLE Sodium current of the squid axon, gbar m^3 h

COMMENT
Hodgkin & Huxley, J. Physiol. 117:500 (1952), eqs. 14 to 16, 20, 21, 23 and 24, with v the membrane potential and rest at -65 mV.
Rates grow threefold every 10 degC, from those at 6.3 degC.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX squid_na
    USEION na READ ena WRITE ina
    RANGE gbar, g
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER { gbar = 0.12 (S/cm2) }

ASSIGNED {
    v (mV)
    celsius (degC)
    ena (mV)
    ina (mA/cm2)
    g (S/cm2)
    minf
    hinf
    mtau (ms)
    htau (ms)
}

STATE { m h }

INITIAL {
    rates(v)
    m = minf
    h = hinf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar*m*m*m*h
    ina = g*(v - ena)
}

DERIVATIVE states {
    rates(v)
    m' = (minf - m)/mtau
    h' = (hinf - h)/htau
}

UNITSOFF

PROCEDURE rates(v (mV)) {
    LOCAL a, b, q
    q = 3^((celsius - 6.3)/10)
    a = rise((-v - 40)/10)
    b = 4*exp(-(v + 65)/18)
    mtau = 1/(q*(a + b))
    minf = a/(a + b)
    a = 0.07*exp(-(v + 65)/20)
    b = 1/(exp(-(v + 35)/10) + 1)
    htau = 1/(q*(a + b))
    hinf = a/(a + b)
}

: z/(exp(z) - 1), and its limit near 0
FUNCTION rise(z) {
    if (fabs(z) < 1e-5) {
        rise = 1 - z/2
    } else {
        rise = z/(exp(z) - 1)
    }
}

UNITSON
