"""An ensemble that was saved answers as before; a folder that is not whole says so in one sentence."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nrn_mlfit import cells, shards
from nrn_mlfit.errors import EnsembleError, MachineError
from nrn_mlfit.learn import Ensemble, card, shipped, storage
from nrn_mlfit.learn.alarm import SIGNALS

MEND = "copy the whole folder again, or train again"


@pytest.fixture
def saved(small_ensemble, tmp_path):
    """The folder of a saved ensemble."""
    folder = tmp_path / "ensembles" / "decay"
    small_ensemble.save(folder)
    return folder


def refusal(folder) -> str:
    with pytest.raises(EnsembleError) as error:
        Ensemble.load(folder)
    return str(error.value)


def rehash(folder, name):
    """Make ensemble.json agree with a file that was changed, as someone with intent would."""
    held = json.loads((folder / "ensemble.json").read_text())
    held["files"][name] = storage._hash(folder / name)
    (folder / "ensemble.json").write_text(json.dumps(held))


def test_answers_are_the_same_after_saving_bit_for_bit(small_ensemble, saved, window):
    again = Ensemble.load(saved)
    assert (again.predict(window) == small_ensemble.predict(window)).all()


def test_everything_else_survives_too(small_ensemble, saved):
    again = Ensemble.load(saved)
    assert (again.scaler, again.space, again.probes) == (
        small_ensemble.scaler,
        small_ensemble.space,
        {"soma": "soma(0.5)"},
    )
    assert again.space.names == ["tau", "amplitude"]  # the order of the cell file, not of the alphabet
    assert again.protocol.digest() == small_ensemble.protocol.digest()
    assert again.protocol.specs == small_ensemble.protocol.specs
    assert again.voltage_range == small_ensemble.voltage_range
    assert np.array_equal(again.validation_rms, small_ensemble.validation_rms)
    assert json.loads(json.dumps(again.record)) == json.loads(json.dumps(small_ensemble.record))
    assert cells.load(again.cell_folder).space == again.space


def test_the_folder_holds_what_is_promised(saved):
    names = {str(path.relative_to(saved)) for path in saved.rglob("*") if path.is_file()}
    members = {f"member-{k}.safetensors" for k in range(3)}
    cell = {"cell/decay.yaml", "cell/decay.hoc"}
    assert names == members | cell | {
        "ensemble.json",
        "stimulus.safetensors",
        "alarm.safetensors",
        "intervals.safetensors",
        "learning.png",
        "MODEL_CARD.md",
    }
    assert [path.name for path in saved.parent.iterdir()] == ["decay"]  # nothing temporary is left


def test_the_card_names_parameters_and_errors(saved, small_ensemble):
    card = (saved / "MODEL_CARD.md").read_text()
    for name, rms in zip(
        ("tau | 2 .. 20 | ms", "amplitude | 10 .. 60 | mV"), small_ensemble.validation_rms, strict=True
    ):
        assert f"| {name} | {50 * rms:.1f} |" in card


def test_shapes_of_answers(small_ensemble, window):
    assert small_ensemble.predict(window).shape == (3, 2, 2)
    assert small_ensemble.predict(window[:0]).shape == (3, 0, 2)
    assert small_ensemble.predict(window).std(axis=0).shape == (2, 2)
    assert (small_ensemble.predict(window).std(axis=0) > 0).all()  # members differ


def test_an_answer_does_not_depend_on_its_neighbours(small_ensemble, window):
    both = small_ensemble.predict(window)
    assert np.allclose(small_ensemble.predict(window[1:])[:, 0], both[:, 1], atol=1e-6)


@pytest.mark.parametrize("shape", [(600,), (1, 600), (2, 1, 600), (1, 1, 1, 599), (1, 2, 1, 600)])
def test_a_wrong_shape_is_one_sentence(small_ensemble, shape):
    with pytest.raises(EnsembleError) as error:
        small_ensemble.predict(np.zeros(shape))
    assert str(error.value) == f"voltages of shape {shape}; the ensemble needs (N, P, S, T) = ('N', 1, 1, 600)"


def test_no_answer_for_nan(small_ensemble, window):
    window[1, 0, 0, 17] = np.nan
    with pytest.raises(EnsembleError, match="^the voltages hold NaN or infinite samples; cut or mend the recording$"):
        small_ensemble.predict(window)


def test_what_was_known_of_the_cell_goes_into_every_fit(small_ensemble):
    known = replace(small_ensemble, record={**small_ensemble.record, "fixed": {"celsius": 34.0}})
    assert known.provenance() == {**small_ensemble.provenance(), "fixed": {"celsius": 34.0}}


def test_provenance_is_json(small_ensemble):
    held = json.loads(json.dumps(small_ensemble.provenance()))
    assert held["cell"] == "decay" and held["traces"] == 60
    assert held["simulation"] == {"substeps": 4, "start": 0, "stop": 600, "dt": 0.1, "current_unit": "nA"}


def test_a_judged_ensemble_tells_how_well_it_knows_each_parameter(small_ensemble):
    record = {**small_ensemble.record, "judged": judged()}
    held = json.loads(json.dumps(replace(small_ensemble, record=record).provenance()))
    assert held["evaluation"] == {"traces": 20000, "r2": {"tau": 0.991, "amplitude": 0.03}}
    assert held["made"] == ["nrn-mlfit train"]
    assert not {"evaluation", "made"} & set(small_ensemble.provenance())


def test_the_score_is_the_loudest_signal(small_ensemble, window):
    look = small_ensemble.look(window[:1])
    signals = small_ensemble.signals(look)
    assert len(signals) == len(SIGNALS) and max(signals.values()) == pytest.approx(small_ensemble.score(look)[0])


def test_a_folder_in_use_is_refused(small_ensemble, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(MachineError) as error:
        small_ensemble.save(tmp_path)
    assert str(error.value) == f"{tmp_path}: already there and not empty; name a new folder with -o"
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_an_empty_folder_is_taken(small_ensemble, tmp_path):
    small_ensemble.save(tmp_path)
    assert (tmp_path / "ensemble.json").is_file()


def test_a_place_that_cannot_be_written_is_one_sentence(small_ensemble, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"cannot be written \(File exists\); choose another folder"):
        small_ensemble.save(tmp_path / "file" / "ensemble")


def test_a_failure_while_saving_leaves_nothing(small_ensemble, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.card, "text", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        small_ensemble.save(tmp_path / "ensemble")
    assert list(tmp_path.iterdir()) == []


def test_no_ensemble_there(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path}: holds no ensemble (no ensemble.json); those that come with nrn_mlfit are ball_two_sticks, izhikevich, "
        f"izhikevich_steps, mainen, mainen_steps; train one with `nrn-mlfit train DIR -o {tmp_path}`"
    )


NEEDED = ["member-0.safetensors", "member-2.safetensors", "stimulus.safetensors", "cell/decay.yaml", "cell/decay.hoc"]


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file_is_one_sentence(saved, name):
    (saved / name).unlink()
    assert refusal(saved) == f"{saved}: {name} is missing; {MEND}"


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_cut_short_is_one_sentence(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    assert refusal(saved) == f"{saved}: {name} is not the file that was saved; {MEND}"


def test_pictures_and_card_may_be_thrown_away(saved):
    (saved / "learning.png").unlink()
    (saved / "MODEL_CARD.md").unlink()
    assert len(Ensemble.load(saved).members) == 3


def test_a_description_cut_short_is_one_sentence(saved):
    path = saved / "ensemble.json"
    path.write_text(path.read_text()[:500])
    assert re.fullmatch(re.escape(f"{path}: cannot be read as JSON (") + r".*\)", refusal(saved))


def test_intervals_and_alarm_are_the_same_after_loading(saved, small_ensemble, window):
    again = Ensemble.load(saved)
    look = small_ensemble.look(window)
    assert again.score(again.look(window)) == pytest.approx(small_ensemble.score(look), rel=1e-3)
    for level, ends in small_ensemble.intervals(look.answers).items():
        assert np.allclose(again.intervals(look.answers)[level], ends)


def test_another_format_version_is_one_sentence(saved):
    path = saved / "ensemble.json"
    path.write_text(path.read_text().replace('"format_version": 3', '"format_version": 9'))
    assert refusal(saved) == (
        f"{path}: is 'nrn_mlfit ensemble' version 9, this program reads 'nrn_mlfit ensemble' version 3; "
        "use the version of nrn-mlfit that wrote it"
    )


@pytest.mark.parametrize(
    "key", ["files", "design", "members", "scaler", "parameters", "probes", "protocol", "record", "dt"]
)
def test_a_key_that_is_gone_is_one_sentence(saved, key):
    path = saved / "ensemble.json"
    held = json.loads(path.read_text())
    del held[key]
    path.write_text(json.dumps(held))
    assert refusal(saved) == f"{path}: damaged (KeyError: '{key}'); {MEND}"


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("members", "three", "damaged (TypeError"),
        ("design", {"name": "x"}, "design x: conv_filter, conv_kernel, "),
        ("parameters", [{"name": "g", "low": 3, "high": 1, "sets": []}], "g: the range [3, 1] is empty or upside down"),
        ("scaler", {"floor": 1e9}, "the floor 1000000000.0 mV is outside"),
        ("voltage_range", [1], "damaged (IndexError"),
        ("files", ["a"], "damaged (AttributeError"),
    ],
)
def test_a_value_that_makes_no_sense_is_one_sentence(saved, key, value, words):
    path = saved / "ensemble.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    assert words in refusal(saved) and "\n" not in refusal(saved)


def test_weights_of_another_design_are_refused(saved):
    path = saved / "member-1.safetensors"
    tensors = load_file(path)
    name = "head.0.bias"
    save_file({**tensors, name: tensors[name][:-1].clone()}, path)
    rehash(saved, path.name)
    assert refusal(saved) == f"{path}: {name} is float32 (23,), the design needs float32 (24,); {MEND}"
    save_file({**tensors, name: tensors[name].double()}, path)
    rehash(saved, path.name)
    assert refusal(saved) == f"{path}: {name} is float64 (24,), the design needs float32 (24,); {MEND}"
    save_file({k: v for k, v in tensors.items() if k != name}, path)
    rehash(saved, path.name)
    assert refusal(saved) == f"{path}: {name} is missing; {MEND}"
    save_file({**tensors, "extra": tensors[name].clone()}, path)
    rehash(saved, path.name)
    assert refusal(saved) == f"{path}: extra is not part of the design; {MEND}"


def test_what_is_no_safetensors_file_is_one_sentence(saved):
    path = saved / "member-1.safetensors"
    path.write_bytes(b"PK\x03\x04 a pickle in a zip, say")
    rehash(saved, path.name)
    assert refusal(saved).startswith(f"{path}: cannot be read as safetensors (") and refusal(saved).endswith(MEND)


@pytest.fixture
def half(small_ensemble, tmp_path):
    """The ensemble as it is saved in float16, and read again."""
    record = {**small_ensemble.record, "training": {**small_ensemble.record["training"], "weights": "float16"}}
    members = tuple(storage.rounded(deepcopy(member), "float16") for member in small_ensemble.members)
    replace(small_ensemble, record=record, members=members).save(tmp_path / "half")
    return Ensemble.load(tmp_path / "half"), members


def test_float16_takes_half_the_space_and_answers_almost_the_same(half, small_ensemble, saved, window, tmp_path):
    again, _ = half
    sizes = [(folder / "member-0.safetensors").stat().st_size for folder in (tmp_path / "half", saved)]
    assert sizes[0] < 0.6 * sizes[1]
    assert again.predict(window) == pytest.approx(small_ensemble.predict(window), abs=0.01)


def test_what_was_calibrated_is_what_is_loaded(half, window):
    again, members = half
    window = shards.to_millivolts(shards.to_counts(window))
    inputs = again.scaler.from_millivolts(torch.from_numpy(window.astype("float32"))).flatten(1, 2)
    with torch.inference_mode():
        assert (again.predict(window)[0] == members[0](inputs).numpy()).all()


def test_a_fit_of_many_traces_is_that_of_each(small_ensemble, window):
    """Also through the blocks in which many are worked on."""
    windows = np.repeat(window, 300, axis=0)
    many, lone = small_ensemble.fit(windows), small_ensemble.fit(window[1])
    assert many.values.shape == (600, 2)
    assert many.values[450] == pytest.approx(lone.values, rel=1e-5)
    assert many.bounds[0.9][:, 450] == pytest.approx(lone.bounds[0.9], rel=1e-5)
    assert many.score[450] == pytest.approx(lone.score, rel=1e-4)


def test_voltages_are_taken_as_a_shard_would_hold_them(small_ensemble, window):
    """Or else the alarm would hear that a trace straight from NEURON is not rounded."""
    stored = shards.to_millivolts(shards.to_counts(window))
    assert (window != stored).any()
    fresh, kept = small_ensemble.fit(window), small_ensemble.fit(stored)
    assert (fresh.score == kept.score).all() and (fresh.unit_par == kept.unit_par).all()


def test_voltages_that_are_none_are_refused(small_ensemble, window):
    with pytest.raises(EnsembleError, match="beyond .* mV; give them in mV"):
        small_ensemble.fit(1000 * window)


def test_a_lone_trace_may_come_as_it_is(small_ensemble, window):
    whole, row = small_ensemble.fit(window[0]), small_ensemble.fit(window[0, 0, 0])
    assert (whole.values == row.values).all()
    assert whole.values.shape == (2,)
    assert str(whole).startswith("tau ")


def test_the_answer_is_what_its_members_say_in_physical_units(small_ensemble, window):
    answer, members = small_ensemble.fit(window), small_ensemble.predict(window)
    low, high = np.array([2, 10]), np.array([20, 60])
    expected = low + (np.clip(members.mean(axis=0), -1, 1) + 1) / 2 * (high - low)
    assert answer.values == pytest.approx(expected, rel=1e-5)
    assert (answer.bounds[0.9][0] <= answer.values).all()
    assert (answer.values <= answer.bounds[0.9][1]).all()


def test_a_name_is_that_of_a_shipped_ensemble_unless_a_folder_has_it(monkeypatch, saved, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", saved.parent)
    monkeypatch.chdir(tmp_path)
    assert shipped.names() == ["decay"]
    assert shipped.find("decay") == saved
    (tmp_path / "decay").mkdir()
    assert shipped.find("decay") == saved  # of runs, perhaps
    (tmp_path / "decay" / "ensemble.json").write_text("{}")
    assert shipped.find("decay") == Path("decay")
    assert "those that come with nrn_mlfit are decay" in refusal(tmp_path / "none")


def judged() -> dict:
    row = {"r2": 0.991, "rms": 0.5, "rms_percent": 2.75, "unit": "ms", "coverage": {"0.5": 0.512, "0.68": 0.684}}
    row |= {"raw": {"0.68": 0.41}, "against_constant": {"0.9": 0.83}}
    loose = {**row, "r2": 0.03}
    evaluation = {"traces": 20000, "mse": 0.0123, "parameters": {"tau": row, "amplitude": loose}}
    evaluation["unconstrained"] = ["amplitude"]
    shift = {"name": "a flat line", "sets": 2000, "auroc": 0.876, "detected": 0.543, "signal": "the answers lie"}
    return {"evaluation": evaluation, "shifts": [shift], "made": "    nrn-mlfit train"}


def test_the_card_of_a_judged_ensemble_tells_the_verdicts(small_ensemble, tmp_path):
    replace(small_ensemble, record={**small_ensemble.record, "judged": judged()}).save(tmp_path / "judged")
    card = (tmp_path / "judged" / "MODEL_CARD.md").read_text()
    assert "0.0123; as far as these networks can tell, this stimulus does not constrain amplitude." in " ".join(
        card.split()
    )
    assert "| tau | 0.991 | 0.5 | ms | 2.75 |" in card
    assert "| tau | 51.2 | 68.4 | 41.0 | 0.83 |" in card
    assert "| a flat line | 0.876 | 54.3 | the answers lie |" in card
    assert "## How it was made\n\n    nrn-mlfit train\n" in card


@pytest.mark.parametrize(("rms", "said"), [([0.55, 0.57], True), ([0.55, 0.3], False)])
def test_a_training_that_learned_nothing_says_so(small_ensemble, rms, said):
    """The middle of the range as the answer has an rms error of 1/sqrt(3), 0.577, in unit parameters."""
    from nrn_mlfit.learn import card

    lines = card.summary(replace(small_ensemble, validation_rms=np.array(rms)))
    assert ("hardly anything was learned: train for longer, or on more traces" in lines) == said


def test_a_compiler_is_named_once_in_the_card():
    versions = {"g++": "g++ (Debian 12.2.0-14) 12.2.0", "numpy": "2.4.6"}
    held = SimpleNamespace(record={"versions": versions})
    assert card._versions(held) == "g++ (Debian 12.2.0-14) 12.2.0, numpy 2.4.6"
