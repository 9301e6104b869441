"""`nrn-mlfit stimuli`: every kind, its settings, and examples that work."""

import re

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from nrn_mlfit import stimuli
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import MlfitError


def run(*words):
    done = CliRunner().invoke(cli, ["stimuli", *map(str, words)])
    if isinstance(done.exception, MlfitError):
        raise done.exception
    return done.output


def test_every_kind_is_listed_with_its_settings():
    assert re.findall(r"^(\w+)$", run(), re.MULTILINE) == [*stimuli.KINDS, "file"]
    assert "  settings  scale 1 nA, delay 50 ms, duration 200 ms, total 300 ms, dt 0.02 ms, lead 0 ms\n" in run()
    assert "  settings  path (needed), scale 1 times, lead 100 ms\n" in run()


def test_every_setting_that_is_a_time_has_its_unit():
    for setting in re.findall(r"\b(delay|duration|total|tau|dt|lead) [\d.]+(.*?)[,\n]", run()):
        assert setting[1] == " ms", setting


def test_each_example_makes_the_stimulus_it_stands_for(tmp_path):
    np.savez(tmp_path / "piece.npz", current=np.ones(10), dt=0.1)
    lines = re.findall(r"example   (stimulus: .*)", run())
    made = [stimuli.make(yaml.safe_load(line)["stimulus"], tmp_path) for line in lines]
    assert [s.name for s in made] == [*stimuli.KINDS, "file"]


def test_the_picture(tmp_path):
    out = tmp_path / "stimuli.svg"
    assert run("-o", out).endswith(f"picture: {out}\n")
    assert b"<svg" in out.read_bytes()


def test_an_unknown_picture_format_is_refused(tmp_path):
    with pytest.raises(MlfitError) as error:
        run("-o", tmp_path / "a.txt")
    assert str(error.value) == f"{tmp_path / 'a.txt'}: a picture's name ends in .png, .pdf, .svg; choose one of them"
