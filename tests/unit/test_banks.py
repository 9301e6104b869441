"""Banks: what each set draws, how a bank is described, kept and verified, and how one is made of recordings."""

import hashlib
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import stats

from nrn_mlfit import banks, candidates, cells, recordings, shards, stimuli, textfile
from nrn_mlfit.errors import RecordingError, StimulusError
from nrn_mlfit.recordings import Recording
from nrn_mlfit.shards import Shard, manifest
from nrn_mlfit.shards.export import export
from nrn_mlfit.shards.overview import overview
from nrn_mlfit.shards.verify import verify
from nrn_mlfit.stimuli import Protocol, make_protocol

VOLTS = np.random.default_rng(1).normal(-70, 1, (1, 2, 5000))
SHORT = {"delay": 1, "duration": 3, "total": 5, "dt": 0.1}
STEPS = {"bank": [{"kind": "step", "scale": k, **SHORT} for k in (10, 5, 20)], "amplitudes": [0.5, 1.5]}


@pytest.fixture
def bank():
    return make_protocol(STEPS)


# ---- What sets draw ----


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 40))
def test_a_set_draws_by_seed_and_number_alone(seed, first, count):
    bank = make_protocol(STEPS)
    index, factor = bank.draw(seed, first, count)
    for row in (0, count - 1):
        alone = bank.draw(seed, first + row, 1)
        assert (index[row], factor[row]) == (alone[0][0], alone[1][0])
    assert ((index >= 0) & (index < 3)).all() and ((factor >= 0.5) & (factor <= 1.5)).all()


def test_draws_are_uniform_and_not_those_of_the_parameters(bank):
    index, factor = bank.draw(7, 0, 6000)
    assert stats.chisquare(np.bincount(index, minlength=3)).pvalue > 1e-3
    assert stats.kstest(factor, stats.uniform(0.5, 1).cdf).pvalue > 1e-3
    parameters = cells.load("izhikevich").space.draw(7, 0, 6000)
    for column in parameters.T:
        assert abs(np.corrcoef(column, factor)[0, 1]) < 0.06 and abs(np.corrcoef(column, index)[0, 1]) < 0.06


def test_draws_are_those_of_the_documented_stream(bank):
    index, factor = bank.draw(3, 0, 9)
    u, v = np.random.Generator(np.random.Philox(key=3, counter=[0, 0, 8, 1])).uniform(size=2)
    assert (index[8], factor[8]) == (int(u * 3), 0.5 + v * 1.0)


def test_a_lone_protocol_is_the_bank_of_one_as_it_is():
    alone = make_protocol(STEPS["bank"][0])
    index, factor = alone.draw(1, 0, 5)
    assert not alone.is_bank and alone.of(index[0], factor[0]) is alone
    assert (index == 0).all() and (factor == 1).all() and alone.currents.shape == (1, 50)
    model = replace(cells.load("izhikevich"), protocol=alone)
    assert model.rows(np.ones((5, 4)), index, factor).shape == (5, 4)


def test_a_set_gets_its_alternative_times_its_factor(bank):
    assert bank.currents.shape == (3, 1, 50) and bank.windows.shape == (3, 1, 50)
    got = bank.of(2, 1.25)
    assert not got.is_bank and got.currents.max() == 25 and got.stimuli[0].scale == 25


def test_rows_hold_what_a_set_is_made_of(bank):
    model = replace(cells.load("izhikevich"), protocol=bank)
    phys_par, drawn = model.space.to_phys(model.space.draw(1, 0, 7)), bank.draw(1, 0, 7)
    parts = model.split(model.rows(phys_par, *drawn))
    assert all(np.array_equal(a, b) for a, b in zip(parts, (phys_par, *drawn), strict=True))
    _, index, factor = model.split(phys_par)  # parameters alone: the first one as it is
    assert (index == 0).all() and (factor == 1).all()


# ---- How it is described ----


def test_the_digest_changes_with_stimuli_order_and_amplitudes(bank):
    one, *others = bank.alternatives
    changed = [
        bank,
        replace(bank, amplitudes=(0.5, 1.6)),
        replace(bank, stimuli=others[0], others=(one, others[1])),
        Protocol(one, (others[0],), (0.5, 1.5)),
        Protocol(one, (), (0.5, 1.5)),
        Protocol(one),
    ]
    assert len({protocol.digest() for protocol in changed}) == 6


def test_currents_and_specs_give_the_bank_again(bank):
    again = Protocol.rebuilt(bank.currents, bank.dt, bank.start, json.loads(json.dumps(bank.specs)))
    assert again.digest() == bank.digest() and again.specs == bank.specs
    assert make_protocol(bank.specs).digest() == bank.digest()
    alone = make_protocol([{"kind": "step", **SHORT}, {"kind": "ramp", **SHORT}])
    assert Protocol.rebuilt(alone.currents, alone.dt, alone.start, alone.specs).digest() == alone.digest()


def test_a_copy_of_a_cell_has_its_bank(bank, tmp_path):
    """Of formulas, and of files, whose samples and origin come along."""
    origin = {"file": "x.nwb", "sweep": 3, "window_ms": [1.0, 2.0]}
    ramps = [(stimuli.samples(np.arange(50.0) * k, 0.1, "x.nwb", origin=origin),) for k in (1, 2)]
    for number, protocol in enumerate((bank, Protocol(ramps[0], (ramps[1], ramps[1]), (1.0, 2.0)))):
        model = replace(cells.load("izhikevich"), protocol=protocol)
        copy = cells.load(cells.bundle(model, tmp_path / f"{number}"))
        assert copy.protocol.digest() == protocol.digest() and copy.protocol.amplitudes == protocol.amplitudes
    assert copy.protocol.stimuli[0].spec["origin"] == origin


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"amplitudes": [2, 1]}, "amplitudes 2 to 1: are factors, 0 < low <= high, such as 0.8 to 1.2"),
        ({"amplitudes": [0, 1]}, "amplitudes 0 to 1: are factors, 0 < low <= high, such as 0.8 to 1.2"),
        ({"amplitudes": [1]}, "amplitudes: must be two factors, such as [0.8, 1.2], got [1]"),
        ({"amplitudes": [True, 2]}, "amplitudes: must be two factors, such as [0.8, 1.2], got [True, 2]"),
        ({"bank": []}, "bank: is a list of stimuli, and beside it there may be amplitudes: [0.8, 1.2]"),
        ({"kind": "step"}, "bank: is a list of stimuli, and beside it there may be amplitudes: [0.8, 1.2]"),
        (
            {"bank": [STEPS["bank"][0], STEPS["bank"][:2]]},
            "a bank has 1 stimuli in one alternative and 2 in another; write as many in each",
        ),
        (
            {"bank": [STEPS["bank"][0], {"kind": "file", "path": "x.npz", "origin": 3}]},
            "file: origin must be a mapping that says where the samples are from, got 3",
        ),
    ],
)
def test_a_description_that_makes_no_bank(change, sentence):
    with pytest.raises(StimulusError) as error:
        make_protocol({**STEPS, **change})
    assert str(error.value) == sentence


def test_a_design_is_asked_of_one_stimulus_at_a_time(bank):
    model = replace(cells.load("izhikevich"), protocol=bank)
    with pytest.raises(StimulusError) as error:
        candidates.candidates(model)
    assert (
        str(error.value)
        == "izhikevich: its stimulus is a bank of 3 (step), another one for each set; name one with --stimuli"
    )
    assert not candidates.candidates(model, ["ramp"])[0].model.protocol.is_bank


# ---- A measured current beside it ----


def test_the_closest_waveform_is_found_whatever_its_scale():
    ramp, step = (make_protocol({"kind": kind, **SHORT}).stimuli for kind in ("ramp", "step"))
    mixed = Protocol(step, (ramp,), (0.9, 1.1))
    assert mixed.difference(3 * ramp[0].window) == approx(0, abs=1e-9)
    assert mixed.rescaled_to(3 * ramp[0].window).windows[0] == approx(3 * ramp[0].window)
    assert mixed.factors(3 * ramp[0].window, 0.05) == approx(np.array([[3.0]]))
    assert mixed.difference(-ramp[0].window) == np.inf


def test_of_like_waveforms_that_of_the_strength_is_taken(bank):
    current = 19 * bank.windows[0] / 10
    taken = bank.rescaled_to(current)
    assert taken.windows == approx(current) and taken.stimuli[0].scale == approx(19)
    assert sorted(bank.factors(current, 0.05)[:, 0]) == approx([0.95, 1.9, 3.8])


# ---- Shards ----


@pytest.fixture
def run(bank, tmp_path):
    """A run of 20 sets with made-up traces, two of which failed."""
    model, random = replace(cells.load("izhikevich"), protocol=bank), np.random.default_rng(1)
    about = manifest.describe(model, seed=1, sets_a_shard=20, engine="neuron")
    unit, (index, factor) = model.space.draw(1, 0, 20), bank.draw(1, 0, 20)
    status = np.zeros(20, np.uint8)
    status[[3, 8]] = 4
    volts = shards.to_counts(random.uniform(-90, 40, (20, 1, 1, 50)))
    volts[status > 0] = shards.MISSING
    held = Shard(
        model.space.to_phys(unit),
        unit,
        volts,
        status,
        bank.currents,
        shards.attributes_of(about, 0),
        index,
        factor,
    )
    textfile.write_atomic(tmp_path / "run" / "run.json", textfile.to_json(about))
    cells.bundle(model, tmp_path / "run" / "cell")
    shards.write(tmp_path / "run" / shards.name_of(0), held)
    return tmp_path / "run"


def problems(run):
    (verdict,) = verify([run])
    return [str(problem).removeprefix(f"{run}/") for problem in verdict.problems]


def test_a_shard_says_what_each_set_got(run, bank):
    with h5py.File(run / shards.name_of(0)) as file:
        shapes = {name: file[name].shape for name in ("stims", "currents", "stim_index", "stim_scale")}
        assert shapes == {"stims": (3, 1, 50), "currents": (3, 1, 50), "stim_index": (20,), "stim_scale": (20,)}
        by_hand = [file["stims"][i] * f for i, f in zip(file["stim_index"], file["stim_scale"], strict=True)]
    shard = shards.read(run / shards.name_of(0))
    assert np.array_equal(shard.injected, by_hand) and len({row.tobytes() for row in shard.injected}) == 20
    for row in (0, 19):
        got = bank.of(shard.stim_index[row], shard.stim_scale[row])
        assert np.array_equal(shard.injected[row], got.windows)
        assert np.array_equal(recordings.read(run / shards.name_of(0), row).currents, got.windows)
    some = shards.read(run / shards.name_of(0), [4, 5])
    assert np.array_equal(some.injected, shard.injected[4:6])


def test_without_a_bank_there_is_no_more_in_a_shard_than_before(izhikevich_run):
    with h5py.File(izhikevich_run / shards.name_of(0)) as file:
        assert not {"stim_index", "stim_scale"} & set(file)
    shard = shards.read(izhikevich_run / shards.name_of(0))
    assert shard.stim_index is None and shard.injected.shape == (20, 1, 9000)
    assert (shard.injected == shard.currents[:, -9000:]).all()


def test_a_run_of_a_bank_is_verified_and_told(run):
    assert problems(run) == []
    lines = overview(run).lines()
    assert "  cell       izhikevich, 4 parameters, a bank of 3 (step), each times 0.5 to 1.5" in lines
    assert overview(run).traces == 20


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("stim_index", lambda x: (x + 1) % 3, "stim_index and stim_scale are not what seed and set numbers draw"),
        ("stim_scale", lambda x: x * 1.01, "stim_index and stim_scale are not what seed and set numbers draw"),
        ("currents", lambda x: x * 1.01, "currents are not those of its content_hash"),
    ],
)
def test_what_a_bank_adds_is_verified(run, name, change, told):
    path = run / shards.name_of(0)
    held = shards.read(path)
    shards.write(path, replace(held, **{name: change(getattr(held, name))}))
    (problem,) = problems(run)
    assert problem.startswith(f"{path.name}: {told}")


def test_a_copy_of_the_cell_with_fewer_alternatives_is_told_as_that(run):
    path = next((run / "cell").glob("*.yaml"))
    held = yaml.safe_load(path.read_text())
    held["stimulus"]["bank"].pop()
    path.write_text(yaml.safe_dump(held, sort_keys=False))
    (told,) = problems(run)
    assert told.startswith("cell/izhikevich.yaml: is not the cell that was simulated: protocol.bank.2.0.")


def test_exports_say_what_each_set_got(run, tmp_path):
    export([run], tmp_path / "all.npz")
    held = np.load(tmp_path / "all.npz")
    good = shards.load_runs([run])
    assert held["volts"].shape[0] == len(held["stim_index"]) == len(good.injected) == 18
    assert np.array_equal(held["stims"][held["stim_index"]] * held["stim_scale"][:, None, None], good.injected)
    export([run], tmp_path / "all.safetensors")
    from safetensors.numpy import load_file

    assert load_file(tmp_path / "all.safetensors")["currents"] == approx(good.injected.reshape(18, 50), rel=1e-6)


# ---- From recordings ----


def stepped(level, size=4000, at=1000, noise=0.0, seed=1):
    current = np.zeros(size)
    current[at : at + 500] = level
    return current + noise * np.random.default_rng(seed).standard_normal(size)


def write_recording(path, currents, dt=0.1):
    volts = np.random.default_rng(1).normal(-70, 1, (1, *np.atleast_2d(currents).shape))
    Recording(volts, np.array(currents), dt, path.name).save(path)
    return path


def test_all_sweeps_are_cut_to_the_window_around_the_largest_change(tmp_path):
    path, lines = write_recording(tmp_path / "a.npz", [stepped(k) for k in (0.1, 0.3, 0.2)]), []
    bank = banks.from_files([path], report=lines.append)
    assert len(bank.alternatives) == 3 and bank.amplitudes == (0.8, 1.2) and bank.length == 3000
    assert [rows[0].window.max() for rows in bank.alternatives] == [0.1, 0.3, 0.2]
    origin = bank.alternatives[1][0].spec["origin"]
    assert origin == {
        "file": "a.npz",
        "sweep": 0,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "window_ms": [40.0, 340.0],  # 300 ms, a fifth of it before the step at 100 ms
        "recorded_step_ms": 0.1,
    }
    assert lines == [
        "stimulus: 3 of a.npz, 40 to 340 ms, 3000 samples of 0.1 ms; each set gets one of them times 0.8 to 1.2"
    ]


def test_a_window_and_amplitudes_may_be_asked_for(tmp_path):
    path = write_recording(tmp_path / "a.npz", [stepped(k) for k in (0.1, 0.3)])
    bank = banks.from_files([path], (0.5, 2.0), (90, 120))
    assert (bank.amplitudes, bank.length) == ((0.5, 2.0), 300) and not bank.windows[:, :, :100].any()
    assert bank.alternatives[0][0].spec["origin"]["window_ms"] == [90, 120]
    with pytest.raises(RecordingError, match=r"a\.npz: 90 to 500 ms is no piece of its 0 to 400 ms"):
        banks.from_files([path], None, (90, 500))


def test_several_files_are_one_bank_at_the_coarsest_step_and_the_shortest_length(tmp_path):
    paths = [write_recording(tmp_path / "a.npz", stepped(0.1, 4000), 0.05)]
    np.savetxt(
        tmp_path / "b.csv",
        np.column_stack([np.arange(1500) * 0.1, stepped(0.2, 1500, 500)]),
        "%g",
        ",",
        header="time,current",
        comments="",
    )
    lines = []
    bank = banks.from_files([*paths, tmp_path / "b.csv"], report=lines.append)
    assert (bank.dt, bank.length, len(bank.alternatives)) == (0.1, 1500, 2)
    first = bank.alternatives[0][0].window
    assert (
        first[:490] == approx(0, abs=2e-3)
        and first[510:740] == approx(0.1, abs=2e-3)
        and first[760:] == approx(0, abs=2e-3)
    )
    assert np.array_equal(bank.alternatives[1][0].window, stepped(0.2, 1500, 500))
    assert (
        lines[0]
        == "resampled from steps of 0.05 to 0.1 ms to 0.1 ms, through an anti-alias filter (scipy's resample_poly)"
    )


@pytest.mark.parametrize(("recorded", "step"), [(0.005, 0.02), (0.02, 0.02), (0.04, 0.04), (0.25, 0.1)])
def test_steps_are_brought_into_0_02_to_0_1_ms(tmp_path, recorded, step):
    size = round(100 / recorded)
    wave = 0.1 * np.sin(2 * np.pi * np.arange(size) * recorded / 20)  # 50 Hz, which any of these steps holds
    write_recording(tmp_path / "a.npz", [wave, 2 * wave], recorded)
    bank = banks.from_files([tmp_path / "a.npz"])
    assert bank.dt == step
    wanted = 0.1 * np.sin(2 * np.pi * np.arange(bank.length) * step / 20)
    assert bank.windows[0, 0, 50:-50] == approx(wanted[50:-50], abs=2e-3)


def test_what_the_new_step_cannot_hold_is_filtered_and_not_folded_back(tmp_path):
    """A sine of 40 kHz, of which every fourth sample would be one of 10 kHz."""
    wave = np.sin(2 * np.pi * 40 * np.arange(20000) * 0.005)
    assert np.abs(wave[::4]).max() > 0.5
    made = recordings.resampled(Recording(wave, wave, 0.005), 0.02)
    assert np.abs(made.currents[0, 20:-20]).max() < 0.01 and made.volts.shape == (1, 1, 5000)


def test_one_current_is_no_bank_and_a_stimulus_file_is_taken_as_it_is(tmp_path):
    np.savez(tmp_path / "piece.npz", current=stepped(0.1), dt=0.1)
    alone = banks.from_files([tmp_path / "piece.npz"])
    assert not alone.is_bank and alone.digest() == Protocol((stimuli.from_file(tmp_path / "piece.npz"),)).digest()
    assert alone.specs == [{"kind": "file", "scale": 1.0, "path": "piece.npz", "lead": 100.0}]
    scaled = banks.from_files([tmp_path / "piece.npz"], (0.5, 1.5))
    assert scaled.is_bank and len(scaled.alternatives) == 1 and scaled.length == 3000


def test_columns_of_other_names_count_by_their_units(tmp_path):
    rows = (f"{0.02e-3 * k:.5f},-65,{100 * (k >= 500)}" for k in range(2000))
    (tmp_path / "own.csv").write_text("\n".join(["Time (s),Vm (mV),I (pA)", *rows]))
    made = banks.from_files([tmp_path / "own.csv"])
    assert made.dt == approx(0.02) and made.windows.max() == approx(0.1) and not made.is_bank


def test_a_current_that_is_there_twice_is_taken_once(tmp_path):
    path, lines = write_recording(tmp_path / "a.npz", [stepped(k) for k in (0.1, 0.3, 0.1)]), []
    bank = banks.from_files([path], report=lines.append)
    assert [rows[0].window.max() for rows in bank.alternatives] == [0.1, 0.3]
    assert lines[0] == "1 sweeps have the same current as another one; each is taken once"


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ({"volts": VOLTS, "dt": 0.1}, "a.npz: holds no current; a stimulus is a recorded current"),
        ({"dt": 0.1}, "a.npz: no current inside; a stimulus needs current (T,) nA and dt ms"),
        (
            {"volts": VOLTS, "current": np.ones((2, 5000)), "dt": 0.1},
            "a.npz: its current does not change; say where with --window",
        ),
    ],
)
def test_files_that_hold_no_stimulus(tmp_path, held, sentence):
    np.savez(tmp_path / "a.npz", **held)
    with pytest.raises((RecordingError, StimulusError)) as error:
        banks.from_files([tmp_path / "a.npz"])
    assert str(error.value) == sentence
