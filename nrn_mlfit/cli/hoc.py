"""nrn-mlfit hoc"""

import shutil
import tempfile
from pathlib import Path

import click

from nrn_mlfit.cli.options import any_path, say


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=any_path, help="New folder for the files.  [default: NAME]")
def hoc(name, output):
    """Write the shipped cell NAME as a folder for NEURON alone: template, MOD files, a script to open.

    The folder holds the cell file, too: edit what you like, and give its path to `nrn-mlfit simulate` as a cell of your own.

    \b
    Example:
      nrn-mlfit hoc mainen -o mainen
      cd mainen && nrnivmodl mod && nrngui mainen.hoc
    """
    folder = output or Path(name)
    _refuse(name, folder)
    _write(name, folder)
    say(f"{folder}: template, MOD files, cell file and a script of {name}; to open it in NEURON type")
    say(f"  cd {folder} && nrnivmodl mod && nrngui {name}.hoc")
    say("without a screen: nrniv in place of nrngui; as a cell of your own, for example")
    say(f"  nrn-mlfit simulate {folder / name}.yaml -n 2000 -o runs/{name}")


def _refuse(name, folder):
    from nrn_mlfit import cells
    from nrn_mlfit.errors import CellError

    if name not in cells.SHIPPED:
        raise CellError(f"no shipped cell is called {name!r}; there are {', '.join(cells.SHIPPED)}")
    if folder.is_dir() and any(folder.iterdir()) or folder.is_file():
        raise CellError(f"{folder}: already there; name a new folder with -o")


def _write(name, folder):
    """Make everything in a hidden folder beside it that gets the name at the end: a folder of that name is whole."""
    from nrn_mlfit.errors import MachineError

    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / "cell"
            fresh.mkdir()
            _copy(name, fresh)
            shutil.copytree(fresh, folder, dirs_exist_ok=True) if folder.is_dir() else fresh.rename(folder)
    except OSError as error:
        raise MachineError(f"{folder}: cannot be written ({error.strerror}); name another folder with -o") from None


def _copy(name, folder):
    from nrn_mlfit import cells

    model = cells.load(name)
    source = cells.find(name).parent
    (folder / "mod").mkdir()
    for path in model.mod_files():
        shutil.copyfile(path, folder / "mod" / path.name)
    for path in (model.hoc, *model.files):
        target = folder / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    _rewrite(source / f"{name}.hoc", folder, {"In the project's top folder": "In this folder", f"hoc/{name}": name})
    _rewrite(source / f"{name}.yaml", folder, {"mod: ../mod": "mod: mod"})


def _rewrite(path, folder, changes):
    """Copy a text file, its words for where things lie changed to the new folder's."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / path.name).write_text(text, encoding="utf-8")
