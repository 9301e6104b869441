"""Random cells: a tree, channels, point processes, parameters and stimuli, all from a seed, as a HOC template and a YAML file.

`random_cell(seed, folder)` writes the cell into a folder and loads it. The channels are those of `pool/`, and NEURON's
own pas and hh. One process holds one such cell at a time: GLOBAL variables are the process', and templates stay.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from nrn_mlfit import cells
from nrn_mlfit.cells import CellModel

POOL = Path(__file__).parent / "pool"
STEPS = 6e6  # compartments times integration steps of one stimulus, at most: about 0.5 s of NEURON
SHORTEST_MS = 30.0

DENSITIES = {  # mechanism: its RANGE parameters with low, high, scale, unit
    "pas": {"g_pas": (2e-5, 4e-4, "log", "S/cm2"), "e_pas": (-78, -62, "linear", "mV")},
    "hh": {
        "gnabar_hh": (0.06, 0.24, "log", "S/cm2"),
        "gkbar_hh": (0.018, 0.072, "log", "S/cm2"),
        "gl_hh": (1e-4, 6e-4, "log", "S/cm2"),
        "el_hh": (-62, -50, "linear", "mV"),
    },
    "rna": {"gbar_rna": (0.01, 0.25, "log", "S/cm2"), "vshift_rna": (-8, 8, "linear", "mV")},
    "rkdr": {"gbar_rkdr": (0.003, 0.06, "log", "S/cm2")},
    "rka": {
        "gbar_rka": (3e-4, 0.02, "log", "S/cm2"),
        "vhalf_rka": (-62, -45, "linear", "mV"),
        "slope_rka": (9, 18, "linear", "mV"),
    },
    "rih": {
        "gbar_rih": (5e-6, 3e-4, "log", "S/cm2"),
        "eh_rih": (-45, -25, "linear", "mV"),
        "share_rih": (0.1, 0.9, "linear", ""),
        "vh_rih": (-92, -74, "linear", "mV"),
    },
    "rcap": {
        "depth_rcap": (0.05, 1, "log", "um"),
        "tau_rcap": (4, 120, "log", "ms"),
        "share_rcap": (0.01, 0.2, "log", ""),
    },
    "rcal": {"pbar_rcal": (1e-6, 1e-4, "log", "cm/s"), "ki_rcal": (3e-4, 0.01, "log", "mM")},
    "rcat": {"gbar_rcat": (5e-5, 2e-3, "log", "S/cm2")},
    "rsk": {
        "gbar_rsk": (5e-5, 5e-3, "log", "S/cm2"),
        "kd_rsk": (1.5e-4, 2e-3, "log", "mM"),
        "hill_rsk": (1.5, 5, "linear", ""),
    },
    "rexp": {
        "ibar_rexp": (1e-4, 3e-3, "log", "mA/cm2"),
        "vt_rexp": (-58, -38, "linear", "mV"),
        "gk_rexp": (1e-5, 2e-4, "log", "S/cm2"),
    },
}
KITS = [  # what is inserted together
    *[["hh"], ["rna", "rkdr"], ["rna", "rkdr", "rka"], ["rka"], ["rih"], ["rexp"], ["rcap", "rcal", "rsk"]],
    *[["rcap", "rcat", "rsk"], ["rcap", "rcal", "rcat"], ["rcal"], ["rcat"], ["rsk"], ["rcap", "rcal", "rcat", "rsk"]],
]
GLOBALS = {  # GLOBAL parameters of the pool
    "q10_rna": (2, 3),
    "thalf_rna": (-40, -34),
    "hslope_rna": (5.5, 7),
    "taumin_rka": (0.1, 0.8),
    "taumin_rih": (1, 8),
    "vm_rcat": (-60, -52),
    "vh_rcat": (-84, -76),
}
POINTS = {  # point process: class and variables with low, high, scale, unit
    "shunt": ("RShunt", {"g": (1e-4, 4e-3, "log", "uS"), "e": (-75, -55, "linear", "mV"), "tau": (2, 30, "log", "ms")}),
    "swing": ("ROsc", {"amp": (0.002, 0.05, "log", "nA"), "freq": (8, 120, "log", ""), "del": (3, 20, "linear", "ms")}),
    "clamp": (
        "IClamp",
        {"amp": (0.01, 0.2, "log", "nA"), "del": (5, 30, "linear", "ms"), "dur": (3, 30, "linear", "ms")},
    ),
}
SPIKER = {  # of RAdex
    "C": (0.12, 0.3, "linear", ""),
    "gl": (0.006, 0.015, "linear", ""),
    "a": (0.0005, 0.004, "log", ""),
    "b": (0.01, 0.08, "log", ""),
    "tauw": (25, 120, "log", "ms"),
    "reset": (-66, -54, "linear", "mV"),
    "slope": (1, 3, "linear", "mV"),
    "vt": (-54, -46, "linear", "mV"),
}


@dataclass
class _Section:
    name: str
    nseg: int
    length: float
    diameters: tuple[float, float]
    axial: float
    capacitance: float
    parent: str = ""  # as connect has it: "dend[2](0.5)"
    end: int = 0  # which of its own ends is there
    mechanisms: list[str] = field(default_factory=list)


def random_cell(seed: int, folder: Path) -> CellModel:
    """Write a cell that depends on the seed alone into a folder, and load it."""
    made = _Maker(np.random.Generator(np.random.Philox(key=seed)), seed, Path(folder))
    made.folder.mkdir(parents=True, exist_ok=True)
    held = made.cell()
    (made.folder / f"Random{seed}.hoc").write_text(made.hoc())
    path = made.folder / f"random{seed}.yaml"
    path.write_text(yaml.safe_dump(held, sort_keys=False))
    return cells.read(path)


class _Maker:
    """Draws a cell, one part after the other."""

    def __init__(self, rng: np.random.Generator, seed: int, folder: Path):
        self.rng, self.seed, self.folder = rng, seed, folder
        self.total = int(np.ceil(200 ** rng.uniform(0, 1)))
        self.sections = self._tree()
        self._insert()
        self.lists = self._section_lists()
        self.globals = {name: self._u(*ends) for name, ends in GLOBALS.items() if self._chance(0.3)}
        self.settings = self._settings()
        self.points = self._points()
        self.spiker = self._chance(0.12)
        self.drive = self._u(0, 0.5)  # of the spiker, where the stimulus goes elsewhere
        self.stretch = self._chance(0.25)
        self.procedures: dict[str, str] = {}

    # -- drawing ------------------------------------------------------------------------------------------------

    def _u(self, low, high, digits=6) -> float:
        return float(f"{self.rng.uniform(low, high):.{digits}g}")

    def _log(self, low, high) -> float:
        return float(f"{np.exp(self.rng.uniform(np.log(low), np.log(high))):.6g}")

    def _chance(self, p) -> bool:
        return bool(self.rng.uniform() < p)

    def _pick(self, items):
        items = list(items)
        return items[int(self.rng.integers(len(items)))]

    def _some(self, items, most) -> list:
        items = list(items)
        count = int(self.rng.integers(1, min(most, len(items)) + 1))
        return [items[k] for k in sorted(self.rng.permutation(len(items))[:count])]

    def _value(self, low, high, scale, _unit="") -> float:
        return self._log(low, high) if scale == "log" else self._u(low, high)

    # -- the cell -----------------------------------------------------------------------------------------------

    def _tree(self) -> list[_Section]:
        count = int(self.rng.integers(1, max(2, min(self.total, 45) + 1)))
        spare = self.rng.multinomial(self.total - count, self.rng.dirichlet(np.full(count, 0.7)))
        dends = int(self.rng.integers(0, count))
        names = ["soma", *(f"dend[{k}]" for k in range(dends)), *(f"axon[{k}]" for k in range(count - 1 - dends))]
        axial, same = self._u(70, 200), self._chance(0.5)
        held: list[_Section] = []
        for k, name in enumerate(names):
            section = self._section(name, 1 + int(spare[k]), axial if same else self._u(70, 200))
            if k:
                x = self._pick([0, 0.5, 1, 1, 1, self._u(0, 1, 3)])
                section.parent = f"{self._pick(held[-4:] if self._chance(0.5) else held).name}({x})"
                section.end = int(self._chance(0.15))
            held.append(section)
        return held

    def _section(self, name, nseg, axial) -> _Section:
        if name == "soma":
            wide = self._u(8, 30)
            return _Section(name, nseg, self._u(8, 40), (wide, wide), axial, self._pick([1.0, self._u(0.5, 1.5)]))
        ends = (self._log(0.5, 5), self._log(0.5, 5))
        ends = ends if self._chance(0.4) else (ends[0], ends[0])
        length = float(f"{min(nseg * self._log(8, 60), 900):.6g}")
        return _Section(name, nseg, length, ends, axial, self._pick([1.0, self._u(0.5, 1.5)]))

    def _insert(self):
        for section in self.sections:
            if self._chance(0.93):
                section.mechanisms.append("pas")
        exciting = self._pick([["hh"], ["rna", "rkdr"], ["rna", "rkdr"], []])
        kits = [exciting, *(self._pick(KITS) for _ in range(int(self.rng.integers(0, 4))))]
        for k, kit in enumerate(kits):
            share = self.rng.uniform(0.2, 1)
            for section in self.sections:
                if self._chance(share) or (k == 0 and section.name == "soma"):
                    section.mechanisms += [m for m in kit if m not in section.mechanisms]
        if not any(s.mechanisms for s in self.sections):
            self.sections[0].mechanisms.append("pas")

    def _section_lists(self) -> dict[str, list[_Section]]:
        lists = {"all": self.sections, "somatic": self.sections[:1]}
        lists["dendritic"] = [s for s in self.sections if s.name.startswith("dend")]
        lists["axonal"] = [s for s in self.sections if s.name.startswith("axon")]
        lists["some"] = [s for s in self.sections if self._chance(0.5)]
        for mechanism in DENSITIES:
            lists[f"with_{mechanism}"] = [s for s in self.sections if mechanism in s.mechanisms]
        return {name: held for name, held in lists.items() if held}

    def _settings(self) -> list[str]:
        """Nominal values, section by section at times, and reversal potentials."""
        lines = []
        for mechanism, variables in DENSITIES.items():
            for name, ends in variables.items():
                if f"with_{mechanism}" in self.lists:
                    lines.append(f"forsec with_{mechanism} {{ {name} = {self._value(*ends)!r} }}")
        for section in self._some(self.sections, 4):
            for mechanism in section.mechanisms:
                name, ends = self._pick(DENSITIES[mechanism].items())
                lines.append(f"{section.name} {{ {name} = {self._value(*ends)!r} }}")
        return lines + self._ions()

    def _ions(self) -> list[str]:
        used = {m for s in self.sections for m in s.mechanisms}
        lines = []
        if used & {"rna", "hh"} and self._chance(0.8):
            lines.append(f'forsec all {{ if (ismembrane("na_ion")) ena = {self._u(45, 60)!r} }}')
        if used & {"rkdr", "rka", "rsk", "rexp", "hh"} and self._chance(0.8):
            lines.append(f'forsec all {{ if (ismembrane("k_ion")) ek = {self._u(-92, -76)!r} }}')
        if used & {"rcat"} and self._chance(0.3):
            style = f'ion_style("ca_ion", 0, 1, 0, 0, 0)  eca = {self._u(110, 135)!r}'
            lines.append(f'forsec all {{ if (ismembrane("ca_ion")) {{ {style} }} }}')
        return lines

    def _points(self) -> dict[str, tuple[str, str, dict[str, float]]]:
        held = {}
        for name, (kind, variables) in POINTS.items():
            if self._chance(0.3):
                values = {v: self._value(*ends) for v, ends in variables.items()}
                if kind == "IClamp" and self._chance(0.5):  # on the grid of the steps
                    values |= {"del": float(self.rng.integers(5, 30)), "dur": float(self.rng.integers(3, 30))}
                held[name] = (kind, self._site(), values)
        return held

    def _site(self) -> str:
        return f"{self._pick(self.sections).name}({self._pick([0, 0.5, 0.5, 1, self._u(0, 1, 3)])})"

    # -- HOC ----------------------------------------------------------------------------------------------------

    def hoc(self) -> str:
        name = f"Random{self.seed}"
        public = [*self._arrays(), *self.lists, *self.points, *self.procedures, "build"]
        public += ["cell"] * self.spiker + ["stretch"] * self.stretch
        lines = [f"begintemplate {name}", *(f"public {p}" for p in dict.fromkeys(public))]
        sizes = [f"{a}[{n}]" if a != "soma" else a for a, n in self._arrays().items()]
        lines += [f"create {', '.join(sizes)}", f"objref {', '.join([*self.lists, 'cell', *self.points])}"]
        lines += [*self._init(), *self._build(), *self.procedures.values(), f"endtemplate {name}", ""]
        return "\n".join(lines)

    def _arrays(self) -> dict[str, int]:
        names = [s.name.partition("[")[0] for s in self.sections]
        return {name: names.count(name) for name in dict.fromkeys(names)}

    def _init(self) -> list[str]:
        lines = ["proc init() {", "stretch = 1"]
        for name, held in self.lists.items():
            lines.append(f"{name} = new SectionList()")
            lines += [f"{s.name} {{ {name}.append() }}" for s in held]
        lines += [f"connect {s.name}({s.end}), {s.parent}" for s in self.sections if s.parent]
        lines += ["build()"]
        for name, (kind, site, values) in self.points.items():
            section, _, x = site.partition("(")
            lines.append(f"{section} {name} = new {kind}({x}")
            lines += [f"{name}.{v} = {value!r}" for v, value in values.items()]
        if self.spiker:
            lines += ["soma cell = new RAdex(0.5)", f"cell.I = {self.drive!r}"]
        return [*lines, "}"]

    def _build(self) -> list[str]:
        lines = ["proc build() {"]
        for s in self.sections:
            a, b = s.diameters
            diam = f"diam = {a!r}" if a == b else f"diam(0:1) = {a!r}:{b!r}"
            lines.append(
                f"{s.name} {{ nseg = {s.nseg}  L = {s.length!r}*stretch  Ra = {s.axial!r}  cm = {s.capacitance!r} }}"
            )
            lines.append(f"{s.name} {{ {diam} }}")
            lines += [f"{s.name} {{ insert {m} }}" for m in s.mechanisms]
        lines += [f"{name} = {value!r}" for name, value in self.globals.items()]
        return [*lines, *self.settings, "}"]

    # -- the cell file ------------------------------------------------------------------------------------------

    def cell(self) -> dict:
        """What the cell file says; draws the parameters, too, and their procedures."""
        injected = "I@cell" if self.spiker and self._chance(0.6) else self._site()
        parameters = self._parameters()
        held = {
            "name": f"random{self.seed}",
            "hoc": f"Random{self.seed}.hoc",
            "template": f"Random{self.seed}",
            "mod": str(POOL),
            "celsius": self._u(6, 37, 4),
            "v_init": self._pick([-65.0, -70.0, self._u(-80, -58)]),
            "dt": self._pick([0.01, 0.02, 0.025, 0.05]),
            "probes": self._probes(),
            "inject": injected,
        }
        held["stimulus"] = self._stimuli(held["dt"], injected)
        held["parameters"] = parameters
        if self.stretch:
            held["geometry"] = {"stretch": self._u(0.7, 1.3)}
        return held

    def _probes(self) -> dict[str, str]:
        sites = [self._site() for _ in range(int(self.rng.integers(1, 4)))]
        if self.spiker:
            sites[-1] = "V@cell"
        elif "shunt" in self.points and self._chance(0.2):
            sites.append("s@shunt")
        return {f"p{k}": site for k, site in enumerate(sites)}

    def _stimuli(self, dt, injected) -> list[dict]:
        step = self._pick([dt, 0.02, 0.05, 0.1])
        longest = STEPS / self.total * min(dt, step)
        total = round(float(np.clip(self._u(60, 150), SHORTEST_MS, max(longest, SHORTEST_MS))))
        count = 1 + int(self._chance(0.4))
        if self.total <= 12 and self._chance(0.12):
            return [{"kind": "reset_chirp", "scale": self._scale(injected), "reset": self._u(0.1, 0.5)}]
        if self._chance(0.12):
            return [self._file(step, total, injected)]
        return [self._stimulus(step, float(total), injected) for _ in range(count)]

    def _stimulus(self, step, total, injected) -> dict:
        kind = self._pick(["step", "step", "ramp", "noise"])
        held = {"kind": kind, "scale": self._scale(injected), "delay": float(round(total / 8)), "total": total}
        if kind == "noise":
            return {
                **held,
                "dt": step,
                "seed": int(self.rng.integers(1000)),
                "tau": self._u(1, 6),
                "mean": self._u(0.2, 1),
            }
        return {**held, "dt": step, "duration": float(round(total * self.rng.uniform(0.3, 0.8)))}

    def _scale(self, injected) -> float:
        """nA: what 0.5e-4 to 6e-4 nA/um2 are on the membrane that the current reaches; of RAdex in its own unit."""
        if injected == "I@cell":
            return self._u(0.2, 0.8)
        name = injected.partition("(")[0]
        area = {s.name: np.pi * s.length * np.mean(s.diameters) for s in self.sections}
        reached = min(area[name] + 0.3 * (sum(area.values()) - area[name]), area[name] + 4000)
        sign = -1 if self._chance(0.1) else 1
        return float(f"{sign * reached * self._log(0.5e-4, 6e-4) * (0.2 if sign < 0 else 1):.6g}")

    def _file(self, step, total, injected) -> dict:
        time = np.arange(round(total / step)) * step
        waves = [self.rng.uniform(0, 1) * np.sin(2 * np.pi * f * time / 1000) for f in (7, 31, 113)]
        current = self._scale(injected) * (0.5 + 0.4 * sum(waves)) * (time > 10)
        np.savez(self.folder / "current.npz", current=current, dt=step)
        return {"kind": "file", "path": "current.npz", "lead": float(self.rng.integers(0, 30))}

    # -- parameters ---------------------------------------------------------------------------------------------

    def _parameters(self) -> dict[str, dict]:
        pool = [*self._densities(), *self._of_points()]
        held = dict(self._some_parameters(pool, int(self.rng.integers(2, 7))))
        for likely, maker in (
            (0.35, self._capacitance),
            (0.5, self._procedure),
            (0.35, self._shape),
            (0.15, self._both),
        ):
            if self._chance(likely):
                held |= maker()
        return held if len(held) > 1 else held | self._capacitance() | self._rm()

    def _some_parameters(self, pool, count):
        order = self.rng.permutation(len(pool))[:count]
        return [pool[k] for k in order]

    def _densities(self):
        for mechanism, variables in DENSITIES.items():
            lists = [n for n, held in self.lists.items() if any(mechanism in s.mechanisms for s in held)]
            for name, ends in variables.items():
                if lists:
                    yield self._one(f"{name}.{self._pick(lists)}", ends)

    def _of_points(self):
        for name, (_, _, values) in self.points.items():
            for variable in values:
                yield self._one(f"{variable}@{name}", POINTS[name][1][variable])
        if self.spiker:
            for variable, ends in SPIKER.items():
                yield self._one(f"{variable}@cell", ends)

    def _one(self, target, ends, narrow=True):
        """A parameter with a range inside the ends."""
        low, high, scale, unit = ends
        values = sorted(self._value(*ends) for _ in range(2)) if narrow else [low, high]
        if values[1] - values[0] < 1e-3 * (high - low):
            values = [low, high]
        return target, {"low": values[0], "high": values[1], "scale": scale, "unit": unit}

    def _capacitance(self) -> dict:
        return dict([self._one(f"cm.{self._pick(self.lists)}", (0.5, 1.6, "linear", ""), False)])

    def _shape(self) -> dict:
        name = self._pick(n for n in self.lists if n not in ("all", "some"))
        held = self.lists[name]
        length, wide = held[0].length, max(held[0].diameters)
        ranges = {"Ra": (60.0, 250.0), "L": (0.6 * length, 1.4 * length), "diam": (0.6 * wide, 1.5 * wide)}
        variable = self._pick(ranges)
        return dict([self._one(f"{variable}.{name}", (*ranges[variable], "linear", ""), False)])

    def _both(self) -> dict:
        """One value for two targets."""
        if not {"with_hh", "with_rna"} & set(self.lists) or "with_pas" not in self.lists:
            return {}
        sodium = "gnabar_hh.with_hh" if "with_hh" in self.lists else "gbar_rna.with_rna"
        second = "gbar_rna.with_rna" if "with_rna" in self.lists else "gnabar_hh.with_hh"
        return {"sodium": {"low": 0.03, "high": 0.2, "scale": "log", "sets": [sodium, second]}}

    def _procedure(self) -> dict:
        makers = [self._grow, self._gradient]
        if "with_pas" in self.lists:
            makers += [self._rm, self._rm]
        return self._pick(makers)()

    def _rm(self) -> dict:
        if "with_pas" not in self.lists:
            return {}
        self.procedures["set_rm"] = "proc set_rm() { forsec with_pas { g_pas = 1/(1000*$1) } }"
        return {"rm": {"low": 4, "high": 40, "unit": "kOhm cm2", "scale": "log", "sets": ["set_rm()"]}}

    def _grow(self) -> dict:
        """All diameters and capacitances by a factor."""
        lines = ["proc grow() {"]
        for s in self.sections:
            a, b = (f"{d!r}*$1" for d in s.diameters)
            lines.append(f"{s.name} {{ diam(0:1) = {a}:{b}  cm = {s.capacitance!r}/sqrt($1) }}")
        self.procedures["grow"] = "\n".join([*lines, "}"])
        return {"grow": {"low": 0.6, "high": 1.5, "sets": ["grow()"]}}

    def _gradient(self) -> dict:
        """A conductance that falls with x in each section, from $1 at its 0 end."""
        mechanism = self._pick(m for m in DENSITIES if f"with_{m}" in self.lists)
        name, (low, high, scale, _) = next(iter(DENSITIES[mechanism].items()))
        loop = f"for (x, 0) {{ {name}(x) = $1*(1 - 0.6*x) }}"
        self.procedures["gradient"] = f"proc gradient() {{ forsec with_{mechanism} {{ {loop} }} }}"
        return {"slope": {"low": low, "high": high, "scale": scale, "sets": ["gradient()"]}}
