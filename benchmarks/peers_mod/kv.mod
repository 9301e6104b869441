: The delayed rectifier of mod/kv.mod in Arbor's dialect; gbar in S/cm2 with the factor of temperature.

NEURON {
    SUFFIX kv
    NONSPECIFIC_CURRENT i
    RANGE gbar
}

PARAMETER {
    gbar = 0
    ek = -90
    tadj = 3.2093639532679714 : 2.3^((37 - 23)/10)
}

STATE { n }

INITIAL {
    LOCAL z, a, b
    z = (v - 25)/9
    b = exprelr(z)
    a = 0.02*(z + b)
    b = 0.002*b
    n = a/(a + b)
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar*n*(v - ek)
}

DERIVATIVE states {
    LOCAL z, a, b
    z = (v - 25)/9
    b = exprelr(z)
    a = tadj*0.02*9*(z + b)
    b = tadj*0.002*9*b
    n' = a - (a + b)*n
}
