: The sodium channel of mod/na.mod (vshift = -5 mV) and the leak, in one mechanism of Arbor's dialect: v and the sums
: of current and conductance are read and written once. gbar and g in S/cm2, gbar with the factor of temperature.
: exprelr(z) = z/(exp(z) - 1), and exprelr(-z) = z + exprelr(z).

NEURON {
    SUFFIX na
    NONSPECIFIC_CURRENT i
    RANGE gbar, g
}

PARAMETER {
    gbar = 0
    g = 0
    ena = 60
    eleak = -70
    tadj = 3.2093639532679714 : 2.3^((37 - 23)/10)
}

STATE { m h }

INITIAL {
    LOCAL z, a, b
    z = (v + 30)/9
    b = exprelr(z)
    a = 0.182*(z + b)
    b = 0.124*b
    m = a/(a + b)
    h = 1/(1 + exp((v + 60)/6.2))
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gbar*m*m*m*h*(v - ena) + g*(v - eleak)
}

DERIVATIVE states {
    LOCAL z, a, b, s, hinf
    z = (v + 30)/9
    b = exprelr(z)
    a = tadj*0.182*9*(z + b)
    b = tadj*0.124*9*b
    m' = a - (a + b)*m

    z = (v + 45)/5
    s = tadj*(0.024*5*(z + exprelr(z)) + 0.0091*5*exprelr(z + 5))
    hinf = 1/(1 + exp((v + 60)/6.2))
    h' = s*(hinf - h)
}
