TITLE Izhikevich's simple spiking neuron

COMMENT
[Izh03] Izhikevich, IEEE Trans. Neural Networks 14:1569 (2003):
    V' = 0.04 V^2 + 5 V + 140 - u + I,  u' = a (b V - u);  at V >= 30:  V <- c, u <- u + d
V and u belong to the point process; the section that it sits in takes no part.

Fixed steps by Heun's rule, with the crossing of 30 found by linear interpolation and the rest of that step taken from
the reset point. V rises by several mV a step there: a reset at the end of the step would delay every spike by up
to one dt, these delays add up, and halving dt would move the last spike. So the error falls with dt^2.
Not for the variable step.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS Izhikevich
    RANGE a, b, c, d, I, V0, V, u
}

UNITS { (mV) = (millivolt) }

PARAMETER {
    a = 0.02 (/ms)
    b = 0.2
    c = -65 (mV)
    d = 8 (mV)
    I = 0 : in the paper's own units, mV/ms
    V0 = -70 (mV) : V at the start; u starts at b V0
}

ASSIGNED {
    dt (ms)
    V (mV)
    u (mV)
    Iold
}

INITIAL {
    V = V0
    u = b*V0
    Iold = I
}

BREAKPOINT {
    SOLVE advance
}

UNITSOFF

PROCEDURE advance() {
    LOCAL dV, du, Vnew, unew, part
    dV = slope(V, u, Iold)
    du = a*(b*V - u)
    Vnew = V + dt*dV
    unew = u + dt*du
    dV = (dV + slope(Vnew, unew, I))/2
    du = (du + a*(b*Vnew - unew))/2
    Vnew = V + dt*dV
    unew = u + dt*du
    if (Vnew >= 30) {
        part = (30 - V)/(Vnew - V) : of the step, spent below 30
        u = u + part*dt*du + d
        part = (1 - part)*dt : ms, left after the reset
        Vnew = c + part*slope(c, u, I)
        unew = u + part*a*(b*c - u)
    }
    V = Vnew
    u = unew
    Iold = I
}

FUNCTION slope(V, u, I) {
    slope = 0.04*V*V + 5*V + 140 - u + I
}

UNITSON
