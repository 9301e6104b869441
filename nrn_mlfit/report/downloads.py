"""The files of a fit inside its page: links that hold what they lead to, and one zip of all."""

import base64
import io
import zipfile
from collections.abc import Mapping
from hashlib import sha256

from nrn_mlfit.report.html import Html, table, tag

ALONE = 40_000  # bytes: a larger file comes in the zip only
BEGINNING = (1980, 1, 1, 0, 0, 0)  # of a zip's time: the same fit gives the same bytes
ORDER = (".hoc", ".mod", ".json", ".txt", ".npz")  # what a zip must hold comes before what would be nice
KINDS = {
    "fit.hoc": "the fitted cell under its stimulus: open this in NEURON",
    "fitted_cell.hoc": "makes the fitted cell and checks it: for models of your own",
    "fit.json": "values, verdict, provenance",
    "comparison.json": "how close the re-simulated trace comes",
    "expected.txt": "the fitted cell's traces, one step a line",
    "recording.npz": "the recording",
    "simulated.npz": "the fitted cell's traces under its stimulus",
    "around.npz": "traces and parameters of the cells around the fitted one",
}
BY_SUFFIX = {
    ".mod": "a channel",
    ".hoc": "the cell's template, or a part of it",
    ".txt": "injected current, one sample a line",
}


def links(files: Mapping[str, bytes], name: str, room: int) -> Html:
    """A table of the files with links to save them, and a link to the zip NAME.zip of all that go into `room` bytes of a page."""
    packed, inside = _zip(files, 3 * room // 4 - 2 * ALONE)
    button = tag("a", f"Save {name}.zip", class_="button", download=f"{name}.zip", href=_uri(packed, "application/zip"))
    told = f" {_size(len(packed))}, {len(inside)} files: unpack it anywhere, it needs nothing but NEURON."
    left = room - 4 * len(packed) // 3
    rows = []
    for path in sorted(files, key=_rank):
        shown, left = _link(path, files[path], left)
        kept = "" if path in inside else "too large for this page: it is in the fit's folder"
        rows.append([shown, _what(path), kept or _size(len(files[path])), sha256(files[path]).hexdigest()[:16]])
    listed = table("Files of this fit", ["file", "what it is", "size", "sha256, first 16 digits"], rows)
    return Html(tag("p", button, told, class_="save") + listed)


def _zip(files, room) -> tuple[bytes, list[str]]:
    """As many of the files as go into `room` bytes, those first that a cell cannot do without."""
    held, inside = io.BytesIO(), []
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(files, key=_rank):
            if held.tell() + len(_deflated(files[path])) > room:
                continue
            packed.writestr(zipfile.ZipInfo(path, BEGINNING), files[path], zipfile.ZIP_DEFLATED, 9)
            inside.append(path)
    return held.getvalue(), inside


def _deflated(content) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("x", content)
    return held.getvalue()


def _link(path, content, left) -> tuple[Html | str, int]:
    """A file's name as a link that holds it where it is small, and the room that is left after it."""
    uri = _uri(content, "text/plain") if len(content) <= ALONE else ""
    if not uri or len(uri) > left:
        return path, left
    return tag("a", path, download=path.rsplit("/", 1)[-1], href=uri), left - len(uri)


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _rank(path):
    known = list(KINDS).index(path) if path in KINDS else len(KINDS)
    suffix = "." + path.rsplit(".", 1)[-1]
    return ORDER.index(suffix) if suffix in ORDER else len(ORDER), known, path


def _what(path) -> str:
    suffix = "." + path.rsplit(".", 1)[-1]
    return KINDS.get(path) or BY_SUFFIX.get(suffix, "part of the cell")


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
