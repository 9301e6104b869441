"""From the blocks of a MOD file to expressions: statements are gone through, calls put in, conditions become selects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from nrn_mlfit.simulator.lanes import implicit
from nrn_mlfit.simulator.lanes.expressions import (
    COMPARISONS,
    FUNCTIONS,
    ONE,
    ZERO,
    Expression,
    add,
    call,
    compare,
    linear_in,
    logic,
    multiply,
    number,
    raised,
    rebuilt,
    select,
    symbol,
    symbols,
)
from nrn_mlfit.simulator.lanes.modfile import Mod, equations, name_of
from nrn_mlfit.simulator.lanes.outside import Outside

DEEPEST_CALL = 50
TOGETHER = ("euler", "derivimplicit")  # methods that advance all equations of a block at once
QUIET = ("UnitState", "ConductanceHint", "ThreadSafe", "LineComment", "BlockComment", "LocalListStatement")
OPERATORS: dict[str, Callable[[Expression, Expression], Expression]] = {
    "+": add,
    "-": lambda a, b: a - b,
    "*": multiply,
    "/": lambda a, b: a / b,
    "^": raised,
    "&&": lambda a, b: logic("and", a, b),
    "||": lambda a, b: logic("or", a, b),
    **{operator: partial(compare, operator) for operator in COMPARISONS},
}


@dataclass(frozen=True)
class Table:
    """A TABLE: `columns` maps a variable to its expression in the symbol `argument`, at `count` + 1 points low .. high."""

    name: str
    argument: str
    low: Expression
    high: Expression
    count: int
    columns: dict[str, Expression]


@dataclass
class Walked:
    """What a block does: `values` maps each variable that it sets to the expression of what stood there before."""

    values: dict[str, Expression]
    tables: dict[str, Table]
    inputs: set[str] = field(default_factory=set)

    def __post_init__(self):
        of_tables = [e for table in self.tables.values() for e in (*table.columns.values(), table.low, table.high)]
        own = {table.argument for table in self.tables.values()}
        self.inputs = symbols(*self.values.values()) | symbols(*of_tables) - own


def walk(mod: Mod, phase: str, tables: bool = True) -> Walked:
    """What a mechanism does in a phase: "initial", "current" (its part of the matrix) or "state" (its step).

    Variables are symbols by their names in the MOD file, dt and t among them. `tables`: whether TABLEs are looked up,
    as usetable says. What NEURON does when: the NEURON book (Carnevale & Hines, 2006), chapters 4 and 9, and nocmodl.
    """
    walker = _Walker(mod, tables)
    if phase == "initial":
        walker.block(mod.blocks.get("INITIAL"))
    else:
        solved, others = _parted(mod)
        if phase == "state":
            for solve in solved:
                walker.solve(solve)
        if (phase == "current") == bool(mod.currents):  # without currents nocmodl moves the rest to the step
            walker.statements(others)
    return walker.result()


def _parted(mod: Mod) -> tuple[list, list]:
    """The SOLVEs of BREAKPOINT, and its other statements."""
    block = mod.blocks.get("BREAKPOINT")
    statements = list(block.statement_block.statements) if block else []
    solved = [s for s in statements if s.is_expression_statement() and s.expression.is_solve_block()]
    return [s.expression for s in solved], [s for s in statements if s not in solved]


class _Walker:
    """One pass. `frames` holds the variables: the mechanism's in frames[0], a called block's own on top."""

    def __init__(self, mod: Mod, tables: bool):
        self._mod, self._use_tables = mod, tables
        self._frames: list[dict[str, Expression]] = [{}]
        self._tables: dict[str, Table] = {}
        self._ode: Expression | None = None  # the state whose slope is being made
        self._slopes: dict[str, Expression] | None = None  # where equations are advanced together
        self._depth = 0

    def result(self) -> Walked:
        held = {name: e for name, e in self._frames[0].items() if e is not symbol(name)}
        return Walked(held, self._tables)

    def block(self, block):
        """The statements of a block, with locals of its own."""
        if block is not None:
            self._plain("", block.statement_block.statements, {})

    def solve(self, solve):
        """A SOLVE of BREAKPOINT: the block it names, its equations advanced as NEURON does."""
        name, method = name_of(solve.block_name), name_of(solve.method) if solve.method else ""
        block = self._mod.blocks.get(name)
        if block is None or (block.is_derivative_block() and method not in ("cnexp", *TOGETHER)):
            raise Outside(f"{self._mod.name}: SOLVE {name} METHOD {method or 'none'} is not known")
        if method in TOGETHER and block.is_derivative_block():
            self._together(block, method)
        else:
            self.block(block)

    def _together(self, block, method):
        """All equations of a block at once: their slopes first, at the start of the step or, if implicit, at its end."""
        names = [name_of(e.expression.lhs.name) for e in equations(block)]
        before = {name: self._read(name) for name in names}
        moving = {symbol(f"{name}'"): name for name in names}
        if method != "euler":
            for state, name in moving.items():
                self._assign(name, state)
        self._slopes = {}
        self.block(block)
        slopes, self._slopes = self._slopes, None
        if method == "euler":
            after: dict | None = {name: before[name] + symbol("dt") * slopes[name] for name in names}
        else:
            after = implicit.solve(before, slopes)
        if after is None:
            raise Outside(f"{self._mod.name}: {method} of equations that are not linear")
        known = {state: after[name] for state, name in moving.items()}
        for frame in self._frames:  # what the block sets beside its states, it sets with the new ones
            frame.update({name: rebuilt(e, dict(known)) for name, e in frame.items()})
        for name in names:
            self._assign(name, after[name])

    def statements(self, statements):
        for statement in statements:
            self._statement(statement)

    def _statement(self, s):
        kind = s.get_node_type_name()
        if kind == "ExpressionStatement":
            self._expression_statement(s.expression)
        elif kind == "IfStatement":
            self._if([s, *s.elseifs], s.elses)
        elif kind == "LocalListStatement":
            self._frames[-1] |= {name_of(v.name): ZERO for v in s.variables}
        elif kind == "ProtectStatement":
            self._expression_statement(s.expression)
        elif kind not in QUIET:
            raise Outside(f"{self._mod.name}: {kind} is not known")

    def _expression_statement(self, e):
        if e.is_wrapped_expression():
            e = e.expression
        if e.is_function_call():
            self._call(e, as_statement=True)
        elif e.is_diff_eq_expression():
            self._differential(e.expression)
        elif e.is_binary_expression() and e.op.eval() == "=":
            self._assign(name_of(e.lhs.name), self._value(e.rhs), e.lhs.name)
        else:
            raise Outside(f"{self._mod.name}: a statement {e.get_node_type_name()} is not known")

    def _assign(self, name, value, node=None):
        if node is not None and node.is_indexed_name():
            raise Outside(f"{self._mod.name}: {name} is an array")
        frame = next((f for f in reversed(self._frames) if name in f), self._frames[0])
        frame[name] = value

    def _read(self, name) -> Expression:
        for frame in reversed(self._frames):
            if name in frame:
                return frame[name]
        if name in self._mod.constants:
            return number(self._mod.constants[name])
        return symbol(name)

    def _differential(self, e):
        """x' = f. By itself (cnexp) x is advanced at once, as nocmodl does, with f linear in x as it is written, and all
        else that it names held fixed."""
        name = name_of(e.lhs.name)
        if self._slopes is not None:
            self._slopes[name] = self._value(e.rhs)
            return
        before, self._ode = self._read(name), symbol(f"{name}'")
        self._assign(name, self._ode)
        pair = linear_in(self._value(e.rhs), f"{name}'")
        self._ode = None
        if not pair:
            raise Outside(f"{self._mod.name}: {name}' is not linear in {name}, which cnexp asks for")
        self._assign(name, advanced(before, *pair))

    def _if(self, branches, otherwise):
        """Both ways are gone, and each variable selects."""
        if not branches:
            if otherwise:
                self._nested(otherwise.statement_block.statements)
            return
        condition = self._value(branches[0].condition)
        start = [dict(f) for f in self._frames]
        self._nested(branches[0].statement_block.statements)
        yes = [dict(f) for f in self._frames]
        for frame, before in zip(self._frames, start, strict=True):
            frame.clear()
            frame.update(before)
        self._if(branches[1:], otherwise)
        for frame, then in zip(self._frames, yes, strict=True):
            for name in {**frame, **then}:
                outside = symbol(name) if frame is self._frames[0] else ZERO
                frame[name] = select(condition, then.get(name, outside), frame.get(name, outside))

    def _nested(self, statements):
        """Statements in braces: their LOCALs hide those of the enclosing block, and end with them."""
        self._frames.append({})
        self.statements(statements)
        self._frames.pop()

    def _value(self, e) -> Expression:
        kind = e.get_node_type_name()
        if kind in ("WrappedExpression", "ParenExpression"):
            return self._value(e.expression)
        if kind in ("Double", "Integer", "Float"):
            return number(float(e.eval()))
        if kind == "DoubleUnit":
            return number(float(e.value.eval()))
        if kind == "VarName" and not e.name.is_indexed_name():
            return self._read(name_of(e.name))
        if kind == "Name":
            return self._read(name_of(e))
        if kind == "BinaryExpression" and e.op.eval() in OPERATORS:
            return OPERATORS[e.op.eval()](self._value(e.lhs), self._value(e.rhs))
        if kind == "UnaryExpression":
            value = self._value(e.expression)
            return logic("not", value) if e.op.eval() == "!" else -value
        if kind == "FunctionCall":
            return self._call(e)
        raise Outside(f"{self._mod.name}: {kind} is not known")

    def _call(self, e, as_statement=False) -> Expression:
        name = name_of(e.name)
        if name == "at_time" and as_statement:  # where the variable step is to stop; the fixed one does not ask
            return ZERO
        given = [self._value(a) for a in e.arguments if not a.is_string()]
        if name in FUNCTIONS and name not in self._mod.callables:
            return call(name, *given)
        block = self._mod.blocks.get(name)
        if block is None or name not in self._mod.callables:
            raise Outside(f"{self._mod.name}: calls {name}, which is not known")
        if self._ode is not None and self._ode.value in symbols(*given):
            raise Outside(f"{self._mod.name}: {self._ode.value} hangs on a FUNCTION of the state itself")
        self._depth += 1
        if self._depth > DEEPEST_CALL:
            raise Outside(f"{self._mod.name}: {name} calls itself")
        own = {name_of(p.name): value for p, value in zip(block.parameters, given, strict=True)}
        value = self._body(name, block, own)
        self._depth -= 1
        return value

    def _body(self, name, block, own) -> Expression:
        table = next((s for s in block.statement_block.statements if s.is_table_statement()), None)
        if table is None:
            return self._plain(name, block.statement_block.statements, own)
        rest = [s for s in block.statement_block.statements if s is not table]
        return self._tabulated(name, table, rest, own) if self._use_tables else self._plain(name, rest, own)

    def _plain(self, name, statements, own) -> Expression:
        """Statements with variables of their own, of which `name` is returned; what their caller has, they do not see."""
        kept, self._frames = self._frames, [self._frames[0], {**own, name: ZERO}]
        self.statements(statements)
        value, self._frames = self._frames[1][name], kept
        return value

    def _tabulated(self, name, statement, rest, own) -> Expression:
        """A block with a TABLE: its variables are looked up at its one argument."""
        ((argument, at),) = own.items()
        kept, self._frames = self._frames, [{}, {}]  # a table is made apart from what runs now
        value = self._plain(name, rest, {argument: symbol(f"{name}.{argument}")})
        made, (low, high) = self._frames[0], (self._value(getattr(statement, end)) for end in ("from", "to"))
        self._frames = kept
        variables = [name_of(v) for v in statement.table_vars] or [name]
        columns = {v: made.get(v, value if v == name else symbol(v)) for v in variables}
        count = int(getattr(statement, "with").eval())
        title = f"{self._mod.name}.{name}"
        self._tables[title] = Table(title, f"{name}.{argument}", low, high, count, columns)
        for variable in variables:
            looked_up = call(f"{title}:{variable}", at)
            if variable == name:
                return looked_up
            self._assign(variable, looked_up)
        return ZERO


def advanced(before: Expression, p: Expression, q: Expression) -> Expression:
    """A state after dt, with x' = p + q x solved exactly: cnexp."""
    if q is ZERO:
        return before + symbol("dt") * p
    return before + (call("exp", symbol("dt") * q) - ONE) * (before + p / q)
