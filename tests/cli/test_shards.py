"""nrn-mlfit shards: info, verify, merge, failed and export do what they say, through the command line."""

import re
import shlex
import shutil

import numpy as np
import pytest

from nrn_mlfit import shards
from nrn_mlfit.errors import MachineError, ShardError
from nrn_mlfit.shards import Status, claim
from nrn_mlfit.shards.export import export
from nrn_mlfit.shards.merge import merge
from nrn_mlfit.shards.overview import gaps, overview, ranges

FAILING = {
    "cell.hoc": "begintemplate Fails\npublic soma, all, level\ncreate soma\nobjref all\n"
    "proc init() { all = new SectionList()  soma { insert pas  all.append() } }\n"
    'proc level() { if ($1 > 0) { execerror("too much", "") } }\nendtemplate Fails\n',
    "cell.yaml": "name: fails\nhoc: cell.hoc\ntemplate: Fails\nstimulus: {kind: step, scale: 0.01, total: 5}\n"
    'parameters:\n  x: {low: -1, high: 1, sets: ["level()"]}\n',
}


def flip(path, at):
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.write_bytes(whole)


@pytest.fixture
def run(izhikevich_run, tmp_path):
    """A copy of the run of 60 sets in 3 shards that may be spoilt."""
    return shutil.copytree(izhikevich_run, tmp_path / "run")


@pytest.fixture(scope="module")
def parts(command, tmp_path_factory):
    """The run of 60 sets in two parts: 0-39 and 40-59."""
    folder = tmp_path_factory.mktemp("parts")
    words = ("simulate", "izhikevich", "--sets-a-shard", 20)
    assert command(*words, "-n", 40, "-o", folder / "a").returncode == 0
    assert command(*words, "-n", 20, "--first", 40, "-o", folder / "b").returncode == 0
    return folder / "a", folder / "b"


@pytest.fixture(scope="module")
def failing(command, tmp_path_factory):
    """A run of 20 sets, about half of which NEURON refuses, in a folder whose name needs quotes."""
    folder = tmp_path_factory.mktemp("it's here")
    for name, text in FAILING.items():
        (folder / name).write_text(text)
    done = command("simulate", folder / "cell.yaml", "-n", 20, "--sets-a-shard", 8, "-o", folder / "run", "--seed", 5)
    assert done.returncode == 0, done.stderr
    return folder / "run"


# --- info


def test_info_tells_what_a_run_holds(command, run):
    (run / shards.name_of(20)).unlink()
    done = command("shards", "info", run)
    size = sum(path.stat().st_size for path in shards.open_run(run).shards)
    assert re.fullmatch(
        rf"{run}\n"
        r"  cell +izhikevich, 4 parameters, stimulus reset_chirp\n"
        r"  seed +1\n"
        r"  engine +lanes-double, NEURON 9\S*, on \S+\n"
        r"  sets +0-19, 40-59 \(40 sets in 2 shards\)\n"
        r"  missing +20-39\n"
        r"  ended +40 ok\n"
        rf"  on disk +{size / 1000:.3g} kB, {size / 40000:.3g} kB a trace\n",
        done.stdout,
    )


def test_info_counts_sets_by_how_they_ended(failing):
    status = np.concatenate([shards.read(path).status for path in shards.open_run(failing).shards])
    good = int((status == 0).sum())
    assert f"  ended      {good} ok, {20 - good} hoc_error" in overview(failing).lines()


def test_info_reads_no_trace(run):
    told = overview(run).lines()
    for path in shards.open_run(run).shards:
        flip(path, path.stat().st_size // 2)  # in the traces, whose checksum would tell
        with pytest.raises(ShardError):
            shards.read(path)
    assert overview(run).lines() == told


def test_info_tells_of_a_shard_that_does_not_read(run):
    (run / shards.name_of(20)).write_bytes(b"")
    assert f"  unreadable {shards.name_of(20)}" in overview(run).lines()


def test_info_of_a_damaged_manifest_is_a_sentence(command, run):
    path = run / "run.json"
    path.write_text(path.read_text().replace('"probes"', '"prodes"'))
    done = command("shards", "info", run)
    assert done.returncode == 2 and re.fullmatch(
        r"nrn-mlfit: .*run\.json: damaged \(KeyError: 'probes'\); see `nrn-mlfit shards verify .*`\n", done.stderr
    )


def test_ranges_and_gaps():
    spans = [(40, 5), (0, 10), (10, 10), (30, 1)]
    assert ranges(spans) == "0-19, 30, 40-44" and ranges(gaps(spans)) == "20-29, 31-39"
    assert gaps([(7, 3)]) == gaps([]) == []


# --- verify


def test_verify_passes_a_run_as_it_was_simulated(command, run, failing):
    done = command("shards", "verify", run, failing)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{run}: 3 shards, sets 0-59, 60 sets, all as written\n{failing}: 3 shards, sets 0-19, 20 sets, all as written\n"
    )


@pytest.mark.parametrize("name", ["run.json", "cell/izhikevich.yaml", "cell/mod/na.mod", shards.name_of(20)])
def test_verify_finds_a_flipped_bit_and_names_its_file(command, run, failing, name):
    flip(run / name, (run / name).stat().st_size // 2)
    done = command("shards", "verify", run, failing)
    assert (done.returncode, done.stderr) == (3, "")
    assert f"{run / name}: " in done.stdout and f"{failing}: 3 shards" in done.stdout


def test_verify_of_what_is_no_run_is_a_problem_of_use(command, tmp_path):
    done = command("shards", "verify", tmp_path)
    assert done.returncode == 2 and "holds no run" in done.stderr


# --- merge


def test_merged_parts_are_the_run_that_was_never_split(command, parts, izhikevich_run, hashes, tmp_path):
    done = command("shards", "merge", *reversed(parts), "-o", tmp_path / "all")
    assert (done.returncode, done.stdout) == (0, f"3 shards copied\n{tmp_path / 'all'}: sets 0-59, 60 sets\n")
    assert hashes(tmp_path / "all") == hashes(izhikevich_run)


def test_a_merge_goes_on_where_it_was_cut_off(parts, izhikevich_run, hashes, tmp_path):
    whole = tmp_path / "all"
    merge(parts, whole)
    flip(whole / shards.name_of(0), 100_000)  # damaged since
    (whole / shards.name_of(20)).unlink()
    (whole / f".{shards.name_of(20)}.123.tmp").write_text("half")
    kept = (whole / shards.name_of(40)).stat()
    done = merge(parts, whole)
    assert (done.copied, done.kept) == (2, 1) and "2 shards copied (1 more were there already)" in done.lines()
    assert hashes(whole) == hashes(izhikevich_run)
    assert (whole / shards.name_of(40)).stat().st_mtime_ns == kept.st_mtime_ns


def test_parts_may_come_one_after_the_other(parts, izhikevich_run, hashes, tmp_path):
    for part in parts:
        merge([part], tmp_path / "all")
    assert hashes(tmp_path / "all") == hashes(izhikevich_run)


def test_a_part_may_be_the_whole(parts, izhikevich_run, hashes, tmp_path):
    part = shutil.copytree(parts[0], tmp_path / "a")
    merge([part, parts[1]], part)
    assert hashes(part) == hashes(izhikevich_run)


def test_a_merge_tells_what_is_missing(run, tmp_path):
    (run / shards.name_of(20)).unlink()
    assert merge([run], tmp_path / "all").lines()[-1].startswith("missing: 20-39; merge the part that holds them")


def test_parts_that_hold_the_same_set_are_refused_and_both_shards_named(parts, izhikevich_run, tmp_path):
    one, other = sorted([parts[0] / shards.name_of(0), izhikevich_run / shards.name_of(0)])
    with pytest.raises(ShardError, match=f"{other}: holds set 0, which {one} holds, too"):
        merge([parts[0], izhikevich_run], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_sets_that_the_output_has_in_other_shards_are_refused(command, run, tmp_path):
    done = command(*("simulate", "izhikevich", "--sets-a-shard", 20, "-n", 5, "--first", 40, "-o", tmp_path / "short"))
    assert done.returncode == 0
    before = (run / shards.name_of(40)).read_bytes()
    with pytest.raises(ShardError, match="holds set 40, which .* holds, too"):
        merge([tmp_path / "short"], run)
    assert (run / shards.name_of(40)).read_bytes() == before


def test_parts_of_two_runs_are_refused_by_what_differs(command, parts, tmp_path):
    words = ("simulate", "izhikevich", "--sets-a-shard", 20, "--seed", 2, "-n", 2, "--first", 90)
    assert command(*words, "-o", tmp_path / "c").returncode == 0
    done = command("shards", "merge", parts[0], tmp_path / "c", "-o", tmp_path / "all")
    assert done.returncode == 2 and not (tmp_path / "all").exists()
    assert done.stderr.startswith(
        f"nrn-mlfit: {tmp_path / 'c'}: not a part of the same run as {parts[0]}: seed 2 there, 1 here; leave it out"
    )


def test_a_merge_into_something_else_is_refused(parts, failing, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ShardError, match="holds something else"):
        merge(parts, tmp_path)
    with pytest.raises(ShardError, match="holds another run"):
        merge(parts, failing)
    with pytest.raises(ShardError, match="holds something else"):
        merge(parts, tmp_path / "notes.txt")


def test_what_comes_into_the_output_before_it_is_held_is_not_overwritten(parts, failing, tmp_path, monkeypatch):
    whole, really = tmp_path / "all", claim.held

    def late(folder):
        whole.mkdir()
        shutil.copy(failing / "run.json", whole)  # another merge began in between
        return really(folder)

    monkeypatch.setattr(claim, "held", late)
    with pytest.raises(ShardError, match="holds another run"):
        merge(parts, whole)
    assert [p.name for p in whole.iterdir()] == ["run.json"]


def test_a_merge_waits_for_nobody_who_writes_into_the_output(parts, tmp_path):
    with claim.held(tmp_path / "all"), pytest.raises(ShardError, match="is writing there"):
        merge(parts, tmp_path / "all")


def test_a_damaged_shard_is_named_and_not_merged(run, tmp_path):
    bad = run / shards.name_of(20)
    flip(bad, bad.stat().st_size // 2)
    with pytest.raises(ShardError, match=f"{bad}: not as it was written"):
        merge([run], tmp_path / "all")
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["cell", "run.json", shards.name_of(0)]


def test_a_part_whose_cell_is_another_is_refused(run, tmp_path):
    (run / "cell" / "mod" / "na.mod").write_text("other")
    with pytest.raises(ShardError, match="cell: not the cell that was simulated; see `nrn-mlfit shards verify"):
        merge([run], tmp_path / "all")


# --- failed


def test_the_command_of_a_failed_set_makes_it_again(command, failing, tmp_path):
    done = command("shards", "failed", failing)
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()[2:]]
    held = {first: shards.read(failing / shards.name_of(first)) for first in (0, 8, 16)}
    bad = [first + row for first, shard in held.items() for row in np.flatnonzero(~shard.ok).tolist()]
    assert done.stdout.splitlines()[0] == f"{failing}: {len(bad)} failed"
    assert [(int(number), status) for number, status, _ in rows] == [(number, "hoc_error") for number in bad]
    number, _, again = next(row for row in rows if int(row[0]) > 8)
    program, *words = shlex.split(again)
    assert program == "nrn-mlfit" and command(*words, cwd=tmp_path).returncode == 0
    (path,) = shards.open_run(tmp_path / f"set-{number}").shards
    alone, among = shards.read(path), held[int(number) // 8 * 8]
    row = int(number) % 8
    assert alone.status.tolist() == [Status.HOC_ERROR] == [among.status[row]]
    assert np.array_equal(alone.phys_par[0], among.phys_par[row])


def test_a_run_without_failures_is_said_to_have_none(command, izhikevich_run):
    assert command("shards", "failed", izhikevich_run).stdout == f"{izhikevich_run}: not one set failed\n"


# --- export


def test_npz_holds_the_good_sets_in_their_units(command, failing, tmp_path):
    done = command("shards", "export", failing, "-o", tmp_path / "all.npz")
    held = [shards.read(path) for path in shards.open_run(failing).shards]
    with np.load(tmp_path / "all.npz", allow_pickle=False) as file:
        arrays = dict(file)
    good = np.concatenate([shard.phys_par[shard.ok] for shard in held])
    assert done.stdout == f"{tmp_path / 'all.npz'}: {len(good)} sets\n"
    assert np.array_equal(arrays["phys_par"], good)
    assert np.array_equal(arrays["unit_par"], np.concatenate([shard.unit_par[shard.ok] for shard in held]))
    volts = np.concatenate([shards.to_millivolts(shard.volts[shard.ok]) for shard in held])
    assert arrays["volts"].dtype == np.float32 and np.array_equal(arrays["volts"], volts)
    assert np.array_equal(arrays["stims"], held[0].currents[:, -volts.shape[-1] :])
    assert (float(arrays["dt"]), float(arrays["t0"])) == (0.02, 0) and arrays["parameter_names"].tolist() == ["x"]


def test_safetensors_hold_what_sbi_takes(command, parts, tmp_path):
    from safetensors.torch import load_file

    done = command("shards", "export", *parts, "-n", 45, "-o", tmp_path / "all.safetensors")
    assert done.stdout == f"{tmp_path / 'all.safetensors'}: 45 sets\n"
    held, traces = load_file(tmp_path / "all.safetensors"), shards.load_runs(parts, 45)
    assert {name: (str(t.dtype), tuple(t.shape)) for name, t in held.items()} == {
        "theta": ("torch.float32", (45, 4)),
        "x": ("torch.float32", (45, 9000)),
    }
    assert np.array_equal(held["x"].numpy(), shards.to_millivolts(traces.volts)[:, 0, 0])
    last = shards.read(parts[1] / shards.name_of(40)).phys_par[4]
    assert np.array_equal(held["theta"][44].numpy(), last.astype(np.float32))


@pytest.mark.parametrize("name", ["all.csv", "all", "all.npz.gz"])
def test_another_suffix_is_refused_before_anything_is_read(command, tmp_path, name):
    done = command("shards", "export", tmp_path / "nowhere", "-o", tmp_path / name)
    assert (done.returncode, done.stderr) == (
        2,
        f"nrn-mlfit: {tmp_path / name}: the name must end in .npz or .safetensors, which says what to write\n",
    )


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_same_sets_give_the_same_bytes(izhikevich_run, tmp_path, suffix):
    for name in ("a", "b"):
        export([izhikevich_run], (tmp_path / name).with_suffix(suffix), 9)
    assert (tmp_path / "a").with_suffix(suffix).read_bytes() == (tmp_path / "b").with_suffix(suffix).read_bytes()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_full_disk_leaves_no_half_file(izhikevich_run, tmp_path, suffix):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:  # like a full disk: no file may grow beyond this
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(MachineError, match="cannot be written"):
            export([izhikevich_run], tmp_path / f"all{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
