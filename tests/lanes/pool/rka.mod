TITLE A-type potassium channel of the test pool: IF, ELSE IF and ELSE in the rates, powers that are no whole numbers

NEURON {
    THREADSAFE
    SUFFIX rka
    USEION k READ ek WRITE ik
    RANGE gbar, vhalf, slope, i
    GLOBAL taumin
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 0.005 (S/cm2)
    vhalf = -55 (mV)
    slope = 14 (mV)
    taumin = 0.3 (ms)
}

ASSIGNED {
    v (mV)
    celsius (degC)
    ek (mV)
    ik (mA/cm2)
    i (mA/cm2)
    ainf
    atau (ms)
    binf
    btau (ms)
}

STATE {
    a
    b
}

INITIAL {
    settle(v)
    a = ainf
    b = binf
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar*a^3*b*(v - ek)
    ik = i
}

DERIVATIVE states {
    settle(v)
    a' = (ainf - a)/atau
    b' = (binf - b)/btau
}

UNITSOFF

PROCEDURE settle(v (mV)) {
    LOCAL q
    q = 3^((celsius - 24)/10)
    ainf = (1/(1 + exp(-(v - vhalf)/slope)))^0.75
    atau = (0.4 + 1.2/(exp((v + 36)/20) + exp(-(v + 80)/13)))/q
    if (atau < taumin) {
        atau = taumin
    }
    binf = 1/(1 + exp((v + 78)/6.5))
    if (v < -65) {
        btau = 19
    } else if (v < -40 && v >= -65) {
        btau = 19 + 0.4*(v + 65)
    } else {
        btau = 29 + 5*tanh((v + 40)/30)
    }
    btau = btau/q
}

UNITSON
