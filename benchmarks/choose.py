"""Which geometry and which scale of the stimulus teaches most? Three judges on candidates of the shipped cells.

    pip install scikit-learn                                        # for this benchmark only
    python benchmarks/choose.py -o choice.jsonl                     # all candidates of the three cells: hours
    python benchmarks/choose.py --cells mainen --only large:0.45:0.4 small:0.1:1 --look
    python benchmarks/choose.py --cells mainen --only large:0.45:0.4 --seed 8 --sets 30000

trees: what is learned in practice. 10,000 fresh traces, 8000 to learn from: one HistGradientBoostingRegressor a parameter,
on the features of features.py; mean squared error in unit space, where the middle of the range costs 1/3, and R2. design: the
local bound of `nrn-mlfit design`, at two steps (docs/design.md). corners: the lowest and highest voltage in the window at
the corners of the ranges. What the output file has is not run again; its lines are joined by candidate.

A candidate is admissible if at most 5 % of its traces are silent, the median has 4 to 20 spikes, and nothing goes below
-110 mV. `--look` asks only this, of 300 traces; the others are only run for an admissible candidate. A word of `--only`
is GEOMETRY:SCALE:RESET.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from features import features_of, fitted_trees

os.environ["OMP_NUM_THREADS"] = "1"  # the parameters share the cores; threads that wait would keep them busy
SETS, FIRST = 10000, 300  # to learn from and to test on; for the first look
TEST = 0.2  # of the sets
POINTS, STEPS = 24, (0.002, 1e-6)  # of the design
SILENT, FEWEST, MOST, LOWEST = 0.05, 4, 20, -110.0
NAMES = ("soma_diameter", "apical_length", "apical_diameter", "basal_length", "basal_diameter")
SIZES = {  # of mainen, um
    "large": (25, 1000, 4, 300, 3),
    "middle": (25, 700, 4, 200, 3),
    "slim": (20, 600, 3, 250, 2.5),
    "small": (25, 400, 3, 150, 2),
    "narrow": (20, 1000, 4, 300, 3),
    "huge": (25, 1400, 5, 400, 3.5),
}
GEOMETRIES = {"own": {}} | {name: dict(zip(NAMES, sizes, strict=True)) for name, sizes in SIZES.items()}
CANDIDATES = {  # cell -> geometry, then scale:reset
    "mainen": {
        "large": "0.05:1 0.1:1 0.19:1 0.3:0.6 0.45:0.4 0.45:0.2 0.6:0.3 0.8:0.22 0.8:0.11 1.3:0.14",
        "middle": "0.07:1 0.13:1 0.26:0.5",
        "slim": "0.05:1 0.09:1 0.18:0.5 0.5:0.16",
        "small": "0.03:1 0.06:1 0.12:0.5",
        "narrow": "0.8:0.21",
        "huge": "0.8:0.33",
    },
    "ball_two_sticks": {"own": "0.24:1 0.24:0.9 0.3:0.75 0.35:0.65 0.39:0.58 0.45:0.5 0.6:0.38"},
    "izhikevich": {"own": "10:1 12.5:1 15:1 17.5:1"},
}
MARKS = {"trees": "admissible", "design": "design", "corners": "corners"}  # what each judge leaves in a line


def main():
    asked = arguments()
    held = read(asked.output)
    for cell in asked.cells:
        words = asked.only or [f"{name}:{word}" for name, all_ in CANDIDATES[cell].items() for word in all_.split()]
        for word in words:
            key = key_of(cell, word, asked.seed, asked.sets)
            for judge in asked.judges:
                judged(key, judge, asked, held)
    for cell in asked.cells:
        print(f"\n{cell}\n\n{table([line for line in held if line['cell'] == cell])}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=list(CANDIDATES), choices=list(CANDIDATES))
    parser.add_argument("--only", nargs="+", metavar="GEOMETRY:SCALE:RESET")
    parser.add_argument("--judges", nargs="+", default=list(MARKS), choices=list(MARKS))
    parser.add_argument("--look", action="store_true", help=f"{FIRST} traces a candidate, to see which are admissible")
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, default=Path("choice.jsonl"))
    return parser.parse_args()


def key_of(cell, word, seed, sets) -> dict:
    name, scale, reset = word.split(":")
    key = {"cell": cell, "geometry": GEOMETRIES[name], "scale": float(scale), "reset": float(reset), "seed": seed}
    return key | {"sets": sets}


def read(path) -> list[dict]:
    """The lines of the output file, those of one candidate joined."""
    held = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        add({"sets": SETS} | json.loads(text), held)
    return held


def add(line, held):
    for other in held:
        if all(other[name] == line[name] for name in ("cell", "geometry", "scale", "reset", "seed", "sets")):
            return other.update(line)
    return held.append(line)


def judged(key, judge, asked, held):
    """Ask a judge for a candidate, unless he was asked before or it is not admissible; write down what he says."""
    if asked.look:
        return print(table([key | look(simulated(model_of(key), FIRST, key["seed"])[1])]), flush=True)
    known = next((line for line in held if line.items() >= key.items()), {})
    if MARKS[judge] in known or judge != "trees" and not known.get("admissible"):
        return None
    line = key | {"trees": trees, "design": design, "corners": corners}[judge](key)
    add(dict(line), held)
    with asked.output.open("a") as file:
        file.write(json.dumps(line) + "\n")
    return print(json.dumps(line), flush=True)


def model_of(key):
    from nrn_mlfit import cells

    model = cells.load(key["cell"], {"kind": "reset_chirp", "scale": key["scale"], "reset": key["reset"]})
    return replace(model, geometry=model.geometry | key["geometry"])


def trees(key) -> dict:
    """What is simulated and learned with one candidate; only the first look where it is not admissible."""
    model = model_of(key)
    looked = look(simulated(model, FIRST, key["seed"])[1])
    if not looked["admissible"]:
        return looked
    unit_par, features = simulated(model, key["sets"], key["seed"])
    begin = time.perf_counter()
    mse = learned(features, unit_par)
    names = model.space.names
    return look(features) | {
        "mse": float(np.mean(mse)),
        "r2": {name: round(1 - 3 * float(m), 3) for name, m in zip(names, mse, strict=True)},
        "seconds": round(time.perf_counter() - begin),
    }


def design(key) -> dict:
    """The mean R2 that `nrn-mlfit design` expects by a hopeful and by a sober step, and each parameter's by the latter."""
    from nrn_mlfit import design as rules
    from nrn_mlfit.candidates import Candidate

    told = rules.design([Candidate("it", model_of(key))], POINTS, steps=STEPS)[0].information
    sober = dict(zip(told.names, (round(float(r2), 3) for r2 in told.other_median), strict=True))
    return {"design": round(told.mean, 3), "design_sober": round(told.other_mean, 3), "design_r2": sober}


def corners(key) -> dict:
    """The lowest and the highest voltage at all corners of the parameter space."""
    from nrn_mlfit.simulator.batch import simulate_sets

    model = model_of(key)
    unit_par = np.array(list(product((-1.0, 1.0), repeat=len(model.space))))
    low, high, status = simulate_sets(model, model.space.to_phys(unit_par), reduce=extent)
    return {"corners": [round(float(low[status == 0].min()), 1), round(float(high[status == 0].max()), 1)]}


def extent(volts):
    return volts.min(axis=(1, 2, 3)), volts.max(axis=(1, 2, 3))


def simulated(model, sets, seed):
    """unit_par (N, K) and features (N, F) of the good sets."""
    from nrn_mlfit.simulator.batch import simulate_sets

    unit_par = model.space.draw(seed, 0, sets)
    reduce = partial(reduced, dt=model.protocol.dt)
    features, status = simulate_sets(model, model.space.to_phys(unit_par), reduce=reduce)
    return unit_par[status == 0], features[status == 0]


def reduced(volts, dt):
    return (features_of(volts[:, 0, 0], dt),)


def look(features) -> dict:
    spikes, lowest = features[:, 0], float(features[:, 1].min())
    silent, median = float(np.mean(spikes == 0)), float(np.median(spikes))
    fine = silent <= SILENT and FEWEST <= median <= MOST and lowest >= LOWEST
    return {"spikes": median, "silent": silent, "lowest": round(lowest, 1), "admissible": bool(fine)}


def learned(features, unit_par):
    """Test MSE (K,) in unit space, in which the middle of the range costs 1/3."""
    train = int(len(features) * (1 - TEST))
    with ProcessPoolExecutor() as pool:
        return np.array(list(pool.map(partial(error, features, train), unit_par.T)))


def error(features, train, column) -> float:
    trees = fitted_trees(features[:train], column[:train])
    return float(np.mean((trees.predict(features[train:]) - column[train:]) ** 2))


def table(lines) -> str:
    names = list(next((line["r2"] for line in lines if "r2" in line), {}))
    head = [
        "geometry",
        "scale",
        "reset",
        "spikes",
        "silent",
        "lowest mV",
        "corners mV",
        "design R2",
        "trees' MSE",
        *names,
    ]
    rows = [head, ["---"] * len(head), *(row(line, names) for line in lines)]
    return "\n".join(f"| {' | '.join(words)} |" for words in rows)


def row(line, names) -> list[str]:
    shape = next(name for name, sizes in GEOMETRIES.items() if sizes == line["geometry"])
    more = f", {line['sets']} sets" * (line["sets"] != SETS) + f", seed {line['seed']}" * (line["seed"] != 7)
    seen = [f"{line['spikes']:g}", f"{100 * line['silent']:.1f} %", f"{line['lowest']}"]
    reach = "{} to {}".format(*line["corners"]) if "corners" in line else ""
    bound = f"{line['design']:.2f} ({line['design_sober']:.2f})" if "design" in line else ""
    mse = f"{line['mse']:.4f}" if "mse" in line else "" if line["admissible"] else "not admissible"
    told = [f"{line['r2'][n]:.2f}" if "r2" in line else "" for n in names]
    return [shape + more, f"{line['scale']:g}", f"{line['reset']:g}", *seen, reach, bound, mse, *told]


if __name__ == "__main__":
    main()
