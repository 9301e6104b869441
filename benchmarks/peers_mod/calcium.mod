: km, ca, cad and kca of mod/ in one mechanism of Arbor's dialect: they always go together, and apart they would hand
: calcium over through Arbor's ions. gkm, gca and gkca in S/cm2 with the factor of temperature, c in mM.

NEURON {
    SUFFIX calcium
    NONSPECIFIC_CURRENT i
    RANGE gkm, gkca, gca
}

PARAMETER {
    gkm = 0
    gkca = 0
    gca = 0
    ek = -90
    eca = 140
    taur = 200
    cainf = 1e-4
    tadj = 3.2093639532679714 : 2.3^((37 - 23)/10)
}

STATE { k n m h c }

ASSIGNED { drive }

INITIAL {
    LOCAL z, a, b
    z = (v + 30)/9
    b = exprelr(z)
    k = (z + b)/(z + b + b)
    a = 0.055*3.8*exprelr(-(v + 27)/3.8)
    b = 0.94*exp((-75 - v)/17)
    m = a/(a + b)
    a = 0.000457*exp((-13 - v)/50)
    b = 0.0065/(exp((-v - 15)/28) + 1)
    h = a/(a + b)
    c = cainf
    n = 0.01*cainf/(0.01*cainf + 0.02)
    drive = 0
}

: 0.51821348... = 1e4/(2 F depth). The calcium current stands in i once more, since modcc does not differentiate a LOCAL.
BREAKPOINT {
    SOLVE states METHOD cnexp
    LOCAL ica
    ica = gca*m*m*h*(v - eca)
    drive = max(0, -ica*0.5182134828131086)
    i = (gkm*k + gkca*n)*(v - ek) + gca*m*m*h*(v - eca)
}

: c before n, as NEURON does.
DERIVATIVE states {
    LOCAL z, a, b
    z = (v + 30)/9
    b = exprelr(z)
    a = tadj*0.001*9*(z + b)
    b = tadj*0.001*9*b
    k' = a - (a + b)*k

    c' = drive + (cainf - c)/taur
    a = tadj*0.01*c
    n' = a - (a + tadj*0.02)*n

    a = tadj*0.055*3.8*exprelr(-(v + 27)/3.8)
    b = tadj*0.94*exp((-75 - v)/17)
    m' = a - (a + b)*m

    a = tadj*0.000457*exp((-13 - v)/50)
    b = tadj*0.0065/(exp((-v - 15)/28) + 1)
    h' = a - (a + b)*h
}
