"""`nrn-mlfit recording`: look into a recording, judge it, and cut a piece to fit."""

import json
import re
import shlex
from pathlib import Path

import click

from nrn_mlfit.cli.options import any_path, reading_options, say

EXAMPLE = """
\b
Examples:
  nrn-mlfit recording cell7.nwb
  nrn-mlfit recording cell7.abf --json
  nrn-mlfit recording cell7.abf --stim-from chirp.abf --sheet cell7.png
  nrn-mlfit recording cell7.nwb --sweep 5 -o piece.npz
  nrn-mlfit recording cell7.nwb --sweep 5 --window 100 400 -o piece.npz
  nrn-mlfit simulate mainen --stimulus piece.npz -n 2000 -o runs/piece
"""
MOST_SWEEPS = 50  # in a table and on a sheet; shards hold thousands
MOST_LEVELS = 3  # of steps, in a table
FIGURE = re.compile(r"[-+]?\d+(?:\.\d+)?")
COLUMNS = ("sweep", "name", "protocol", "kHz", "ms", "rest mV", "spikes", "current pA", "", "R MOhm", "tau ms", "fit?")


@click.command(epilog=EXAMPLE)
@click.argument("file", type=any_path)
@click.option("--sweep", type=int, help="The sweep to cut from (or to list), from 0; needed where FILE holds several.")
@click.option("-o", "--output", type=any_path, help="Write a piece of the sweep to this .npz file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with one object a sweep.")
@click.option("--sheet", type=any_path, metavar="PICTURE", help="Draw all sweeps into this .png, .svg or .pdf file.")
@reading_options
def recording(file, sweep, output, as_json, sheet, reading):
    """List and judge the sweeps of the recording FILE, draw them, or cut a piece out of one with -o.

    FILE is ABF, NWB 2, Igor (.ibw, its current beside it in a file of the same name but for the channel), HDF5, a shard
    of simulated traces, npz (volts in mV, current in nA, dt in ms), CSV or TXT (first line: time, voltage, current,
    with units such as `voltage (mV)`). The piece is that of --window, or at most 300 ms around the current's first step.
    """
    from nrn_mlfit import recordings
    from nrn_mlfit.errors import RecordingError

    if sheet is not None:
        _check_sheet(sheet, file)
    if output is not None:
        if as_json or sheet is not None:
            raise RecordingError(
                "-o writes a piece of one sweep; --json and --sheet show the file: ask for them without -o"
            )
        lines = _cut(file, sweep, output, reading)
    else:
        held = recordings.read_all(file, reading, sweep, None if as_json else MOST_SWEEPS)
        found = recordings.summaries(held)
        lines = _as_json(found) if as_json else _listed(file, found, sweep, recordings.count(file, reading))
        if sheet is not None:
            _draw(sheet, file, held, found)
    for line in lines:
        say(line)
    if sheet is not None and not as_json:
        say(f"all sweeps drawn: {sheet}")


def _check_sheet(sheet, file):
    from nrn_mlfit.errors import RecordingError
    from nrn_mlfit.report.style import check_format

    check_format(sheet)
    if sheet.resolve() == file.resolve():
        raise RecordingError(f"{sheet}: is the recording itself; draw the sheet into another file")


def _as_json(found):
    yield json.dumps([sweep.to_dict() for sweep in found], indent=1, allow_nan=False)


def _listed(file, shown, number, count):
    first = f", the first {len(shown)} are shown" if number is None and count > len(shown) else ""
    yield f"{file.name}: {count} sweep{'s' if count > 1 else ''}{first}"
    yield from _table([_row(sweep) for sweep in shown if not sweep.problem])
    yield from (f"{sweep.number}: {sweep.problem}" for sweep in shown if sweep.problem)
    yield from _remarks("not good enough to fit", [(s.number, text) for s in shown for text in s.fails])
    yield from _remarks("warnings", [(s.number, text) for s in shown for text in s.warnings])
    yield from _mixed(file, shown)
    yield from _pairing(shown)
    yield from _advice(file, shown, count)


def _advice(file, shown, count):
    """What to do next: cut a sweep that can be fitted, use a piece that is cut already, or look at why there is none."""
    named = shlex.quote(str(file))
    if not (good := [s for s in shown if not s.problem and not s.fails]):
        sheet = shlex.quote(f"{file.stem}.png")
        yield f"none of them should be fitted; see why: nrn-mlfit recording {named} --sheet {sheet}"
    elif good[0].is_piece:
        yield from _next_steps(named, good[0].pa is not None)
    elif under_current := [s for s in good if s.protocol != "none"]:
        chosen = f" --sweep {under_current[0].number}" if count > 1 else ""
        yield f"cut a piece to fit: nrn-mlfit recording {named}{chosen} -o piece.npz"


def _current(sweep) -> str:
    """In pA: the levels of steps, of other currents from where to where they go."""
    if sweep.pa is None:
        return "none"
    if sweep.steps_pa:
        more = ", ..." if len(sweep.steps_pa) > MOST_LEVELS else ""
        return ", ".join(f"{level:.1f}" for level in sweep.steps_pa[:MOST_LEVELS]) + more
    return f"{sweep.pa[0]:.1f} to {sweep.pa[1]:.1f}"


def _row(sweep):
    figures = sweep.quality
    rest, resistance, tau = (
        "-" if value is None else f"{value:.1f}"
        for value in (figures.rest_mv, figures.input_resistance_mohm, figures.tau_ms)
    )
    rate, length = f"{1 / sweep.dt:.4g}", f"{sweep.duration:g}"
    verdict = "no" if sweep.fails else "yes"
    return (
        *(str(sweep.number), sweep.name, sweep.protocol, rate, length, rest, str(sweep.spikes), _current(sweep)),
        *(sweep.current or "", resistance, tau, verdict),
    )


def _table(rows):
    rows = [COLUMNS, *rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _remarks(title, remarks):
    """Remarks that differ in their figures only as one line: the sweeps, and the text of the one with the largest figure."""
    alike: dict[str, list[tuple[int, str]]] = {}
    for number, text in remarks:
        alike.setdefault(FIGURE.sub("#", text), []).append((number, text))
    if alike:
        yield f"{title}:"
    for found in alike.values():
        worst, text = max(found, key=lambda held: _first_figure(held[1]))
        most = f" (most in {worst})" if len({text for _, text in found}) > 1 else ""
        yield f"  sweep {_ranges(number for number, _ in found)}{most}: {text}"


def _first_figure(text) -> float:
    match = FIGURE.search(text)
    return abs(float(match[0])) if match else 0.0


def _ranges(numbers) -> str:
    """0, 1, 2, 5 as 0-2, 5."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _mixed(file, found):
    from nrn_mlfit import recordings
    from nrn_mlfit.errors import RecordingError

    try:
        recordings.one_protocol(found, file.name)
    except RecordingError as error:
        yield str(error)


def _pairing(found):
    if any(sweep.current_file for sweep in found):
        names = sorted({(sweep.name, Path(sweep.current_file).name) for sweep in found if sweep.current_file})
        yield from (f"voltage from {voltage}, current from {current}" for voltage, current in names)


def _draw(sheet, file, held, found):
    from nrn_mlfit.errors import MlfitError, RecordingError
    from nrn_mlfit.report.sheet import sheet_picture

    pairs = [pair for pair in zip(held, found, strict=True) if not isinstance(pair[0], MlfitError)]
    drawn = [_drawn(*pair, s) for pair in pairs for s in range(pair[0].volts.shape[1])]
    if not drawn:
        raise RecordingError(f"{file.name}: no sweep can be read, so there is nothing to draw")
    sheet_picture(sheet, file.name, drawn)


def _drawn(made, sweep, s) -> dict:
    """A sweep, or what of it is under its stimulus `s`, for the sheet."""
    from nrn_mlfit.spikes import spike_counts

    probes, stimuli, _ = made.volts.shape
    spikes = int(spike_counts(made.volts[0, s]))
    parts = [sweep.protocol if stimuli == 1 else f"stimulus {s + 1} of {stimuli}"]
    parts.append(f"{spikes} spike{'' if spikes == 1 else 's'}{' at the first of' if probes > 1 else ''}")
    return {
        "number": sweep.number,
        "volts": made.volts[:, s],
        "currents": None if made.currents is None else 1e3 * made.currents[s],
        "dt": made.dt,
        "caption": f"{', '.join(parts)}{f' {probes} probes' if probes > 1 else ''}",
        "fails": sweep.fails,
    }


def _cut(file, number, output, reading):
    from nrn_mlfit import recordings
    from nrn_mlfit.errors import RecordingError

    if output.resolve() == file.resolve():
        raise RecordingError(f"{output}: is the recording itself; write the piece to another file")
    whole = recordings.read(file, number, reading)
    piece = whole if reading.window else recordings.around_change(whole)
    piece.save(output)
    yield from _what_was_cut(piece, output)
    yield from (f"warning: {text}" for text in piece.warnings)
    yield from _next_steps(shlex.quote(str(output)), piece.currents is not None, piece.volts.shape)


def _what_was_cut(piece, output):
    from nrn_mlfit.spikes import spike_counts

    first, last = piece.source["cut_ms"]
    spikes = int(spike_counts(piece.volts[0]).sum())
    current = "no current"
    if piece.currents is not None:
        current = f"{1e3 * piece.currents.min():.1f} to {1e3 * piece.currents.max():.1f} pA"
    yield f"{output}: {first:g} to {last:g} ms of {piece.name}"
    yield (
        f"{piece.volts.shape[-1]} samples of {piece.dt:g} ms, {piece.volts.min():.1f} to "
        f"{piece.volts.max():.1f} mV, {spikes} spike{'' if spikes == 1 else 's'}, {current}"
    )


def _next_steps(output, has_current, shape=(1, 1)):
    if not has_current:
        yield "it holds no current: `nrn-mlfit fit` needs to be told which one flowed"
        yield f"  nrn-mlfit fit {output} -e ENSEMBLE --stimulus NAME -o FIT"
        return
    if shape[0] > 1:
        yield f"its {shape[0]} voltages are for a cell whose file names {shape[0]} probes, in the same order"
    yield "next: train on cells under its current, then fit it"
    if shape[1] > 1:
        yield f"  (a cell file with its {shape[1]} stimuli: nrn-mlfit simulate CELL -n 2000 -o RUN)"
    else:
        yield f"  nrn-mlfit simulate CELL --stimulus {output} -n 2000 -o RUN"
    yield "  nrn-mlfit train RUN -o ENSEMBLE"
    yield f"  nrn-mlfit fit {output} -e ENSEMBLE -o FIT"
