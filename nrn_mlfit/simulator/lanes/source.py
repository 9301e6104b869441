"""The C++ source of a cell's engine, from its plan."""

from nrn_mlfit.simulator.lanes.emit import Block, identifier, literal
from nrn_mlfit.simulator.lanes.expressions import add, linear_in, multiply, rebuilt, symbol
from nrn_mlfit.simulator.lanes.plan import Plan
from nrn_mlfit.simulator.lanes.tasks import Task

SECANT = 0.001  # mV: where a current is not linear in v, NEURON takes its slope over this much (nocmodl)
INDENT = "        "


def generate(plan: Plan, lane_currents: bool = False) -> str:
    """The whole source; it needs vector.h and kernel.h beside it. `lane_currents`: each lane has its own current."""
    return "\n".join([*_Source(plan, lane_currents).lines(), ""])


CABLE = """
static const int parents[{count}] = {{{parents}}};
static const int membrane[{membranes}] = {{{membrane}}};

// scale * (v + by) as a rate.
INLINE rate voltage(const Cells &c, int n, double scale, double by) {{
#ifdef MIXED
    const double rounded = float(by);
    return ((c.high[n] + rounded) + (c.low[n] + (by - rounded))) * scale;
#else
    return c.v[n] * scale + scale * by;
#endif
}}

INLINE void as_rates(Cells &c, int n) {{
#ifdef MIXED
    c.high[n] = narrow(c.v[n]);
    c.low[n] = narrow_rest(c.v[n], c.high[n]);
#endif
}}

// What the diagonal of the matrix has in every step: capacitance and axial conductances.
static void prepare(Cells &c) {{
    for (int n = 0; n < {count}; n++) c.rest[n] = splat_wide(0);
    for (int k = 0; k < {membranes}; k++) c.rest[membrane[k]] += {per_dt} * splat<wide>({cm}[k]);
    for (int n = 1; n < {count}; n++) {{
        c.rest[n] -= {from_parent}[n];
        c.rest[parents[n]] -= {to_parent}[n];
    }}
    for (int n = 0; n < {count}; n++) as_rates(c, n);
}}

static void begin(Cells &c) {{
    for (int n = 0; n < {count}; n++) {{
        c.diagonal[n] = c.rest[n];
        c.right[n] = splat_wide(0);
    }}
}}

// Hines (1984), Int. J. Bio-Med. Comput. 15:69: elimination from the leaves to the root, and back.
static void solve(Cells &c) {{
    for (int n = 1; n < {count}; n++) {{
        const wide fall = c.v[parents[n]] - c.v[n];
        c.right[n] -= {from_parent}[n] * fall;
        c.right[parents[n]] += {to_parent}[n] * fall;
    }}
    for (int n = {count} - 1; n > 0; n--) {{
        c.inverse[n] = reciprocal(c.diagonal[n]);
        const wide part = {to_parent}[n] * c.inverse[n];
        c.diagonal[parents[n]] -= part * {from_parent}[n];
        c.right[parents[n]] -= part * c.right[n];
    }}
    c.right[0] = c.right[0] / c.diagonal[0];
    c.v[0] += c.right[0];
    as_rates(c, 0);
    for (int n = 1; n < {count}; n++) {{
        c.right[n] = (c.right[n] - {from_parent}[n] * c.right[parents[n]]) * c.inverse[n];
        c.v[n] += c.right[n];
        as_rates(c, n);
    }}
}}
"""

INTERFACE = """
extern "C" {{

int lanes_count() {{ return LANES; }}

// The gathered arrays of all lanes as they are now.
void lanes_read(double *to) {{ memcpy(to, (const void *)&cells, {gathered} * sizeof(wide)); }}

/* Run LANES cells from the gathered arrays `from` on. `middle` and `end` have the stimulus in the middle and at the end
of each step, `initial` at the start{each}. `to` takes the probes of all lanes at every `every`-th step from sample `first` on. */
void lanes_run(const double *from, {initial}, const double *middle, const double *end, long steps, long every,
               long first, double *to) {{
    memcpy((void *)&cells, from, {gathered} * sizeof(wide));
    const double dt = {dt};
    double t = 0;
    start(cells, t, {at_start});
    for (long k = 0;; k++) {{
        if (k % every == 0 && k / every >= first) {{
{probes}
            to += {probe_count} * LANES;
        }}
        if (k == steps) break;
        t += 0.5 * dt;
        matrix(cells, t, {in_middle});
        t += 0.5 * dt;
        advance(cells, t, {at_end});
    }}
}}
}}
"""


class _Source:
    def __init__(self, plan: Plan, lane_currents: bool):
        self._plan, self._lane_currents = plan, lane_currents
        self._current_type = "wide" if lane_currents else "double"
        self._maps: dict[tuple[int, ...], str] = {}  # which entry each instance means, where that is no plain shift
        self._functions: list[str] = []
        self._columns = {
            f"{table.name}:{column}": k for table in plan.tables.values() for k, column in enumerate(table.columns)
        }

    def lines(self) -> list[str]:
        plan = self._plan
        start = [self._loop(task, "start", self._start(task)) for task in plan.tasks if task.start]
        currents = [
            self._loop(task, "current", self._current(task)) for task in plan.tasks if task.currents or task.current
        ]
        states = [self._loop(task, "state", self._state(task)) for task in plan.tasks if task.state]
        reversals = [self._reversal(r) for r in plan.reversals]
        cable = self._cable() if plan.has_cable else []
        return [
            '#include "kernel.h"',
            "",
            *self._struct(),
            *self._fixed(),
            *self._tables(),
            *(f"static const int {name}[] = {{{', '.join(map(str, held))}}};" for held, name in self._maps.items()),
            "",
            *cable,
            *self._functions,
            *self._step(start, reversals, currents, states),
            *self._interface(),
        ]

    # ---- Storage ----

    def _struct(self) -> list[str]:
        plan = self._plan
        held = [a for kind in ("gathered", "made", "scratch") for a in plan.arrays.values() if a.kind == kind]
        lines = ["struct Cells {"]
        lines += [f"    wide {self._word(a.name)}[{a.count}];  // {a.kind}" for a in held]
        if plan.has_cable:
            count = len(plan.cable)
            lines += [f"    wide {name}[{count}];" for name in ("rest", "diagonal", "right", "inverse")]
            lines += ["#ifdef MIXED", f"    rate high[{count}], low[{count}];  // v as the sum of two", "#endif"]
        return [*lines, "};", "static Cells cells;", ""]

    def _fixed(self) -> list[str]:
        fixed = [a for a in self._plan.arrays.values() if a.kind == "fixed"]
        return [f"static const double {self._word(a.name)}[] = {{{', '.join(map(literal, a.values))}}};" for a in fixed]

    def _tables(self) -> list[str]:
        lines = []
        for table in self._plan.tables.values():
            rows = ",\n    ".join(
                "{" + ", ".join(map(literal, row)) + "}" for row in zip(*table.columns.values(), strict=True)
            )
            kind = f"Table<{len(table.columns)}, {table.count}>"
            lines.append(
                f"static const {kind} {identifier(table.name)} = {{{table.low!r}, {1 / table.step!r}, {{\n    {rows}}}}};"
            )
        return lines

    # ---- Functions of one mechanism ----

    def _loop(self, task, phase, body) -> str:
        """A function that does something for all instances of a mechanism; its name."""
        name = identifier(f"{phase}.{task.group.name}")
        self._functions += [
            f"static void {name}(Cells &c, double t, {self._current_type} stimulus) {{",
            f"    for (int j = 0; j < {len(task.group.sites)}; j++) {{",
            *(INDENT + line for line in body),
            "    }",
            "}",
            "",
        ]
        return name

    def _entry(self, entries) -> str:
        """The index of an instance's entry, for the j-th instance."""
        shift = entries[0]
        if all(entry == shift for entry in entries):
            return str(shift)
        if all(entry == j + shift for j, entry in enumerate(entries)):
            return f"j + {shift}" if shift else "j"
        name = self._maps.setdefault(tuple(entries), f"entries{len(self._maps)}")
        return f"{name}[j]"

    def _resolver(self, task: Task):
        def resolve(name):
            if name == "t":
                return "splat_wide(t)"
            if name == task.group.driven:
                gain = "c.gain[0] * " if "gain" in self._plan.arrays else ""
                return gain + ("stimulus" if self._lane_currents else "splat_wide(stimulus)")
            array, entries = self._plan.where(task, name)
            return self._held(array, self._entry(entries))

        return resolve

    def _start(self, task) -> list[str]:
        block = Block(self._resolver(task), columns=self._columns)
        lines = []
        for name, value in task.start.items():  # one after the other: a later one may read an earlier
            (word,) = block.values(value)
            lines += [*block.lines, f"{self._resolver(task)(name)} = splat<wide>({word});"]
            block.lines.clear()
        return lines

    def _current(self, task) -> list[str]:
        block, resolve = Block(self._resolver(task), columns=self._columns), self._resolver(task)
        membrane = [e for n, e in task.currents.items() if n not in task.group.mod.electrode]
        electrode = [e for n, e in task.currents.items() if n in task.group.mod.electrode]
        inward = add(*electrode, *(-e for e in membrane))
        names = [*task.current, *self._ionic(task)]
        values = [*task.current.values(), *(task.currents[n] for n in self._ionic(task))]
        *words, into, slope = block.values(*values, inward, _slope(-inward))
        lines = list(block.lines)
        scale = f" * (100.0 / {resolve('area')})" if task.group.mod.is_point and task.currents else ""
        for name, word in zip(names, words, strict=True):
            if name in task.current:
                lines.append(f"{resolve(name)} = splat<wide>({word});")
            else:
                lines.append(f"{resolve(name)} += {word}{scale};")
        if not task.currents:
            return lines
        node = self._entry([site.node for site in task.group.sites])
        lines.append(f"c.right[{node}] += {into}{scale};")
        if slope != literal(0.0):
            lines.append(f"c.diagonal[{node}] += {slope}{scale};")
        return lines

    def _ionic(self, task) -> list[str]:
        """The ionic currents that somebody reads."""
        return [name for name in task.currents if name in self._plan.nodes and name in self._plan.arrays]

    def _state(self, task) -> list[str]:
        resolve = self._resolver(task)
        shift = None
        if self._plan.has_cable:
            node = self._entry([site.node for site in task.group.sites])
            shift = lambda scale, by: f"voltage(c, {node}, {literal(scale)}, {literal(by)})"  # noqa: E731
        block = Block(resolve, set(task.states) | {"t"}, shift, self._columns)
        words = block.values(*task.state.values())
        return [*block.lines, *(f"{resolve(n)} = splat<wide>({w});" for n, w in zip(task.state, words, strict=True))]

    def _reversal(self, reversal) -> str:
        entry = self._entry(reversal.entries)
        block = Block(lambda name: self._held(name, "0" if name == "celsius" else entry))
        (word,) = block.values(reversal.value)
        name, count = f"reversal_{reversal.name}", len(reversal.entries)
        body = [*block.lines, f"{self._held(reversal.name, entry)} = splat<wide>({word});"]
        head = [
            f"static void {name}(Cells &c, double, {self._current_type}) {{",
            f"    for (int j = 0; j < {count}; j++) {{",
        ]
        self._functions += [*head, *(INDENT + line for line in body), "    }", "}", ""]
        return name

    def _held(self, array, entry) -> str:
        """An entry of an array, as a wide."""
        word = f"{self._word(array)}[{entry}]"
        return f"splat_wide({word})" if self._plan.arrays[array].kind == "fixed" else f"c.{word}"

    def _word(self, array) -> str:
        """An array's name in C++: of what an ion may be called, else or exp could come."""
        return f"{array}_" if array in self._plan.nodes else identifier(array)

    # ---- The cable ----

    def _cable(self) -> list[str]:
        plan, cable = self._plan, self._plan.cable
        coupling = {n: ("" if plan.arrays[n].kind == "fixed" else "c.") + n for n in ("to_parent", "from_parent", "cm")}
        membrane = [k for k, held in enumerate(cable.has_membrane) if held]
        return CABLE.format(
            count=len(cable),
            parents=", ".join(map(str, cable.parents)),
            membrane=", ".join(map(str, membrane)),
            membranes=len(membrane),
            per_dt=repr(0.001 * (1.0 / plan.dt)),
            **coupling,
        ).splitlines()

    # ---- A step, and what Python calls ----

    def _step(self, start, reversals, currents, states) -> list[str]:
        scratch = [a for a in self._plan.arrays.values() if a.kind == "scratch"]
        cleared = [
            f"    for (int k = 0; k < {a.count}; k++) c.{self._word(a.name)}[k] = splat_wide(0);" for a in scratch
        ]

        def calls(names):
            return [f"    {name}(c, t, stimulus);" for name in names]

        matrix = ["    begin(c);"] if self._plan.has_cable else []
        solve = ["    solve(c);"] if self._plan.has_cable else []
        first = ["    prepare(c);"] if self._plan.has_cable else []
        arguments = f"(Cells &c, double t, {self._current_type} stimulus)"
        return [
            f"static void start{arguments} {{", *calls(start), *first, "}", "",
            f"static void matrix{arguments} {{", *matrix, *cleared, *calls(reversals), *calls(currents), *solve, "}", "",
            f"static void advance{arguments} {{", *calls(states), "}", "",
        ]  # fmt: skip

    def _interface(self) -> list[str]:
        plan = self._plan
        probes = "\n".join(
            f"            store(to + {k} * LANES, cells.{self._word(array)}[{entry}]);"
            for k, (array, entry) in enumerate(plan.probes)
        )
        count = sum(a.count for a in plan.gathered)
        return INTERFACE.format(
            gathered=count,
            probes=probes,
            probe_count=len(plan.probes),
            dt=repr(plan.dt),
            **self._stimulus(),
        ).splitlines()

    def _stimulus(self) -> dict[str, str]:
        """How `lanes_run` takes the stimulus: a number a step, or LANES of them."""
        if not self._lane_currents:
            return dict(each="", initial="double initial", at_start="initial", in_middle="middle[k]", at_end="end[k]")
        words = [f"load_wide({at})" for at in ("initial", "middle + k * LANES", "end + k * LANES")]
        told = {"each": ", LANES numbers each time", "initial": "const double *initial"}
        return told | dict(zip(("at_start", "in_middle", "at_end"), words, strict=True))


def _slope(current):
    """How a current rises with v: exactly where it is linear, else NEURON's secant."""
    pair = linear_in(current, "v")
    if pair:
        return pair[1]
    further = rebuilt(current, {symbol("v"): add(symbol("v"), SECANT)})
    return multiply(add(further, -current), 1.0 / SECANT)
