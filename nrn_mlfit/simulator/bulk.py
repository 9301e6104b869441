"""Bulk simulation: (seed, index) -> parameter sets -> traces -> shards, on as many ranks as there are."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nrn_mlfit import progress, shards, workers
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, ParameterError
from nrn_mlfit.shards import Shard, Status, claim, manifest
from nrn_mlfit.shards.claim import Piece
from nrn_mlfit.simulator.lanes import Disagreement
from nrn_mlfit.simulator.mechanisms import tell_if_new
from nrn_mlfit.simulator.truth import TRIED, check_engine
from nrn_mlfit.simulator.worker import Worker
from nrn_mlfit.spikes import spike_counts

SETS_A_SHARD = 100
LONGEST_LIMIT = 1e6  # CPU seconds
TODO = np.uint8(255)  # the status of a set that is not simulated yet


@dataclass
class Summary:
    """What came of a run: counts by status, spikes a trace, voltages, speed."""

    statuses: Counter = field(default_factory=Counter)
    spikes: list = field(default_factory=list)
    lowest: float = np.inf
    highest: float = -np.inf
    seconds: float = 0.0
    found: int = 0

    @property
    def sets(self) -> int:
        return sum(self.statuses.values())

    @property
    def silent(self) -> float:
        """The share of traces without a spike."""
        return float(np.mean(np.array(self.spikes) == 0)) if self.spikes else 0.0

    def add_traces(self, volts, status):
        """Add good traces, volts (n, P, S, T) in mV, and the statuses of all sets, the good ones' among them."""
        self.statuses.update(int(s) for s in status)
        if volts.size:
            self.spikes += spike_counts(volts[:, 0]).ravel().tolist()
            self.lowest, self.highest = min(self.lowest, float(volts.min())), max(self.highest, float(volts.max()))

    def add(self, part: "Summary"):
        self.statuses += part.statuses
        self.spikes += part.spikes
        self.lowest, self.highest = min(self.lowest, part.lowest), max(self.highest, part.highest)

    def lines(self) -> list[str]:
        """The summary as a person reads it."""
        there = f" ({self.found} more were there already)" if self.found else ""
        if not self.sets:
            return [f"nothing left to simulate: all {self.found} sets are there"]
        failed = ", ".join(f"{n} {Status(s).label}" for s, n in sorted(self.statuses.items()) if s != Status.OK)
        lines = [f"{self.sets} sets in {progress.duration(self.seconds)}, {self.sets / self.seconds:.3g}/s{there}"]
        lines.append(f"failed: {failed or 'none'}")
        if self.spikes:
            low, middle, high = np.percentile(self.spikes, [5, 50, 95])
            lines.append(
                f"spikes a trace: median {middle:g} (5% {low:g}, 95% {high:g}); silent: {100 * self.silent:.1f}%"
            )
            lines.append(f"voltage: {self.lowest:.1f} to {self.highest:.1f} mV")
        return lines


def simulate(
    model: CellModel,
    samples: int,
    folder: Path | str,
    seed: int = 1,
    sets_a_shard: int = SETS_A_SHARD,
    first: int = 0,
    limit: float | None = None,
    report: progress.Report = progress.silent,
    engine: str = "auto",
    precision: str = "double",
    draw: Callable[[Disagreement], object] | None = None,
) -> Summary:
    """Simulate the sets first .. first+samples-1 of `seed` into shards in `folder`; what is there already is kept.

    Under an MPI launcher every rank calls this and shares the work; the summary is rank 0's. `limit` is the CPU time
    in seconds that a set may take, times 32 for those that lanes run together (by default 30 times the longest so far,
    at least 10 s); `engine` and `precision` are those of engines.make, and `draw` is given a set in which the engine is
    not NEURON's equal. Raises ShardError if the folder holds another run or another process writes there, CellError if
    the cell cannot be built or if a set hangs on the one before it, EngineError if the engine is not NEURON's equal.
    """
    if not 0 <= seed < 2**63:
        raise ParameterError(f"seed {seed}: must lie in 0 .. 2^63 - 1")
    if limit is not None and not 0 < limit <= LONGEST_LIMIT:
        raise ParameterError(
            f"a time limit of {limit:g} s: must lie above 0 and be at most {LONGEST_LIMIT:g}; leave it out for 30 times "
            "the longest set"
        )
    folder = Path(folder)
    with ExitStack() as held:
        worker = held.enter_context(Worker(model, engine, limit, precision))  # before MPI is met
        team = workers.connect()
        held.enter_context(team.watched())
        team.once(lambda: _announce(team, model, report))
        team.everywhere(worker.begin)
        about = manifest.describe(model, seed, sets_a_shard, worker.made.name, worker.made.made_with)
        team.alike(_job(about, folder, samples, first))
        team.once(lambda: claim.check_free(folder, about))

        def start() -> list[Piece]:
            alone = held.enter_context(claim.held(folder))
            if not alone:
                report(f"{folder}: this file system has no locks; see to it that no other job writes there")
            claim.check_free(folder, about)
            todo = claim.missing(folder, about, first, samples)
            if todo:
                report(f"engine: {worker.made.told}")
                _check(worker, _rows(model, seed, first, TRIED), first, samples, report, draw)
            claim.begin(model, folder, about, alone)
            return todo

        todo = team.once(start)
        left = sum(piece.left for piece in todo)
        total = Summary(found=max(samples - left, 0))
        watch = _Watch(team.rank, progress.Meter(left, "sets", report), total)
        maker = _Maker(worker, model, folder, about)
        team.map(lambda piece, serve: maker.make(piece, serve, watch.tick), todo, watch.take)
    total.seconds = watch.meter.seconds
    return total


def _job(about, folder, samples, first) -> dict:
    """What must be the same on all ranks, or their shards would not make one run."""
    keys = ("instruction_set", "seed", "sets_a_shard", "cell_hash", "protocol_hash", "engine", "versions")
    return {**{key: about[key] for key in keys}, "output": str(folder.resolve()), "samples": samples, "first": first}


def _announce(team, model, report):
    for line in team.census():
        report(line)
    tell_if_new(model.mod, report)


def _rows(model, seed, first, count):
    """The sets first .. first+count-1 of a seed, as rows of CellModel.rows."""
    return model.rows(
        model.space.to_phys(model.space.draw(seed, first, count)), *model.protocol.draw(seed, first, count)
    )


def _check(worker, rows, first, samples, report, draw):
    """What must be true of an engine before a run is begun, of the sets `rows` from the first on."""
    _check_memory(worker, rows[:1], rows[1:2], first)
    check_engine(worker, rows[:samples], first, report, draw)


def _check_memory(worker, one, other, first):
    """A set must not hang on the one before it, or the bytes of a run would hang on its order."""
    volts, status = worker.run(one)
    before = volts.copy()
    _, status_between = worker.run(other)
    after, status_again = worker.run(one)
    fine = Status.OK == status[0] == status_between[0] == status_again[0]
    if fine and not np.array_equal(before, after):
        raise CellError(
            f"{worker.model.name}: set {first} gave another trace after set {first + 1} than before it, so the cell keeps "
            "something from one set to the next (a variable that INITIAL does not set, a procedure that adds to what "
            "it finds, a random number); mend its HOC or MOD"
        )


@dataclass(frozen=True)
class _Maker:
    """Makes the shards of a run, on one rank."""

    worker: Worker
    model: CellModel
    folder: Path
    manifest: dict

    def make(self, piece: Piece, serve: Callable[[], object] | None, tick: Callable[[int], object]) -> Summary:
        """Simulate what a shard lacks and write it; `tick` after each chunk of sets, `serve` more often."""
        model, wanted = self.model, (self.manifest["seed"], piece.first, piece.count)
        unit_par, bank = model.space.draw(*wanted), model.protocol.draw(*wanted)
        phys_par = model.space.to_phys(unit_par)
        sets = model.rows(phys_par, *bank)
        counts, status, tried = self._there(piece)
        part, todo = Summary(), np.flatnonzero(status == TODO)
        for low in range(0, len(todo), self.worker.lanes):
            rows = todo[low : low + self.worker.lanes]
            volts, status[rows] = self.worker.run(sets[rows], serve)
            ok = status[rows] == Status.OK
            counts[rows[ok]] = shards.to_counts(volts[ok])
            part.add_traces(volts[ok], status[rows])
            tick(len(rows))
        late = status == Status.TIMEOUT
        retried = bool(late.any() and tried[late].all())
        attributes = shards.attributes_of(self.manifest, piece.first, retried)
        shard = Shard(phys_par, unit_par, counts, status, model.protocol.currents, attributes)
        shard = replace(shard, stim_index=bank[0], stim_scale=bank[1]) if model.protocol.is_bank else shard
        shards.write(self.folder / shards.name_of(piece.first), shard)
        return part

    def _there(self, piece):
        """counts (N, P, S, T), status (N,) as the folder has them, TODO where it has nothing, and which ran out of time."""
        protocol = self.model.protocol
        shape = (piece.count, len(self.model.probes), len(protocol.stimuli), protocol.length)
        counts, status = np.full(shape, shards.MISSING), np.full(piece.count, TODO)
        if piece.left < piece.count or piece.again:
            held = shards.read(self.folder / shards.name_of(piece.first))
            counts[: len(held.status)], status[: len(held.status)] = held.volts, held.status
        tried = status == Status.TIMEOUT
        if piece.again:
            status[tried] = TODO
        return counts, status, tried


class _Watch:
    """Progress as rank 0 sees it: its own sets as they end, the other ranks' by the shard."""

    def __init__(self, rank: int, meter: progress.Meter, total: Summary):
        self.meter, self._total = meter, total
        self._speaks, self._done = rank == 0, 0

    def tick(self, count: int):
        self._done += count
        if self._speaks:
            self.meter.at(self._done)

    def take(self, rank: int, part: Summary):
        self._total.add(part)
        self._done += part.sets if rank else 0
        self.meter.at(self._done)
