"""Which geometry and which scale of the stimulus teaches most? Gradient-boosted trees on 10,000 fresh traces a candidate.

    pip install scikit-learn
    python benchmarks/choose.py -o choice.jsonl                     # all candidates of the three cells
    python benchmarks/choose.py --cells ball_two_sticks --sets 3000

What is learned in practice, beside the local bound of `nrn-mlfit design`: one HistGradientBoostingRegressor a parameter,
on the features below. Candidates that the output file has already are not run again. A candidate is admissible if at
most 5 % of its traces are silent, the median has 4 to 20 spikes, and nothing goes below -110 mV.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"  # the parameters share the cores; threads that wait would keep them busy
SPIKES, WINDOWS = 7, 40  # whose times and shapes, and how many means, are features
TEST = 0.2  # of the sets
FLOOR = -112.0  # mV, for curated traces
SILENT, FEWEST, MOST, LOWEST = 0.05, 4, 20, -110.0
NAMES = ("soma_diameter", "apical_length", "apical_diameter", "basal_length", "basal_diameter")
LARGE, SHORT, SLIM, MIDDLE = (  # um
    dict(zip(NAMES, sizes, strict=True))
    for sizes in ((25, 1000, 4, 300, 3), (25, 400, 3, 150, 2), (20, 600, 3, 250, 2.5), (25, 700, 4, 200, 3))
)
CANDIDATES = {  # cell -> geometry, scale, reset
    "mainen": [
        *((LARGE, *pair) for pair in ((0.05, 1), (0.1, 1), (0.19, 1), (0.3, 0.6), (0.45, 0.4))),
        *((SHORT, *pair) for pair in ((0.03, 1), (0.06, 1), (0.12, 0.5))),
        *((SLIM, *pair) for pair in ((0.05, 1), (0.09, 1), (0.18, 0.5))),
        *((MIDDLE, *pair) for pair in ((0.07, 1), (0.13, 1), (0.26, 0.5))),
    ],
    "ball_two_sticks": [
        ({}, *pair) for pair in ((0.24, 1), (0.24, 0.9), (0.3, 0.75), (0.35, 0.65), (0.45, 0.5), (0.6, 0.38))
    ],
    "izhikevich": [({}, scale, 1) for scale in (10, 12.5, 15, 17.5)],
}


def main():
    asked = arguments()
    lines = [json.loads(line) for line in asked.output.read_text().splitlines()] if asked.output.is_file() else []
    for cell in asked.cells:
        for geometry, scale, reset in CANDIDATES[cell]:
            key = {"cell": cell, "geometry": geometry, "scale": scale, "reset": reset, "seed": asked.seed}
            if any(line.items() >= key.items() for line in lines):
                continue
            lines.append(key | candidate(key, asked.sets))
            with asked.output.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(table(lines[-1:]), flush=True)
    for cell in asked.cells:
        print(f"\n{cell}\n\n{table([line for line in lines if line['cell'] == cell])}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=list(CANDIDATES), choices=list(CANDIDATES))
    parser.add_argument("--sets", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, default=Path("choice.jsonl"))
    return parser.parse_args()


def candidate(key, sets) -> dict:
    """What is simulated and learned with one candidate; only the first look where it is not admissible."""
    from nrn_mlfit import cells

    spec = {"kind": "reset_chirp", "scale": key["scale"], "reset": key["reset"]}
    model = cells.load(key["cell"], spec)
    model = replace(model, geometry=model.geometry | key["geometry"])
    looked = look(simulated(model, 300, key["seed"])[1])
    if not looked["admissible"]:
        return looked
    unit_par, features = simulated(model, sets, key["seed"])
    begin = time.perf_counter()
    mse = learned(features, unit_par)
    names = model.space.names
    return look(features) | {
        "mse": float(np.mean(mse)),
        "r2": {name: round(1 - 3 * float(m), 3) for name, m in zip(names, mse, strict=True)},
        "seconds": round(time.perf_counter() - begin),
    }


def simulated(model, sets, seed):
    """unit_par (N, K) and features (N, F) of the good sets."""
    from nrn_mlfit.simulator.batch import simulate_sets

    unit_par = model.space.draw(seed, 0, sets)
    reduce = partial(reduced, dt=model.protocol.dt)
    features, status = simulate_sets(model, model.space.to_phys(unit_par), reduce=reduce)
    return unit_par[status == 0], features[status == 0]


def reduced(volts, dt):
    return (np.array([features_of(trace, dt) for trace in volts[:, 0, 0]]),)


def features_of(volts, dt):
    """Of a trace (T,) in mV: number of spikes and lowest voltage; of the first 7 spikes time, height, steepest rise, the
    voltage where the rise passes 10 mV/ms, trough after it, and width; 40 window means of the curated trace."""
    up = np.flatnonzero((volts[:-1] < -20) & (volts[1:] >= -20))
    held = np.full((SPIKES, 6), np.nan)
    slope = np.diff(volts) / dt
    for k, at in enumerate(up[:SPIKES]):
        end = up[k + 1] if k + 1 < len(up) else len(volts)
        here, before = volts[at:end], slope[max(at - 250, 0) : at + 1]
        peak = int(here[:150].argmax())
        slow = np.flatnonzero(before < 10)
        threshold = volts[max(at - 250, 0) + slow[-1]] if slow.size else np.nan
        width = np.count_nonzero(here[:250] >= -20) * dt
        held[k] = at * dt, here[peak], slope[max(at - 50, 0) : at + 50].max(), threshold, here[peak:].min(), width
    windows = np.log10(np.maximum(volts, FLOOR) - FLOOR + 1).reshape(WINDOWS, -1).mean(axis=1)
    return np.concatenate([[len(up), volts.min()], held.ravel(), windows])


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
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(max_iter=400, learning_rate=0.06, early_stopping=True, random_state=0)
    trees.fit(features[:train], column[:train])
    return float(np.mean((trees.predict(features[train:]) - column[train:]) ** 2))


def table(lines) -> str:
    names = list(next((line["r2"] for line in lines if "r2" in line), {}))
    rows = ["| geometry | scale | reset | spikes | silent | lowest mV | trees' MSE | " + " | ".join(names) + " |"]
    rows.append("|---" * (7 + len(names)) + "|")
    for line in lines:
        shape = " x ".join(f"{v:g}" for v in line["geometry"].values()) or "as it is"
        head = f"| {shape} | {line['scale']:g} | {line['reset']:g} | {line['spikes']:g} | {100 * line['silent']:.1f} % "
        told = [f"{line['r2'][n]:.2f}" for n in names] if "r2" in line else [""] * len(names)
        mse = f"{line['mse']:.3f}" if "mse" in line else "not admissible"
        rows.append(f"{head}| {line['lowest']} | {mse} | " + " | ".join(told) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
