"""Real recordings through `fit`, `report` and `transfer`: what worked and what did not; the tables of docs/real_recordings.md.

    pip install ".[all]"
    python benchmarks/recordings.py FOLDER --work FITS -o recordings.jsonl
    python benchmarks/recordings.py FOLDER --work FITS -o recordings.jsonl --carry 171116sh_0018.abf 171116sh_0016.abf

FOLDER holds recordings. Each sweep is fitted by every ensemble that knows its stimulus (or those of --by), with --refine by a
search on from each answer. With --carry the fits to one file are run
under each sweep of another file of the same neuron, and held against what repeats of that sweep differ
by, where there are any. What the output file holds already is not done again.
"""

import argparse
import json
from pathlib import Path

from nrn_mlfit import alignment, comparison, fit, recordings, results, serving, transfer
from nrn_mlfit.errors import MlfitError
from nrn_mlfit.learn import Ensemble
from nrn_mlfit.refine import refined


def main():
    asked = arguments()
    jobs = carried(asked, *asked.carry) if asked.carry else fitted(asked)
    there = {tuple(row["what"]) for row in rows(asked.output)}
    for what, do in jobs:
        if what not in there:
            row = {"what": what, **tried(do)}
            with asked.output.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(line(row), flush=True)
    before = {tuple(row["what"]): row for row in rows(asked.beside)} if asked.beside else {}
    print(*table(rows(asked.output), before), sep="\n")
    print(*repeats_table(rows(asked.output)), sep="\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="for the fits")
    parser.add_argument("--by", metavar="CELL", help="only by ensembles of this cell")
    parser.add_argument("--refine", type=int, default=0, metavar="N", help="a search on, by N simulations a sweep")
    parser.add_argument(
        "--beside", type=Path, help="an output without --refine: its figures, in the table, before the last ones"
    )
    parser.add_argument("--carry", nargs=2, metavar=("FROM", "TO"), help="names of two files of one neuron")
    parser.add_argument("-o", "--output", type=Path, default=Path("recordings.jsonl"))
    return parser.parse_args()


def fitted(asked):
    """Each sweep by each ensemble that serves it: (what, how it is done)."""
    for path in sorted(p for p in asked.folder.rglob("*") if p.suffix.lower() in recordings.SUFFIXES):
        try:
            sweeps = recordings.read_all(path)
        except MlfitError as error:
            yield (path.name, 0, ""), lambda error=error: refuse(error)
            continue
        for number, sweep in enumerate(sweeps):
            if isinstance(sweep, MlfitError):
                yield (path.name, number, ""), lambda error=sweep: refuse(error)
                continue
            served = serving.find(sweep, cell=asked.by)
            for one in served:
                folder = asked.work / path.stem / f"{number}-{one.name}"
                yield (
                    (path.name, number, one.name),
                    lambda sweep=sweep, one=one, folder=folder: fit_one(sweep, one, folder, asked.refine),
                )
            if not served:
                yield (path.name, number, ""), lambda: {"refused": "no ensemble knows its stimulus"}


def carried(asked, source, target):
    """Each fit to the file `source` under each sweep of the file `target`."""
    folders = sorted(p.parent for p in (asked.work / Path(source).stem).glob("*/fit.json"))
    path = next(asked.folder.rglob(target))
    sweeps = recordings.read_all(path)
    for number, sweep in enumerate(sweeps):
        for folder in folders:
            out = asked.work / f"{Path(source).stem}-{path.stem}" / f"{folder.name}-{number}"
            yield (
                (f"{source} {folder.name}", number, target),
                lambda f=folder, s=sweep, o=out: carry_one(f, s, o, sweeps),
            )


def refuse(error):
    raise error


def tried(do) -> dict:
    try:
        return do()
    except MlfitError as error:
        return {"refused": str(error)}


def fit_one(sweep, one, folder, simulations) -> dict:
    """Fit a sweep by an ensemble that serves it, search on from there, write its folder and its page."""
    ensemble = Ensemble.load(one.folder)
    piece = alignment.aligned(ensemble.protocol, sweep)
    found = fit.fit_recording(ensemble, piece)
    if simulations and not folder.is_dir():
        found = refined(found, ensemble, piece, simulations)
    if folder.is_dir():
        found = fit.load(folder / "fit.json")
        compared = comparison.load(folder / "comparison.json")
    else:
        compared = results.write(found, ensemble, piece, folder).comparison
    results.show(folder, folder / "report.html")
    return {
        "pA": round(1000 * float(max(piece.currents[0], key=abs))),
        "verdict": found.verdict.split(":")[0],
        "warnings": list(found.warnings),
        "score": found.score,
        "threshold": found.alarm["threshold"],
        "values": {value.name: [value.value, value.lo90, value.hi90] for value in found.values},
        "search": found.provenance.get("search"),
        **compared_row(compared),
    }


def carry_one(folder, sweep, out, sweeps) -> dict:
    """Run a fit under a sweep, unless that is there; beside those of `sweeps` that are repeats of it."""
    if isinstance(sweep, MlfitError):
        raise sweep
    done = out / "comparison.json"
    compared = comparison.load(done) if done.is_file() else transfer.run(folder, sweep, out)
    several = transfer.beside_repeats(out, sweeps)
    return compared_row(compared) | ({"repeats": repeats_row(several)} if several else {})


def repeats_row(r) -> dict:
    return {
        "count": r.count,
        "rms": r.rms,
        "rms_among": r.rms_among,
        "features": {f.words: [f.mean, f.sd, f.fitted, f.z] for f in r.features},
    }


def compared_row(c) -> dict:
    return {
        "rms": c.rms,
        "rms_between": c.rms_between,
        "spikes": [c.spikes_recorded, c.spikes_simulated],
        "coincidence": c.coincidence,
        "firing": {m.name: [m.recorded, m.fitted] for m in c.firing},
        "membrane": {m.name: [m.recorded, m.fitted] for m in c.membrane},
        "disagreements": list(c.disagreements),
    }


def rows(path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()] if path.is_file() else []


def line(row, before=None) -> str:
    """A row of the table; `before` is the row of the same sweep whose fit was not searched on."""
    name, number, other = row["what"]
    head = f"| {name} | {number} | {other}"
    if "refused" in row:
        return f"{head} | refused: {row['refused']} |"
    held = [before, row] if before else [row]
    verdict = f"{row['verdict']}, {row['score']:.1f}" if "verdict" in row else ""
    spikes = ", ".join(str(n) for n in [row["spikes"][0], *(one["spikes"][1] for one in held)])
    between = ", ".join(_number(one["rms_between"]) for one in held)
    measures = (
        ", ".join(map(_number, [pair[0], *(one[kind][key][1] for one in held)]))
        for kind in ("firing", "membrane")
        for key, pair in row[kind].items()
    )
    agrees = ", ".join("no" if one["disagreements"] else "yes" for one in held)
    return f"{head} | {row.get('pA', '')} | {verdict} | {spikes} | {between} | {' | '.join(measures)} | {agrees} |"


def _number(value) -> str:
    return "-" if value is None else f"{value:.1f}"


def table(found, before=None):
    """All rows as Markdown; figures are those of the recording, of the fitted cell before a search on (if `before` has the same
    sweep), and of the fitted cell."""
    columns = (
        "recording, sweep, by, pA, verdict and score, spikes, rms between spikes mV, first spike ms, peak mV, width ms"
    )
    columns += ", rest mV, R MOhm, tau ms, agrees"
    yield f"| {columns.replace(', ', ' | ')} |"
    yield "|---" * 14 + "|"
    yield from (line(row, (before or {}).get(tuple(row["what"]))) for row in found)


def repeats_table(found):
    """A row a feature of each fit under repeats of a sweep, which are the same for each of them, as Markdown."""
    told = {(row["what"][0], row["what"][2]): row["repeats"] for row in found if "repeats" in row}
    if told:
        yield "| fit, under | | repeats | sd | fitted cell | z |"
        yield "|---" * 6 + "|"
    for (fit_to, target), r in told.items():
        head = f"| {fit_to}, {target}"
        yield f"{head} | rms of {r['count']} repeats, mV | {r['rms_among']:.2f} | | {r['rms']:.2f} | |"
        for words, figures in r["features"].items():
            yield f"{head} | {words} | {' | '.join('-' if x is None else f'{x:.3g}' for x in figures)} |"


if __name__ == "__main__":
    main()
