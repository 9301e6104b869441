"""MOD files: found, compiled once however many ask, and kept by what they hold."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nrn_mlfit import cells
from nrn_mlfit.errors import MechanismError
from nrn_mlfit.simulator import mechanisms

LEAK = """
NEURON { SUFFIX lk_%s RANGE g NONSPECIFIC_CURRENT i }
PARAMETER { g = 0.001 (S/cm2) }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT { i = g*v }
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("NEURON {\n    SUFFIX na\n}", ["na"]),
        ("NEURON { SUFFIX lk RANGE g }", ["lk"]),
        ("TITLE a POINT_PROCESS x\nNEURON { POINT_PROCESS Syn }", ["Syn"]),
        ("COMMENT\nSUFFIX old\nENDCOMMENT\nNEURON { : SUFFIX older\n SUFFIX new_one ? SUFFIX odd\n}", ["new_one"]),
    ],
)
def test_names_are_found_where_they_count(text, names, tmp_path):
    (tmp_path / "x.mod").write_text(text)
    assert mechanisms.names_in(tmp_path / "x.mod") == names


def test_shipped_mechanisms_are_there(h):
    for path in sorted(cells.shipped_folder("mod").glob("*.mod")):
        for name in mechanisms.names_in(path):
            assert h.name_declared(name), name


def test_the_key_follows_the_bytes(tmp_path):
    (tmp_path / "a.mod").write_text("one")
    before = mechanisms.key_of(tmp_path)
    (tmp_path / "a.mod").write_text("two")
    assert mechanisms.key_of(tmp_path) != before


def test_four_at_once_compile_once(tmp_path):
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "lk.mod").write_text(LEAK % "four")
    code = (
        f"import os; os.environ['NRN_MLFIT_CACHE'] = {str(tmp_path / 'ca che ü')!r}\n"
        "from pathlib import Path\nfrom nrn_mlfit.simulator import mechanisms as m\nfrom nrn_mlfit.simulator.door import hoc\n"
        f"m.load_mechanisms(Path({str(tmp_path / 'mod')!r}))\nprint(hoc().name_declared('lk_four'))\n"
    )
    four = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [p.communicate(timeout=120)[0].strip() for p in four] == ["1.0"] * 4
    built = [p for p in (tmp_path / "ca che ü" / "mechanisms").iterdir() if p.is_dir()]
    assert len(built) == 1 and [p.name for p in built[0].iterdir()] == ["libnrnmech.so"]


def test_a_build_is_not_made_twice(tmp_path, monkeypatch):
    folder = cells.shipped_folder("mod")
    library = mechanisms.build(folder)
    before = library.stat().st_mtime_ns
    time.sleep(0.01)
    assert mechanisms.build(folder) == library and library.stat().st_mtime_ns == before


def test_two_versions_of_a_mechanism_do_not_share_a_process(tmp_path):
    texts = [LEAK % "two", (LEAK % "two").replace("0.001", "0.002")]
    for number, text in enumerate(texts):
        (tmp_path / f"mod{number}").mkdir()
        (tmp_path / f"mod{number}" / "lk.mod").write_text(text)
    code = (
        "from nrn_mlfit.simulator import load_mechanisms\nfrom nrn_mlfit.errors import MechanismError\n"
        f"load_mechanisms({str(tmp_path / 'mod0')!r}); load_mechanisms({str(tmp_path / 'mod0')!r})\n"
        f"try:\n    load_mechanisms({str(tmp_path / 'mod1')!r})\nexcept MechanismError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == (
        f"lk_two: loaded already from {tmp_path / 'mod0'}, and {tmp_path / 'mod1'} has something else under that name; NEURON "
        "holds one mechanism of a name in a process, so start a new Python for the other one, or give it another SUFFIX"
    ), done.stderr


def test_what_neuron_loaded_by_itself_is_taken_if_it_is_the_same(tmp_path):
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "lk.mod").write_text(LEAK % "own")
    subprocess.run([mechanisms.nrnivmodl(), "mod"], cwd=tmp_path, check=True, capture_output=True)
    code = "from neuron import h\nimport nrn_mlfit\nnrn_mlfit.load_mechanisms('mod')\nprint(h.name_declared('lk_own'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "1.0", done.stderr
    (tmp_path / "mod" / "lk.mod").write_text((LEAK % "own").replace("0.001", "0.002"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (
        "lk_own: a name that NEURON knows already, of its own, of HOC or of MOD files that were loaded before "
        f"{tmp_path / 'mod'}; start a new Python and import nrn_mlfit before neuron, or give the mechanism another SUFFIX"
    ) in done.stderr


def test_an_x86_64_folder_in_the_working_folder_is_not_loaded(tmp_path):
    (tmp_path / "lk.mod").write_text(LEAK % "cwd")
    subprocess.run([mechanisms.nrnivmodl()], cwd=tmp_path, check=True, capture_output=True)
    assert list(tmp_path.glob("*/libnrnmech.so"))
    code = "from nrn_mlfit.simulator.door import hoc\nprint(hoc().name_declared('lk_cwd'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "0.0" and Path.cwd() != tmp_path


def test_two_folders_of_mechanisms_load_into_one_process(h, tmp_path):
    (tmp_path / "lk.mod").write_text(LEAK % "beside")
    mechanisms.load_mechanisms(tmp_path)
    assert h.name_declared("lk_beside") and h.name_declared("kca")


def test_of_two_folders_with_files_in_common_only_the_others_are_loaded(h, tmp_path):
    """And two files of one name, with mechanisms of two names, are two mechanisms."""
    for folder, odd, value in (("one", "odd_one", "0.002"), ("two", "odd_two", "0.003")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "common.mod").write_text(LEAK % "common")
        (tmp_path / folder / "odd.mod").write_text((LEAK % odd).replace("0.001", value))
        mechanisms.load_mechanisms(tmp_path / folder)
    mechanisms.load_mechanisms(tmp_path / "one")
    section = h.Section()
    for name in ("lk_common", "lk_odd_one", "lk_odd_two"):
        section.insert(name)
    assert (section.g_lk_common, section.g_lk_odd_one, section.g_lk_odd_two) == (0.001, 0.002, 0.003)


def test_one_name_that_is_taken_keeps_the_whole_folder_out(h, tmp_path):
    for folder, value in (("one", "0.002"), ("two", "0.003")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "taken.mod").write_text((LEAK % "taken").replace("0.001", value))
    (tmp_path / "two" / "free.mod").write_text(LEAK % "free")
    mechanisms.load_mechanisms(tmp_path / "one")
    with pytest.raises(
        MechanismError, match=f"^lk_taken: loaded already from {tmp_path / 'one'}, and {tmp_path / 'two'} has"
    ):
        mechanisms.load_mechanisms(tmp_path / "two")
    assert not h.name_declared("lk_free")


def test_a_mechanism_of_neuron_s_own_is_not_replaced(h, tmp_path):
    (tmp_path / "hh.mod").write_text((LEAK % "own").replace("lk_own", "hh"))
    with pytest.raises(
        MechanismError, match="^hh: a name that NEURON knows already, of its own, of HOC or of MOD files"
    ):
        mechanisms.load_mechanisms(tmp_path)


def test_a_file_without_a_mechanism_is_loaded_for_its_functions(h, tmp_path):
    (tmp_path / "f.mod").write_text("NEURON { SUFFIX nothing }\nFUNCTION twice_of_test(x) { twice_of_test = 2*x }\n")
    mechanisms.load_mechanisms(tmp_path)
    assert h.twice_of_test(4) == 8
    mechanisms.load_mechanisms(tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("BREAKPOINT { i = g*v ", r"bad\.mod, line \d+: Illegal block"),
        (
            "BREAKPOINT { SOLVE none METHOD cnexp  i = g*v }",
            r"bad\.mod, line \d+: Method \w+ can't be used with Block none",
        ),
        (
            "COMMENT\nnosuch\nENDCOMMENT\nBREAKPOINT { i = g*nosuch }",
            r"bad\.mod, line 7: 'nosuch' was not declared in .*",
        ),
        ("BREAKPOINT {\nVERBATIM\n int k = ;\nENDVERBATIM\ni = v }", r"bad\.mod, line 6: expected .* before ';' token"),
        (": twice\nVERBATIM\nint k = ;\nint k = ;\nENDVERBATIM\nBREAKPOINT { i = v }", r"bad\.mod: expected .* token"),
    ],
)
def test_what_does_not_compile_is_told_with_its_file(tmp_path, monkeypatch, line, told):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")  # g++ has other quotation marks there, and in other languages other words
    (tmp_path / "good.mod").write_text(LEAK % "fine")
    head = "NEURON { SUFFIX lk_bad NONSPECIFIC_CURRENT i RANGE g }\nPARAMETER { g = 1 }\nASSIGNED { v i }\n"
    (tmp_path / "bad.mod").write_text(f"{head}{line}\n")
    with pytest.raises(MechanismError, match=rf"the MOD files do not compile: {told}; run `nrnivmodl"):
        mechanisms.build(tmp_path)


def test_a_mod_file_whose_name_is_none_in_cpp_is_told_of_all_the_same(tmp_path):
    """nrnivmodl makes a function of the file's name, and what g++ refuses then is in a file of NEURON's own."""
    (tmp_path / "my-leak.mod").write_text(LEAK % "minus")
    with pytest.raises(MechanismError, match="the MOD files do not compile: .*mod_func"):
        mechanisms.build(tmp_path)
