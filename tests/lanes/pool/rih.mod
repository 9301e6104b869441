TITLE Mixed-cation current of the test pool: a nonspecific current, rates by FUNCTIONs, tanh, sqrt and a floor

NEURON {
    THREADSAFE
    SUFFIX rih
    NONSPECIFIC_CURRENT ih
    RANGE gbar, eh, share, vh
    GLOBAL taumin
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S) = (siemens)
}

PARAMETER {
    gbar = 1e-4 (S/cm2)
    eh = -35 (mV)
    share = 0.7
    vh = -82 (mV)
    taumin = 2 (ms)
}

ASSIGNED {
    v (mV)
    celsius (degC)
    ih (mA/cm2)
    warm
}

STATE {
    fast
    slow
}

INITIAL {
    warm = sqrt(4.5^((celsius - 33)/10(degC)))
    fast = opening(v)/(opening(v) + closing(v))
    slow = rest(v)
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    ih = gbar*(share*fast + (1 - share)*slow)*(v - eh)
}

UNITSOFF

DERIVATIVE states {
    LOCAL up, down, tau
    up = opening(v)
    down = closing(v)
    fast' = up*(1 - fast) - down*fast
    tau = span(v)
    slow' = (rest(v) - slow)/tau
}

FUNCTION opening(v) {
    opening = warm*0.006*exp(-(v - vh)/14)/(1 + 0.05*exp(-(v - vh)/14))
}

FUNCTION closing(v) {
    closing = warm*0.02*exp((v - vh)/18)/(1 + 0.02*exp((v - vh)/18))
}

FUNCTION rest(v) {
    rest = 0.5*(1 - tanh((v - vh)/15))
}

FUNCTION span(v) {
    LOCAL x
    x = (v - vh)/25
    span = 120/(1 + x*x)/warm
    if (span < taumin) {
        span = taumin
    }
}

UNITSON
