"""Bad input ends in one clear sentence with the next step, exit code 2, and nothing half-written."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

CELL = """\
name: mine
hoc: mine.hoc
template: {template}
mod: mod
stimulus: {{kind: step, scale: 0.1}}
parameters:
  gbar_na.all: {{low: {low}, high: {high}, unit: pS/um2}}
"""


@pytest.fixture(scope="module")
def ensemble(command, izhikevich_run, tmp_path_factory):
    """A barely trained ensemble."""
    folder = tmp_path_factory.mktemp("ensembles") / "izh"
    done = command("train", izhikevich_run, "-o", folder, "--design", "model1", "--folds", 2, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def own_cell(tmp_path):
    """Write a cell file beside a template and a MOD file; returns its path."""

    def write(low=1, high=2, template="MineBad", mod="NEURON { SUFFIX broken }\nBREAKPOINT { x = }\n"):
        folder = tmp_path / "cell"
        (folder / "mod").mkdir(parents=True)
        (folder / "mod" / "broken.mod").write_text(mod)
        (folder / "mine.hoc").write_text(
            "begintemplate MineBad\npublic soma, all\ncreate soma\nobjref all\nendtemplate MineBad\n"
        )
        (folder / "mine.yaml").write_text(CELL.format(low=low, high=high, template=template))
        return folder / "mine.yaml"

    return write


def sentence(done, output=None):
    """The one sentence on stderr of a command that was refused."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.strip().splitlines() if line]
    assert len(lines) == 1, done.stderr
    if output is not None:
        assert not Path(output).exists()
        assert not list(Path(output).parent.glob(f".{Path(output).name}*"))
    return lines[0].removeprefix("nrn-mlfit: ")


def test_an_unknown_cell(command, tmp_path):
    done = command("simulate", "purkinje", "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        "no cell is called 'purkinje'; there are mainen, ball_two_sticks, izhikevich, mainen_slice, mainen_wide, "
        "izhikevich_slice, or give the path of a cell file"
    )


def test_a_range_upside_down(command, own_cell, tmp_path):
    cell = own_cell(low=5, high=2)
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        f"{cell}: gbar_na.all: the range [5, 2] pS/um2 is empty or upside down; write low < high"
    )


def test_an_unknown_key(command, own_cell, tmp_path):
    cell = own_cell()
    cell.write_text(cell.read_text() + "temperature: 34\n")
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out").startswith(f"{cell}: unknown key 'temperature'; a cell file takes ")


def test_a_mod_file_that_does_not_compile(command, own_cell, tmp_path):
    cell = own_cell()
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out", env={"NRN_MLFIT_CACHE": str(tmp_path / "cache")})
    text = sentence(done, tmp_path / "out")
    told = "broken.mod, line 2: Illegal block"
    folder = cell.parent / "mod"
    assert text == f"{folder}: the MOD files do not compile: {told}; run `nrnivmodl {folder}` to see all"


def test_a_number_of_segments_is_no_parameter(command, own_cell, tmp_path):
    cell = own_cell()
    cell.write_text(cell.read_text().replace("gbar_na.all:", "nseg.all:"))
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        f"{cell}: parameter nseg.all: nseg.all would draw the number of segments, which is no quantity of the cell; set nseg in "
        "the template"
    )


def test_a_precision_for_neuron(command, tmp_path):
    words = ("--engine", "neuron", "--precision", "mixed", "-o", tmp_path / "out")
    assert sentence(command("simulate", "izhikevich", "-n", 5, *words), tmp_path / "out") == (
        "precision mixed: is for engine lanes only; leave it out, or take engine lanes"
    )


def test_an_unknown_parameter_place(command, tmp_path, own_cell):
    cell = own_cell()
    cell.write_text(cell.read_text().replace("gbar_na.all:", "gbar:"))
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        f"{cell}: parameter gbar: 'gbar' sets nothing; write VARIABLE.LIST (gbar_na.somatic), "
        "VARIABLE.LIST* for a factor, VARIABLE@PROCESS of a point process, PROCEDURE(), celsius, v_init or current_gain"
    )


def test_a_parameter_that_no_section_has(command, tmp_path):
    (tmp_path / "mine.hoc").write_text(
        "begintemplate NoNa\npublic soma, all\ncreate soma\nobjref all\n"
        "proc init() { all = new SectionList() soma all.append() }\nendtemplate NoNa\n"
    )
    cell = tmp_path / "mine.yaml"
    cell.write_text(CELL.format(low=1, high=2, template="NoNa").replace("mod: mod\n", ""))
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        "parameter gbar_na.all: nothing in all has gbar_na; insert its mechanism, and write VARIABLE_SUFFIX (gbar_na) "
        "as NEURON does"
    )


def test_a_parameter_of_a_section_that_is_in_no_list(command, tmp_path):
    (tmp_path / "mine.hoc").write_text(
        "begintemplate OneSection\npublic soma\ncreate soma\nproc init() { soma { insert pas } }\nendtemplate OneSection\n"
    )
    cell = tmp_path / "mine.yaml"
    text = CELL.format(low=1, high=2, template="OneSection").replace("mod: mod\n", "")
    cell.write_text(text.replace("gbar_na.all", "g_pas.soma"))
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        "parameter g_pas.soma: soma is no SectionList; let the template append its sections to a public one, and "
        "write g_pas.NAME_OF_THE_LIST"
    )


def test_a_template_that_is_not_there(command, tmp_path):
    (tmp_path / "mine.hoc").write_text("// nothing\n")
    cell = tmp_path / "mine.yaml"
    cell.write_text(CELL.format(low=1, high=2, template="Absent").replace("mod: mod\n", ""))
    done = command("simulate", cell, "-n", 5, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        f"{tmp_path / 'mine.hoc'}: defines no template Absent; write `begintemplate Absent` there"
    )


def test_no_compiler(command, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    env = {"PATH": str(empty), "NRN_MLFIT_CACHE": str(tmp_path / "cache")}
    done = command("simulate", "izhikevich", "-n", 5, "-o", tmp_path / "out", env=env)
    assert sentence(done, tmp_path / "out") == (
        "g++, make, perl not found, needed to compile MOD files; install them (Debian/Ubuntu: apt install g++ make perl)"
    )


def test_a_cache_that_cannot_be_written(command, tmp_path):
    done = command(
        "simulate", "izhikevich", "-n", 5, "-o", tmp_path / "out", env={"NRN_MLFIT_CACHE": "/dev/null/cache"}
    )
    assert sentence(done, tmp_path / "out") == (
        "/dev/null/cache/mechanisms: cannot be written (Not a directory); set NRN_MLFIT_CACHE to a folder of yours"
    )


def test_an_output_that_cannot_be_written(command):
    done = command("simulate", "izhikevich", "-n", 5, "-o", "/dev/null/out")
    assert sentence(done) == (
        "/dev/null/out/.lock: cannot be written (Not a directory); choose another folder or free some space"
    )


def test_no_mpi(tmp_path, monkeypatch):
    from nrn_mlfit.cli import options
    from nrn_mlfit.errors import MachineError

    monkeypatch.setattr(options.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as error:
        options.become_mpi_job(2)
    assert str(error.value) == "no mpiexec found beside Python or on the PATH; install nrn_mlfit[mpi], or leave out -j"


def test_a_launcher_of_another_mpi(command, tmp_path):
    done = command("simulate", "izhikevich", "-n", 5, "-o", tmp_path / "out", env={"OMPI_COMM_WORLD_SIZE": "2"})
    assert "the launcher started 2 processes but mpi4py sees 1: they belong to different MPIs; " in done.stderr
    assert done.returncode == 2 and not (tmp_path / "out").exists()


def test_a_folder_that_holds_another_run(command, izhikevich_run):
    done = command("simulate", "izhikevich", "-n", 60, "--seed", 9, "--sets-a-shard", 20, "-o", izhikevich_run)
    assert sentence(done) == (
        f"{izhikevich_run}: holds another run: seed 1 there, 9 here; add --seed 1 to go on with it, "
        "or choose another folder with -o"
    )


def test_a_folder_that_holds_something_else(command, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    done = command("simulate", "izhikevich", "-n", 5, "-o", tmp_path)
    assert sentence(done) == f"{tmp_path}: holds something else; choose an empty or new folder with -o"


def test_training_on_no_run(command, tmp_path):
    done = command("train", tmp_path, "-o", tmp_path / "out")
    assert sentence(done, tmp_path / "out") == (
        f"{tmp_path}: holds no run (no run.json); make one with `nrn-mlfit simulate CELL -n SETS -o {tmp_path}`"
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_shard_cut_short(command, izhikevich_run, ensemble, tmp_path, share):
    whole = (izhikevich_run / "shard-0000000020.h5").read_bytes()
    shard = tmp_path / "shard-0000000020.h5"
    shard.write_bytes(whole[: int(share * len(whole))])
    text = sentence(command("fit", shard, "--sweep", 1, "-e", ensemble, "-o", tmp_path / "fit"), tmp_path / "fit")
    assert shard.name in text and ("cut short" in text)


def test_a_recording_with_a_gap(command, ensemble, tmp_path):
    volts = np.zeros(9000)
    volts[17] = np.nan
    np.savez(tmp_path / "gap.npz", volts=volts, dt=0.02)
    done = command("fit", tmp_path / "gap.npz", "-e", ensemble, "-o", tmp_path / "fit")
    assert sentence(done, tmp_path / "fit") == (
        "gap.npz: the voltage is nan at sample 17 (0.34 ms); use a stretch without gaps (--window)"
    )


def piece(path, length=9000, dt=0.02, current=True):
    held = {"volts": np.linspace(-70, 10, length), "dt": dt}
    np.savez(path, **held, **({"current": np.linspace(0, 1, length)} if current else {}))
    return path


def test_an_ensemble_for_another_sample_step(command, ensemble, tmp_path):
    """It is resampled, and then has another stimulus."""
    done = command("fit", piece(tmp_path / "a.npz", dt=0.05), "-e", ensemble, "-o", tmp_path / "fit")
    assert sentence(done, tmp_path / "fit") == (
        "a.npz: its current is not the ensemble's stimulus reset_chirp: 94% of it differs in shape; "
        "simulate and train with this current (--stimulus), or fit a recording made with that stimulus"
    )


def test_an_ensemble_for_another_window(command, ensemble, tmp_path):
    done = command("fit", piece(tmp_path / "a.npz", length=500), "-e", ensemble, "-o", tmp_path / "fit")
    assert sentence(done, tmp_path / "fit") == (
        "a.npz: lasts 10 ms, the ensemble needs 180 ms; take a longer stretch (--window), or another ensemble"
    )


def test_an_ensemble_for_another_stimulus(command, ensemble, tmp_path):
    done = command("fit", piece(tmp_path / "a.npz"), "-e", ensemble, "-o", tmp_path / "fit")
    assert sentence(done, tmp_path / "fit") == (
        "a.npz: its current is not the ensemble's stimulus reset_chirp: 96% of it differs in shape; "
        "simulate and train with this current (--stimulus), or fit a recording made with that stimulus"
    )


def test_a_recording_without_a_current(command, ensemble, tmp_path):
    path = piece(tmp_path / "a.npz", current=False)
    done = command("fit", path, "-e", ensemble, "-o", tmp_path / "fit")
    assert sentence(done, tmp_path / "fit") == (
        "a.npz: holds no current; say with --stimulus what was injected (the ensemble learned from reset_chirp)"
    )
    done = command("fit", path, "-e", ensemble, "-o", tmp_path / "fit", "--stimulus", "ramp")
    assert sentence(done, tmp_path / "fit") == (
        "--stimulus ramp: the ensemble learned from reset_chirp; name that, or use another ensemble"
    )
    done = command("fit", path, "-e", ensemble, "-o", tmp_path / "fit", "--stimulus", "reset_chirp")
    assert done.returncode == 0, done.stderr


def test_traces_of_another_cell_get_a_verdict_not_a_refusal(command, ensemble, tmp_path):
    from nrn_mlfit import stimuli

    volts = np.full(9000, -200.0)
    np.savez(tmp_path / "other.npz", volts=volts, current=stimuli.reset_chirp(0.3).window, dt=0.02)
    done = command("fit", tmp_path / "other.npz", "-e", ensemble, "-o", tmp_path / "fit")
    assert done.returncode == 0, done.stderr
    assert "OUT OF RANGE" in done.stdout and "leave what was trained on" in done.stdout


def test_a_folder_of_recordings_gives_a_row_each(command, ensemble, izhikevich_run, tmp_path):
    from nrn_mlfit import recordings

    folder = tmp_path / "many"
    folder.mkdir()
    for row in (0, 1):
        moved = recordings.Reading(junction_potential=0.001 * row)
        recordings.read(izhikevich_run / "shard-0000000000.h5", row, moved).save(folder / f"cell{row}.npz")
    done = command("fit", folder, "-e", ensemble, "-o", tmp_path / "fits", "--junction-potential", 0.001)
    assert done.returncode == 0, done.stderr
    doubt = "    recording: a junction potential of 0.001 mV was subtracted already when this piece was cut"
    assert done.stdout.splitlines().count(doubt) == 1
    lines = (tmp_path / "fits" / "fits.csv").read_text().splitlines()
    assert lines[0].startswith("recording,a,b,c,d,verdict") and len(lines) == 3
    assert not list((tmp_path / "fits").glob("drift.*")) and "--one-cell" in done.stdout


def test_a_fit_is_not_written_over(command, ensemble, izhikevich_run, tmp_path):
    (tmp_path / "mine").write_text("x")
    done = command("fit", izhikevich_run / "shard-0000000000.h5", "--sweep", 0, "-e", ensemble, "-o", tmp_path)
    assert sentence(done) == f"{tmp_path}: already there and not empty; name a new folder with -o"


def test_a_damaged_ensemble(command, ensemble, izhikevich_run, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(ensemble, broken)
    os.truncate(broken / "member-1.safetensors", 1000)
    done = command("fit", izhikevich_run / "shard-0000000000.h5", "--sweep", 0, "-e", broken, "-o", tmp_path / "fit")
    assert sentence(done, tmp_path / "fit") == (
        f"{broken}: member-1.safetensors is not the file that was saved; copy the whole folder again, or train again"
    )


def test_resimulating_what_is_no_fit(command, tmp_path):
    assert sentence(command("resimulate", tmp_path)) == (
        f"{tmp_path}: holds no fit (no fit.json); make one with `nrn-mlfit fit`"
    )


def test_a_named_stimulus_is_checked_where_the_recording_has_a_current(command, ensemble, izhikevich_run, tmp_path):
    shard = izhikevich_run / "shard-0000000000.h5"
    done = command("fit", shard, "--sweep", 0, "-e", ensemble, "-o", tmp_path / "fit", "--stimulus", "ramp")
    assert sentence(done, tmp_path / "fit") == (
        "--stimulus ramp: the ensemble learned from reset_chirp; name that, or use another ensemble"
    )


def test_an_ensemble_that_could_not_be_written_is_refused_before_the_training(command, izhikevich_run):
    done = command("train", izhikevich_run, "-o", "/dev/null/new/ensemble")
    assert done.stdout == "" and sentence(done) == (
        "/dev/null/new/ensemble: cannot be written (Not a directory); choose another folder"
    )
