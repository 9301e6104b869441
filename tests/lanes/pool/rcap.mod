TITLE Calcium under the membrane of the test pool: cai itself is the state

NEURON {
    THREADSAFE
    SUFFIX rcap
    USEION ca READ ica, cai WRITE cai
    RANGE depth, tau, rest, share
}

UNITS {
    (mA) = (milliamp)
    (mM) = (milli/liter)
    (um) = (micron)
    FARADAY = (faraday) (coulomb)
}

PARAMETER {
    depth = 0.2 (um)
    tau = 20 (ms)
    rest = 1e-4 (mM)
    share = 0.05 : of what flows in, what is not bound
}

ASSIGNED {
    ica (mA/cm2)
}

STATE { cai (mM) }

INITIAL {
    cai = rest
}

BREAKPOINT {
    SOLVE balance METHOD cnexp
}

UNITSOFF

DERIVATIVE balance {
    LOCAL inflow
    inflow = -1e4*share*ica/(2*FARADAY*depth)
    if (inflow < 0) {
        inflow = 0
    }
    cai' = inflow - (cai - rest)/tau
}

UNITSON
