"""The mainen cell in Jaxley on the CPU, for benchmarks/peers.py, run by the Python that has Jaxley.

All sets of a batch are one `vmap` under `jit`, without checkpoints. float32, Jaxley's own; with the option `f64` float64.
Kept from Jaxley: its integrator, its solver and its channel currents. Ours are the mechanisms, the way the compartments
hang together (Star), and that the solver takes two compartments a level: fastest from 64 cells a batch on.
"""

import functools
import os
from importlib.metadata import version

import numpy as np
from peers_child import serve, vector_bits

TAU, REST, FARADAY, DEPTH = 200, 1e-4, 96485.33212331001, 0.1  # cad: ms, mM, C/mol, um
COLUMNS = {"cm": "capacitance", "leak": "gleak", **{name: f"g{name}" for name in ("na", "kv", "km", "kca", "ca")}}


def prepare(problem, _folder, options, cells):
    flags = ["--xla_cpu_multi_thread_eigen=false", f"--xla_cpu_prefer_vector_width={vector_bits()}"]
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags])
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_ENABLE_X64"] = str(int("f64" in options))
    engine = Engine(problem, np.float64 if "f64" in options else np.float32)
    precision = "f64" if "f64" in options else "f32"
    about = {"version": version("jaxley"), "precision": precision, "lanes": vector_bits() // int(precision[1:])}
    return about, engine.load, engine.run


class Engine:
    def __init__(self, problem, dtype):
        import jaxley  # isort: skip (it is what is not installed, if anything)
        import jax

        self.problem, self.dtype, self.array = problem, dtype, jax.numpy.asarray
        self.section, self.cell = build(jaxley, problem)
        homes = {"kv": "kv", "km": "ca", "kca": "ca", "ca": "ca"}  # what has ca has all of these
        self.homes = {key: self.having(mechanism) for key, mechanism in homes.items()}
        for channel in channels(jax.numpy, problem.heat, jaxley.channels.Channel):
            self.view(channel.home).insert(channel())
        soma = self.cell.select(nodes=[0])
        soma.record("v", verbose=False)
        soma.stimulate(self.array(problem.midway(), dtype), verbose=False)
        self.cell.set("v", -70.0)
        self.cell.init_states(delta_t=problem.dt)
        self.cell._init_solver_jaxley_dhs_solve(allowed_nodes_per_level=2, root=middle(self.cell))
        self.simulate = jax.jit(jax.vmap(functools.partial(self.simulate_one, jaxley.integrate)))

    def having(self, mechanism):
        return [k for k, s in enumerate(self.section) if mechanism in self.problem.sections[s]["mechanisms"]]

    def view(self, name):
        return self.cell.select(nodes=self.homes[name]) if name in self.homes else self.cell

    def simulate_one(self, integrate, parameters):
        state = None
        for name, values in parameters.items():
            state = self.view(name).data_set(COLUMNS[name], values, state)
        volts = integrate(self.cell, param_state=state, delta_t=self.problem.dt, voltage_solver="jaxley.dhs.cpu")
        return volts[0, self.problem.start :]

    def load(self, rows):
        problem = self.problem
        values = {name: problem.siemens(name, rows) for name in COLUMNS if name not in ("cm", "leak")}
        values |= {"cm": problem.values["cm"][rows], "leak": problem.values["g_pas"][rows]}
        here = {name: self.section[self.homes.get(name, slice(None))] for name in values}
        self.parameters = {name: self.array(value[:, here[name]], self.dtype) for name, value in values.items()}

    def run(self):
        return np.asarray(self.simulate(self.parameters))


# Morphology


def build(jaxley, problem):
    """(section of each compartment, cell): the soma and each unbranched chain of sections from it are branches."""
    chains = [[0], *(chain(problem, child) for child in problem.children(0))]
    section, count = [], []
    for names in chains:
        parts = [k for k in names for _ in problem.sections[k]["diameters"]]
        section, count = [*section, *parts], [*count, len(parts)]
    branches = [jaxley.Branch(jaxley.Compartment(), ncomp=n) for n in count]
    cell = star_class(jaxley)(branches, parents=[-1] + [0] * (len(branches) - 1))
    measures(problem, section, cell.base.nodes, np.cumsum(count)[:-1])
    return np.array(section), cell


def middle(cell):
    """The compartment halfway along the longest path: from there the solver's two sides are done in half the levels."""
    firsts, counts = cell.cumsum_ncomp[:-1], cell.ncomp_per_branch
    longest = int(np.argmax(counts))
    beyond = np.sort(counts)[-2] + 1  # the second longest branch and the soma
    return int(firsts[longest] + (counts[longest] - beyond) // 2)


def chain(problem, section):
    below = problem.children(section)
    if len(below) > 1:
        raise ValueError("only the soma may branch")
    return [section, *(chain(problem, below[0]) if below else [])]


def measures(problem, section, nodes, firsts):
    """Set the sizes. The soma's own axial resistance is put to what leaves from its ends (see Star)."""
    inside = problem.sections
    radius = np.array([d / 2 for k in dict.fromkeys(section) for d in inside[k]["diameters"]])
    length = np.array([inside[k]["L"] / inside[k]["nseg"] for k in section])
    into = length / 2 / (np.pi * radius**2)
    out, half = into.copy(), into[0]
    into[0] = out[0] = 0
    for first in firsts:
        at = inside[section[first]]["at"]
        into[first] += half * (at != 0.5) * sum(inside[k]["at"] == at for k in problem.children(0))
    nodes["radius"], nodes["length"] = radius, length
    nodes["area"], nodes["volume"] = 2 * np.pi * radius * length, np.pi * radius**2 * length
    nodes["resistive_load_in"], nodes["resistive_load_out"] = into, out
    nodes["axial_resistivity"] = inside[0]["Ra"]


def star_class(jaxley):
    import jax.numpy as jnp
    import pandas

    class Star(jaxley.Cell):
        """A cell whose branches all hang directly on the one compartment of the first, without branch points.

        Jaxley lets branches leave from ends only, here the axon leaves from the soma's middle; and half a soma is so
        small a resistance that float32 loses most of a mV across it. Where two like branches leave from one end (the
        basal dendrites), half the soma carries twice the current of either, hence counts twice for each: exact.
        """

        def _init_comp_graph(self):
            super()._init_comp_graph()
            count = int(self.cumsum_ncomp[-1])
            edges = self._comp_edges
            edges = edges[(edges.source < count) & (edges.sink < count)]
            firsts = self.cumsum_ncomp[1:-1]
            soma, one = np.zeros_like(firsts), np.ones_like(firsts)
            ends = {"source": np.r_[soma, firsts], "sink": np.r_[firsts, soma], "ordered": np.r_[one, soma], "type": 0}
            self._comp_edges = pandas.concat([edges, pandas.DataFrame(ends)], ignore_index=True)
            self._branchpoints, self._n_nodes = pandas.DataFrame(columns=["x", "y", "z"]), count
            ends = [self._comp_edges[side].to_numpy() for side in ("source", "sink")]
            self._off_diagonal_inds = jnp.stack(ends).astype(int)

    return Star


# Mechanisms: conductances in S/cm2 with the factor of temperature, states advanced as NEURON's cnexp does


def channels(jnp, heat, base):
    """The channels, in an order in which kca sees new calcium, as in NEURON."""

    def efun(z, x=None):
        x = jnp.exp(z) if x is None else x
        return jnp.where(jnp.abs(z) < 0.02, 1 - z / 2 + z * z / 12, z / (x - 1))

    def toward(x, a, b, dt):
        limit = a / (a + b)
        return limit + (x - limit) * jnp.exp(-dt * heat * (a + b))

    def linoid(v, middle, a, b):
        z = (v - middle) / 9
        back = efun(z)  # efun(-z) = z + efun(z)
        return a * 9 * (z + back), b * 9 * back

    class Own(base):
        def __init__(self, name=None):
            self.current_is_in_mA_per_cm2 = True
            super().__init__(name)
            self.channel_params = dict.fromkeys(self.conductances, 0.0)
            self.channel_states = {state: REST if state == "cai" else 0.0 for state in self.gates}
            self.current_name = f"i_{type(self).__name__}"

    class Na(Own):
        home, conductances, gates = "all", ("gna", "gleak"), ("na_m", "na_h")

        def rates(self, v):
            z = (v + 45) / 5
            x = jnp.exp(z)
            speed = 0.024 * 5 * (z + efun(z, x)) + 0.0091 * 5 * efun(z + 5, x * 148.4131591025766)
            limit = 1 / (1 + jnp.exp((v + 60) / 6.2))
            return linoid(v, -30, 0.182, 0.124), (limit, speed)

        def update_states(self, states, dt, v, params):
            m, h = self.rates(v)
            return {
                "na_m": toward(states["na_m"], *m, dt),
                "na_h": h[0] + (states["na_h"] - h[0]) * jnp.exp(-dt * heat * h[1]),
            }

        def compute_current(self, states, v, params):
            return params["gna"] * states["na_m"] ** 3 * states["na_h"] * (v - 60) + params["gleak"] * (v + 70)

        def init_state(self, states, v, params, dt):
            (a, b), (limit, _) = self.rates(v)
            return {"na_m": a / (a + b), "na_h": limit}

    class Kv(Own):
        home, conductances, gates = "kv", ("gkv",), ("kv_n",)

        def update_states(self, states, dt, v, params):
            return {"kv_n": toward(states["kv_n"], *linoid(v, 25, 0.02, 0.002), dt)}

        def compute_current(self, states, v, params):
            return params["gkv"] * states["kv_n"] * (v + 90)

        def init_state(self, states, v, params, dt):
            a, b = linoid(v, 25, 0.02, 0.002)
            return {"kv_n": a / (a + b)}

    class Ca(Own):
        """ca and cad: calcium follows from the current of the step before, which Jaxley keeps."""

        home, conductances, gates = "ca", ("gca",), ("ca_m", "ca_h", "cai")

        def rates(self, v):
            m = 0.055 * 3.8 * efun(-(v + 27) / 3.8), 0.94 * jnp.exp((-75 - v) / 17)
            return m, (0.000457 * jnp.exp((-13 - v) / 50), 0.0065 / (jnp.exp((-v - 15) / 28) + 1))

        def update_states(self, states, dt, v, params):
            m, h = self.rates(v)
            limit = REST + TAU * jnp.maximum(0, -states["i_Ca"] * (1e4 / (2 * FARADAY * DEPTH)))
            calcium = limit + (states["cai"] - limit) * float(np.exp(-dt / TAU))
            return {"ca_m": toward(states["ca_m"], *m, dt), "ca_h": toward(states["ca_h"], *h, dt), "cai": calcium}

        def compute_current(self, states, v, params):
            return params["gca"] * states["ca_m"] ** 2 * states["ca_h"] * (v - 140)

        def init_state(self, states, v, params, dt):
            return {gate: a / (a + b) for gate, (a, b) in zip(("ca_m", "ca_h"), self.rates(v), strict=True)}

    class Slow(Own):
        """km and kca."""

        home, conductances, gates = "ca", ("gkm", "gkca"), ("km_n", "kca_n", "cai")

        def update_states(self, states, dt, v, params):
            k = linoid(v, -30, 0.001, 0.001)
            n = 0.01 * states["cai"], 0.02
            return {"km_n": toward(states["km_n"], *k, dt), "kca_n": toward(states["kca_n"], *n, dt)}

        def compute_current(self, states, v, params):
            return (params["gkm"] * states["km_n"] + params["gkca"] * states["kca_n"]) * (v + 90)

        def init_state(self, states, v, params, dt):
            (a, b), c = linoid(v, -30, 0.001, 0.001), 0.01 * states["cai"]
            return {"km_n": a / (a + b), "kca_n": c / (c + 0.02)}

    return Na, Kv, Ca, Slow


if __name__ == "__main__":
    serve(prepare)
