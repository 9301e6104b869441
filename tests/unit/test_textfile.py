"""Text files: YAML without surprises, JSON without NaN, and files that are whole or not there."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit import folders, textfile
from nrn_mlfit.errors import CellError, FitError, MachineError


@pytest.fixture
def yaml_of(tmp_path):
    def read(text):
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return textfile.read_yaml(path)

    return read


@pytest.mark.parametrize("text", ["1e-4", "1E-4", ".1e-3", "1.e-4", "0.0001", "+1e-4", "1.0e-04"])
def test_a_number_is_a_number_however_people_write_it(yaml_of, text):
    assert yaml_of(f"low: {text}") == {"low": 1e-4}


def test_what_the_docs_call_one_number_is_one(yaml_of):
    docs = Path(__file__).parents[2] / "docs" / "cell_files.md"
    (line,) = (line for line in docs.read_text().splitlines() if line.endswith(" are one number."))
    assert [yaml_of(f"low: {text}") for text in re.findall("`(.+?)`", line)] == [{"low": 0.001}] * 3


@pytest.mark.parametrize("text", ["e-4", "1e", "1e-4x", "soma1e4", "'1e-4'"])
def test_a_word_stays_a_word(yaml_of, text):
    assert yaml_of(f"low: {text}") == {"low": text.strip("'")}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}", "a.yaml, line 3: 'c' is given twice"),
        ("a: &x 1\nb: *x", "a.yaml, line 2: aliases are not allowed"),
        ("a: " + "[" * 13 + "]" * 13, "a.yaml, line 1: nested too deeply"),
        ("a: 1\n\tb: 2", "a.yaml, line 2: found character '\\t' that cannot start any token"),
        ("on: 1", "a.yaml, line 1: the key True is not a word"),
        ("[a, b]: 1", "a.yaml, line 1: the key ['a', 'b'] is not a word"),
        ("a: !!python/object/apply:os.getcwd []", "a.yaml, line 1: could not determine a constructor for the tag "),
        ("a: 1\n---\nb: 2", "a.yaml, line 2: but found another document"),
        (b"a: \xff", "a.yaml: cannot be read as text ('utf-8' codec"),
        ("a: \x00", "a.yaml: not YAML (unacceptable character"),
        ("a: 2019-13-41", "a.yaml: not YAML (month must be in 1..12"),
        ("#" * 1_000_001, "a.yaml: larger than 1000000 bytes; that is no description of a cell or network"),
    ],
)
def test_yaml_with_a_surprise_is_refused(yaml_of, text, sentence):
    with pytest.raises(CellError, match=re.escape(sentence)):
        yaml_of(text)


@pytest.mark.parametrize("depth", [5, 10])
def test_reasonable_depth_is_read(yaml_of, depth):
    assert yaml_of("a: " + "[" * depth + "]" * depth)


@pytest.mark.parametrize("content", [b"\x00\xff", "naïve\n"])
def test_a_written_file_holds_just_that(tmp_path, content):
    textfile.write_atomic(tmp_path / "new" / "a.txt", content)
    held = (tmp_path / "new" / "a.txt").read_bytes()
    assert held == (content if isinstance(content, bytes) else content.encode())
    assert os.listdir(tmp_path / "new") == ["a.txt"]


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError) as error:
        textfile.write_atomic(tmp_path / "a.txt", "new")
    assert str(error.value) == (
        f"{tmp_path / 'a.txt'}: cannot be written (No space left on device); choose another folder or free some space"
    )
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("write", [textfile.replacing, folders.whole])
def test_what_the_system_does_not_put_in_words_is_said_all_the_same(tmp_path, write):
    """Of a file as of a folder; h5py's errors, for one, have a text and no number."""
    path = tmp_path / "new" / "a"
    with pytest.raises(MachineError) as error, write(path):
        raise OSError("the file system went away")
    assert str(error.value) == (
        f"{path}: cannot be written (the file system went away); choose another folder or free some space"
    )
    assert os.listdir(tmp_path / "new") == []


def test_json_is_read_as_written(tmp_path):
    held = {"b": [1, 0.1], "a": {"c": None}}
    textfile.write_atomic(tmp_path / "a.json", textfile.to_json(held))
    assert textfile.read_json(tmp_path / "a.json", FitError) == held


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1', b"\xff"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FitError, match=r"a\.json: (cannot be read as JSON|holds no JSON object)"):
        textfile.read_json(tmp_path / "a.json", FitError)


def test_nan_is_not_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        textfile.to_json({"a": float("nan")})


@settings(max_examples=500, deadline=None)
@given(
    word=st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["No", "a #2", "b: c", "12", '"\\', "~"])
)
def test_a_word_is_read_as_it_was_written(word, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "word.yaml"
    lines = [f"word: {textfile.to_word(word)}  # a comment", f"words: {textfile.to_list([word, 'x'])}", ""]
    path.write_bytes("\n".join(lines).encode())
    assert textfile.read_yaml(path) == {"word": word, "words": [word, "x"]}


@pytest.mark.parametrize("word", ["my_cell", "S/cm2", "hoc/templates/a.hoc", "V@cell", "soma(0.5)", "gbar_na.somatic*"])
def test_a_plain_word_stays_plain(word):
    assert textfile.to_word(word) == word
