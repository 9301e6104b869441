"""`nrn-mlfit recording`: look into a recording and cut a piece to fit."""

from pathlib import Path

import click

EXAMPLE = """
\b
Example:
  nrn-mlfit recording cell7.nwb
  nrn-mlfit recording cell7.nwb --sweep 5 -o piece.npz
  nrn-mlfit simulate mainen --stimulus piece.npz -n 2000 -o runs/piece
"""
LENGTH_MS = 300.0
MOST_LINES = 50


@click.command(epilog=EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sweep", type=int, help="The sweep to cut from (or to list), from 0; needed where FILE holds several.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the piece to this .npz file.")
@click.option(
    "--start", type=float, help="Where the piece begins, in ms  [default: shortly before the current changes]"
)
@click.option(
    "--stop",
    type=float,
    help=f"Where it ends, in ms  [default: {LENGTH_MS:g} ms after the start, or the end]",
)
def recording(file, sweep, output, start, stop):
    """List the sweeps of the recording FILE, or cut a piece out of one with -o.

    FILE is NWB 2, HDF5, a shard of simulated traces, npz (volts in mV, current in nA, dt in ms) or CSV (first
    line: time, voltage, current, with units such as `voltage (mV)`).
    """
    from nrn_mlfit.errors import RecordingError

    if output is None and not (start is None and stop is None):
        raise RecordingError("--start and --stop say what to cut; say with -o OUT.npz where to write it")
    lines = _listed(file, sweep) if output is None else _cut(file, sweep, output, start, stop)
    for line in lines:
        click.echo(line)


def _listed(file, number):
    from nrn_mlfit import recordings

    if number is not None:
        recordings.read(file, number)  # says so if there is no such sweep
    held = recordings.sweeps(file)
    shown = held[:MOST_LINES] if number is None else [held[number]]
    yield f"{file.name}: {len(held)} sweep{'s' if len(held) > 1 else ''}"
    yield from _table([_row(sweep) for sweep in shown if not sweep.problem])
    yield from (f"{sweep.number}: {sweep.problem}" for sweep in shown if sweep.problem)
    if number is None and len(held) > MOST_LINES:
        yield f"... and {len(held) - MOST_LINES} more"
    chosen = f" --sweep {shown[-1].number}" if len(held) > 1 else ""
    yield f"cut a piece to fit: nrn-mlfit recording {file}{chosen} -o piece.npz"


def _row(sweep):
    current = "no current" if sweep.pa is None else f"{sweep.pa[0]:.1f} to {sweep.pa[1]:.1f}"
    voltage = f"{sweep.mv[0]:.1f} to {sweep.mv[1]:.1f}"
    return str(sweep.number), sweep.name, f"{sweep.duration:g}", f"{sweep.dt:g}", voltage, current


def _table(rows):
    rows = [("sweep", "name", "length ms", "step ms", "voltage mV", "current pA"), *rows]
    widths = [max(len(row[k]) for row in rows) for k in range(6)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _cut(file, number, output, start, stop):
    from nrn_mlfit import recordings
    from nrn_mlfit.errors import RecordingError

    if output.resolve() == file.resolve():
        raise RecordingError(f"{output}: is the recording itself; write the piece to another file")
    whole = recordings.read(file, number)
    piece = recordings.around_change(whole) if start is None and stop is None else _between(whole, start, stop)
    piece.save(output)
    yield from _what_was_cut(piece, output)
    yield from _next_steps(output, piece.currents is not None)


def _between(whole, start, stop):
    start = 0.0 if start is None else start
    return whole.cut(start, min(start + LENGTH_MS, whole.duration) if stop is None else stop)


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


def _next_steps(output, has_current):
    if not has_current:
        yield "it holds no current: `nrn-mlfit fit` needs to be told which one flowed"
        yield f"  nrn-mlfit fit {output} -e ENSEMBLE --stimulus NAME -o FIT"
        return
    yield "next: train on cells under its current, then fit it"
    yield f"  nrn-mlfit simulate CELL --stimulus {output} -n 2000 -o RUN"
    yield "  nrn-mlfit train RUN -o ENSEMBLE"
    yield f"  nrn-mlfit fit {output} -e ENSEMBLE -o FIT"
