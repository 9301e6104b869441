"""A Fit from an ensemble that answers what the test wants: values, spreads, verdicts, and what is refused."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import fit, results, stimuli
from nrn_mlfit.errors import EnsembleError, FitError
from nrn_mlfit.learn import Ensemble
from nrn_mlfit.parameters import Parameter, ParameterSpace
from nrn_mlfit.recordings import Recording
from nrn_mlfit.stimuli import Protocol

CHIRP = stimuli.reset_chirp(0.2)
SPACE = ParameterSpace((Parameter("g", 100, 300, "pS/um2"), Parameter("tau", 1, 100, "ms", scale="log")))


@pytest.fixture
def ensemble():
    """A function: an ensemble whose M members answer `answers` (M, 2) to any trace."""

    def make(*answers, protocol=None, score=0.3):
        held = SimpleNamespace(
            space=SPACE,
            protocol=protocol or Protocol((CHIRP,)),
            probes={"soma": "soma(0.5)"},
            voltage_range=(-80.0, 40.0),
            validation_rms=np.array([0.5, 0.02]),
            look=lambda volts, currents: SimpleNamespace(answers=np.array(answers)[:, None]),
            score=lambda look: np.array([score]),
            signals=lambda look: {"the networks disagree": -1.0, "the voltages are odd": score},
            alarm=SimpleNamespace(threshold=1.1),
            intervals=lambda held: {0.68: _around(held, 0.1), 0.9: _around(held, 0.3)},
            provenance=lambda: {"cell": "mine"},
        )
        held.answer = partial(Ensemble.answer, held)
        return held

    return make


def _around(answers, half):
    middle = answers.mean(axis=0)
    return np.stack([middle - half, middle + half])


@pytest.fixture
def recording():
    volts = np.linspace(-70, 30, 9000)
    return Recording(volts, CHIRP.window, 0.02, "mine.npz", truth={"g": 150.0})


def test_values_are_the_members_mean_in_units(ensemble, recording):
    found = fit.fit_recording(ensemble([-0.5, -1.0], [0.5, 1.0]), recording)
    g, tau = found.values
    assert (g.name, g.value, g.unit, g.low, g.high, g.unit_par) == ("g", approx(200), "pS/um2", 100, 300, approx(0))
    assert g.spread == approx(np.std([150, 250]))
    assert (tau.value, tau.spread) == (approx(10), approx(np.std([1, 100])))
    assert found.provenance == {"cell": "mine"} and found.recording["name"] == "mine.npz"


def test_the_table_names_what_was_given_beside_what_was_fitted(ensemble, recording):
    found = fit.fit_recording(ensemble([0, 0]), recording)
    known = replace(found, provenance={"cell": "mine", "fixed": {"celsius": 34.0}})
    lines, more = ([*results.table(results.Result(Path("f"), one, None))] for one in (found, known))
    assert more == [*lines, "celsius              34  given, not fitted"]


def test_the_error_is_in_percent_of_the_range_where_the_truth_is_known(ensemble, recording):
    g, tau = fit.fit_recording(ensemble([0, 0]), recording).values
    assert (g.truth, g.error) == (150, approx(25))
    assert (tau.truth, tau.error) == (None, None)


def test_intervals_are_the_ensembles_in_units(ensemble, recording):
    """A log scale's are as wide in the logarithm to either side."""
    g, tau = fit.fit_recording(ensemble([0, 0]), recording).values
    assert (g.lo68, g.hi68, g.lo90, g.hi90) == (approx(190), approx(210), approx(170), approx(230))
    assert (tau.lo68, tau.hi90) == (approx(10**0.9), approx(10**1.3))


def test_a_trace_in_range_has_no_warning(ensemble, recording):
    found = fit.fit_recording(ensemble([1.09, -1.01]), recording)
    assert (found.warnings, found.verdict) == ((), "in range")
    assert [v.value for v in found.values] == approx([300, 1])  # values stay inside their ranges


def test_a_strange_trace_gives_the_alarm(ensemble, recording):
    found = fit.fit_recording(ensemble([0, 0], score=2.35), recording)
    assert found.warnings == (
        "the trace is not like those that were trained on: the voltages are odd (score 2.4, alarm from 1.1)",
    )
    assert (found.score, found.verdict) == (2.35, "OUT OF RANGE: do not trust these values")


def test_the_signals_are_kept_and_the_threshold(ensemble, recording, tmp_path):
    held = ensemble([0, 0], score=2.35)
    signals = {"the networks disagree": -1.0, "the voltages are odd": 2.35}
    assert fit.fit_recording(held, recording).alarm == {"threshold": 1.1, "signals": signals}
    held.alarm.threshold = np.inf  # too few traces to say
    found = fit.fit_recording(held, recording)
    found.save(tmp_path / "fit.json")
    assert fit.load(tmp_path / "fit.json").alarm["threshold"] is None and not found.warnings


def test_a_fit_of_an_older_version_is_read(ensemble, recording, tmp_path):
    fit.fit_recording(ensemble([0, 0]), recording).save(tmp_path / "fit.json")
    held = json.loads((tmp_path / "fit.json").read_text())
    del held["alarm"], held["values"][0]["scale"]
    (tmp_path / "fit.json").write_text(json.dumps(held))
    found = fit.load(tmp_path / "fit.json")
    assert (found.alarm, found.values[0].scale, found.values[1].scale) == ({}, "linear", "log")


def test_of_a_log_range_the_error_is_in_percent_of_its_decades(ensemble, recording):
    known = replace(recording, truth={"tau": 10**1.5})
    tau = fit.fit_recording(ensemble([0, 0]), known).values[1]
    assert (tau.scale, tau.share(tau.low), tau.share(tau.high)) == ("log", 0, 1)
    assert tau.error == approx(-25)


def test_answers_beyond_their_range_are_out_of_range(ensemble, recording):
    found = fit.fit_recording(ensemble([1.11, -1.03]), recording)
    assert found.warnings == ("g lies above its range [100, 300] pS/um2", "tau lies below its range [1, 100] ms")
    assert found.verdict == "OUT OF RANGE: do not trust these values"


@pytest.mark.parametrize("extreme", [-81.5, 41.5])
def test_voltages_that_were_never_seen_are_out_of_range(ensemble, recording, extreme):
    volts = recording.volts.copy()
    volts[0, 0, 4000] = extreme
    (warning,) = fit.fit_recording(ensemble([0, 0]), replace(recording, volts=volts)).warnings
    low, high = min(-70.0, extreme), max(30.0, extreme)
    assert warning == f"voltages {low:.1f} to {high:.1f} mV leave what was trained on, -80.0 to 40.0 mV"


def refused(ensemble, recording):
    with pytest.raises(EnsembleError) as error:
        fit.fit_recording(ensemble, recording)
    return str(error.value)


def test_another_sample_step_is_refused(ensemble, recording):
    assert refused(ensemble([0, 0]), replace(recording, dt=0.05)) == (
        "mine.npz: sampled every 0.05 ms, the ensemble needs 0.02 ms; "
        "resample the recording, or train an ensemble for this step"
    )


def test_another_window_is_refused(ensemble, recording):
    assert refused(ensemble([0, 0]), recording.cut(0, 100)) == (
        "mine.npz: holds 5000 samples, the ensemble needs 9000 samples; "
        "cut the recording to that window (`nrn-mlfit recording`)"
    )


def test_other_probes_or_stimuli_are_refused(ensemble, recording):
    two = replace(recording, volts=np.zeros((2, 1, 9000)))
    assert refused(ensemble([0, 0]), two) == (
        "mine.npz: holds 2 probes x 1 stimulus x 9000 samples, the ensemble needs 1 probe x 1 stimulus x 9000 samples; give "
        "the voltages of that probe alone (soma), as volts (P, S, T) (docs/recordings.md), or take an ensemble of the probes "
        "that were recorded"
    )


def three_four_five(wave):
    """4 x wave and 3 x something across it of the same size: 3/5 of the sum is not the wave."""
    across = np.roll(wave, 1)[::-1]
    across -= wave * (across @ wave) / (wave @ wave)
    return 4 * wave + 3 * across * np.sqrt((wave @ wave) / (across @ across))


@pytest.mark.parametrize(
    ("current", "part"), [(-CHIRP.window, "all"), (0 * CHIRP.window, "all"), (three_four_five(CHIRP.window), "60%")]
)
def test_another_waveform_is_refused_whatever_its_scale(ensemble, recording, current, part):
    assert refused(ensemble([0, 0]), replace(recording, currents=current)) == (
        f"mine.npz: its current is not the ensemble's stimulus reset_chirp: {part} of it differs in shape; "
        "simulate and train with this current (--stimulus), or fit a recording made with that stimulus"
    )


def test_a_recording_without_a_current_is_refused_until_it_is_named(ensemble, recording):
    held, blind = ensemble([0, 0]), replace(recording, currents=None)
    assert refused(held, blind) == (
        "mine.npz: holds no current; say with --stimulus what was injected (the ensemble learned from reset_chirp)"
    )
    named = fit.with_stimulus(held.protocol, blind, "reset_chirp")
    assert np.array_equal(named.currents[0], CHIRP.window)
    with pytest.raises(EnsembleError) as error:
        fit.with_stimulus(held.protocol, blind, "step")
    assert str(error.value) == (
        "--stimulus step: the ensemble learned from reset_chirp; name that, or use another ensemble"
    )


def test_the_stimulus_may_be_given_as_a_file(ensemble, recording, tmp_path):
    held, blind = ensemble([0, 0]), replace(recording, currents=None)
    np.savez(tmp_path / "same.npz", current=7 * CHIRP.window, dt=0.02)
    np.savez(tmp_path / "other.npz", current=np.ones(9000), dt=0.02)
    assert np.array_equal(fit.with_stimulus(held.protocol, blind, tmp_path / "same.npz").currents[0], CHIRP.window)
    with pytest.raises(EnsembleError, match="other.npz: the ensemble learned from reset_chirp; name that"):
        fit.with_stimulus(held.protocol, blind, tmp_path / "other.npz")


def test_a_saved_fit_is_loaded_the_same(ensemble, recording, tmp_path):
    found = fit.fit_recording(ensemble([0.1, 1.5]), recording)
    found.save(tmp_path / "fit.json")
    assert fit.load(tmp_path / "fit.json") == found
    assert json.loads((tmp_path / "fit.json").read_text())["verdict"] == found.verdict


def test_a_folder_without_a_fit_is_refused(tmp_path):
    with pytest.raises(FitError) as error:
        fit.load(tmp_path / "fit.json")
    assert str(error.value) == f"{tmp_path}: holds no fit (no fit.json); make one with `nrn-mlfit fit`"


def test_a_file_that_is_no_fit_is_refused(tmp_path):
    (tmp_path / "fit.json").write_text('{"values": [{"name": "g"}]}')
    with pytest.raises(FitError, match=r"fit\.json: is no fit \(.*\); make one with `nrn-mlfit fit`$"):
        fit.load(tmp_path / "fit.json")


@pytest.mark.parametrize(("factor", "warned"), [(1.0, False), (1.03, False), (0.8, True), (3.0, True)])
def test_another_amplitude_is_fitted_but_out_of_range(ensemble, recording, factor, warned):
    loud = Recording(recording.volts, factor * CHIRP.window, 0.02, "mine.npz")
    warnings = fit.fit_recording(ensemble([0, 0]), loud).warnings
    assert warnings == ((f"the current is {factor:.2f} times the one that was trained on",) if warned else ())


@pytest.mark.parametrize(("answer", "told"), [([0.995, 0.0], "g"), ([0.0, -1.0], "tau"), ([0.9, -0.9], "")])
def test_a_search_that_went_to_the_end_of_a_range_says_so(ensemble, recording, answer, told):
    """Within 1 % of a range; of a log range in its decades: tau from 1 to 100 at 0.9 less than a decade is 1.26."""
    found = fit.fit_recording(ensemble(answer, answer), recording)
    search = {"simulations": 64, "seed": 1, "distance": [30.0, 3.0]}
    found = replace(found, provenance={**found.provenance, "search": search})
    ends = f"; at an end of their ranges, which may be too narrow: {told}" if told else ""
    assert found.searched.endswith(f"3 for the nearest; intervals and verdict are the ensemble's{ends}")
