TITLE Calcium in a thin shell below the membrane: inflow and first-order removal

COMMENT
[MS96] Mainen & Sejnowski, Nature 382:363 (1996), with the corrections of ModelDB entry 2488; after Destexhe et al. (1993).
Outward calcium current removes nothing: the drive is max(0, drive). (x + |x|)/2 is that maximum without a branch.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX cad
    USEION ca READ ica WRITE cai
    RANGE depth, taur, cainf, ca
}

UNITS {
    (mA) = (milliamp)
    (mM) = (milli/liter)
    (um) = (micron)
    FARADAY = (faraday) (coulomb)
}

PARAMETER {
    depth = 0.1 (um)
    taur = 200 (ms)
    cainf = 1e-4 (mM)
}

ASSIGNED {
    ica (mA/cm2)
    cai (mM)
    drive (mM/ms)
}

STATE { ca (mM) }

INITIAL {
    ca = cainf
    cai = ca
}

BREAKPOINT {
    SOLVE state METHOD cnexp
}

UNITSOFF

DERIVATIVE state {
    drive = -1e4*ica/(2*FARADAY*depth) : 1e4: mA/cm2/um to mM/ms, times F
    ca' = (drive + fabs(drive))/2 + (cainf - ca)/taur
    cai = ca
}

UNITSON
