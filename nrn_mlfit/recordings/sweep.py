"""What a sweep is, in short: protocol, rest, spikes, current, quality, and what is doubtful about it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from nrn_mlfit.errors import MlfitError, RecordingError
from nrn_mlfit.recordings import pieces, protocols, quality
from nrn_mlfit.recordings.quality import Quality
from nrn_mlfit.recordings.recording import Recording
from nrn_mlfit.spikes import spike_counts

HOLDING_PA = 5.0


@dataclass(frozen=True)
class Sweep:
    """A sweep in short: duration and dt in ms, its range in mV, and in pA where there is a current.

    `steps_pa` are the levels that a current of steps takes beside the one it begins with, in order, each once.
    `current` is measured, commanded, given, or None; `current_file` where the current lies in a file of its own. `fails`
    says by what figures it is not good enough to fit. A sweep that cannot be read has a `problem` and no figures.
    """

    number: int
    name: str
    duration: float = 0.0
    dt: float = 0.0
    mv: tuple[float, float] | None = None
    pa: tuple[float, float] | None = None
    steps_pa: tuple[float, ...] = ()
    protocol: str = protocols.PROTOCOLS[-1]
    spikes: int = 0
    current: str | None = None
    quality: Quality = Quality()
    fails: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""
    current_file: str = ""
    is_piece: bool = False  # cut from another file already

    def to_dict(self) -> dict:
        """As JSON holds it, "sweep" first."""
        known = not self.problem
        return {
            "sweep": self.number,
            "name": self.name,
            "protocol": self.protocol if known else None,
            "rate_khz": round(1 / self.dt, 6) if self.dt else None,
            "length_ms": round(self.duration, 6) if known else None,
            "rest_mv": self.quality.rest_mv,
            "spikes": self.spikes if known else None,
            "current_source": self.current,
            "current_pa": None if self.pa is None else list(self.pa),
            "steps_pa": list(self.steps_pa),
            "voltage_mv": None if self.mv is None else list(self.mv),
            "quality": asdict(self.quality) if known else None,
            "fails": list(self.fails),
            "warnings": list(self.warnings),
            "current_file": self.current_file or None,
            "problem": self.problem or None,
        }


def described(number: int, made: Recording | MlfitError) -> Sweep:
    """A sweep in short, by itself; of one that could not be read, why."""
    if isinstance(made, MlfitError):
        return Sweep(number, "", problem=str(made).split(": ", 1)[-1])
    number = made.source.get("sweep", number)
    volts, currents = made.volts, made.currents
    protocol = protocols.recognised(None if currents is None else currents[0], made.dt)
    figures = quality.measured(made)
    simulated = _simulated(made)
    return Sweep(
        number,
        made.source.get("series", made.name).split("/")[-1],
        made.duration,
        made.dt,
        (float(volts.min()), float(volts.max())),
        None if currents is None else (1e3 * float(currents.min()), 1e3 * float(currents.max())),
        _steps(currents, made.dt) if protocol == "step" else (),
        protocol,
        int(spike_counts(volts[0, 0])),
        made.source.get("current"),
        figures,
        () if simulated else quality.failures(figures, protocol),
        (*made.warnings, *(() if simulated else _remarks(figures))),
        current_file=made.source.get("current_file", ""),
        is_piece="cut_ms" in made.source.get("origin", {}),
    )


def _steps(currents, dt) -> tuple[float, ...]:
    """The levels (pA) of a step current; `currents` is (S, T) in nA, the first is asked."""
    first = currents[0]
    found = pieces.levels(pieces.steps(first, dt), pieces.tolerance(first, dt))
    return tuple(1e3 * level for level in found)


def _simulated(made: Recording) -> bool:
    """Rows of a shard are other cells, each as it is."""
    return made.source.get("format") == "shard"


def _remarks(figures: Quality):
    if figures.noise_mv is not None and quality.QUIET_NOISE_MV < figures.noise_mv <= quality.FAST_NOISE_MV:
        yield (
            f"noise of {figures.noise_mv:.3f} mV in 1.5 ms, above the {quality.QUIET_NOISE_MV:g} mV of the Allen Cell Types "
            "Database: the alarm hears it"
        )
    if figures.holding_pa is not None and abs(figures.holding_pa) > HOLDING_PA:
        yield f"held by {figures.holding_pa:.0f} pA before the stimulus: the voltage there is not the cell's own rest"


def summaries(made: Sequence[Recording | MlfitError]) -> list[Sweep]:
    """The sweeps of one file in short, each with what fails by itself and beside the others."""
    sweeps = [described(number, held) for number, held in enumerate(made)]
    good = [
        sweep for sweep, held in zip(sweeps, made, strict=True) if isinstance(held, Recording) and not _simulated(held)
    ]
    beside = dict(zip([s.number for s in good], quality.across([s.quality for s in good]), strict=True))
    return [replace(s, fails=(*s.fails, *beside.get(s.number, ()))) for s in sweeps]


def one_protocol(sweeps: Sequence[Sweep], name: str) -> str:
    """The protocol that all sweeps with a changing current share; RecordingError where they mix several."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for sweep in sweeps:
        if not sweep.problem and sweep.protocol != "none":
            numbers[sweep.protocol].append(sweep.number)
    if len(numbers) > 1:
        held = ", ".join(f"{protocol} (sweep {_listed(found)})" for protocol, found in numbers.items())
        raise RecordingError(f"{name}: mixes protocols: {held}; take one of them with --sweep")
    return next(iter(numbers), "none")


def _listed(numbers) -> str:
    return ", ".join(map(str, numbers[:5])) + (" ..." if len(numbers) > 5 else "")
