"""The model card of an ensemble: one short page for whoever finds the folder (Mitchell et al., FAT* 2019)."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nrn_mlfit.learn.ensemble import Ensemble


GUESSING_RMS = 100 / np.sqrt(12)  # % of a range, of its middle as the answer
NEARLY = 0.9  # of it: whatever is no better has not been learned


def text(ensemble: "Ensemble") -> str:
    """The card as Markdown."""
    return f"""# {ensemble.record["cell"]}: conductances from a current-clamp trace

{_what(ensemble)}

## How far off

Root-mean-square error on traces that the answering network had not learned from, in % of the range
(guessing the middle: {GUESSING_RMS:.1f}). A parameter near that figure was not learned.

{_table(ensemble)}

Mean square error by fold, each range being [-1, 1] (guessing: 0.333): {_folds(ensemble)}.
Learning curves: learning.png.{_judged(ensemble)}

## What it is not for

- Traces under another stimulus, sample step or window: they are refused.{_amplitudes(ensemble.protocol)}
- Cells other than the simulated one: it answers all the same. Look at the verdict and at the re-simulated trace.
- Its intervals are calibrated on {ensemble.calibration.sets} simulated cells of this kind; they promise nothing for others.
{_recordings(ensemble.augmentation)}{_how(ensemble)}

## What is in this folder

member-*.safetensors (weights), stimulus.safetensors (currents), intervals.safetensors and alarm.safetensors,
ensemble.json (everything else, with the hashes of the files), cell/ (the NEURON cell). Trained with {_versions(ensemble)}.
"""


def _judged(ensemble) -> str:
    """What came of judging it by traces of its own kind and of others, if that was done."""
    held = ensemble.record.get("judged")
    return "\n\n" + "\n\n".join([*_tested(held["evaluation"], ensemble.space.names), *_alarms(held)]) if held else ""


def _tested(held: dict, names: list[str]) -> list[str]:
    rows = {name: held["parameters"][name] for name in names}
    levels = list(rows[names[0]]["coverage"])
    errors = ["| parameter | R2 | rms error | unit | % of range |", "|---|---|---|---|---|"]
    covers = [
        "| parameter | "
        + " | ".join(f"{100 * float(level):.0f} %" for level in levels)
        + " | raw spread, 68 % | width |",
        "|---|" + "---|" * (len(levels) + 2),
    ]
    for name, row in rows.items():
        errors.append(
            f"| {name} | {row['r2']:.3f} | {row['rms']:.3g} | {row['unit'] or '-'} | {row['rms_percent']:.2f} |"
        )
        shares = " | ".join(f"{100 * row['coverage'][level]:.1f}" for level in levels)
        covers.append(f"| {name} | {shares} | {100 * row['raw']['0.68']:.1f} | {row['against_constant']['0.9']:.2f} |")
    loose = held["unconstrained"]
    return [
        f"## On {held['traces']} other traces\n\nNo network learned from them and nothing was chosen or calibrated by them. Mean "
        f"square error {held['mse']:.4f}"
        + (
            f"; as far as these networks can tell, this stimulus does not constrain {', '.join(loose)}."
            if loose
            else "."
        ),
        "\n".join(errors),
        "## Do the intervals hold\n\nThe share of those traces, in %, whose true value lies in the interval of the nominal "
        "level; in that of the raw\nspread of the networks, which is too narrow; and the mean width of the 90 % interval, 1 "
        "being that of one width for all.",
        "\n".join(covers),
    ]


def _alarms(held: dict) -> list[str]:
    lines = ["| traces | AUROC | alarms, % | told by |", "|---|---|---|---|"]
    for row in held["shifts"]:
        lines.append(f"| {row['name']} | {row['auroc']:.3f} | {100 * row['detected']:.1f} | {row['signal']} |")
    return [
        "## What the alarm hears\n\nTraces of other kinds against traces of its own kind: AUROC 1 tells all of them apart, 0.5 "
        "none. **What gives few alarms\nis not detected**: it is for you to keep it away.",
        "\n".join(lines),
    ]


def _what(ensemble) -> str:
    record, protocol = ensemble.record, ensemble.protocol
    low, high = ensemble.voltage_range
    probes, stimuli, length = ensemble.shape
    return (
        f"{len(ensemble.members)} networks of design {ensemble.design.name} map {probes} x {stimuli} voltage windows of "
        f"{length} samples at {protocol.dt:g} ms\n(probe {', '.join(ensemble.probes)}; stimulus {protocol.name})"
        f"{_injected(protocol)} to "
        f"{len(ensemble.space)} parameters. They learned from {record['traces']} simulated\n"
        f"traces between {low:.1f} and {high:.1f} mV, curated by log10(V - ({ensemble.scaler.floor:g}) + 1)."
    )


def _injected(protocol) -> str:
    return " and the injected currents" if protocol.is_bank else ""


def _amplitudes(protocol) -> str:
    """Within what amplitudes the networks know a bank's stimuli."""
    low, high = protocol.amplitudes
    told = f"\n- Currents below {low:g} or above {high:g} times those of the bank: the verdict says so."
    return told if protocol.is_bank else ""


def _recordings(augmentation) -> str:
    """What of a real recording it has met."""
    if not augmentation:
        return (
            "- Its traces were clean: it has seen no noise, offset, gain error, jitter or filter of a recording, no series\n"
            "  resistance and no junction potential. The noise of a real recording gives the alarm for itself."
        )
    return (
        f"- Its traces had what recordings have: {augmentation.told()}.\n"
        "  So had those by which errors, intervals and alarm were made. It has seen no more than that, and no series\n"
        "  resistance; traces without noise may give the alarm."
    )


def _how(ensemble) -> str:
    """How it was trained, where the record says so."""
    held = ensemble.record.get("judged", {}).get("made")
    return f"\n\n## How it was made\n\n{held}" if held else ""


def _table(ensemble) -> str:
    rows = ["| parameter | range | unit | rms error, % of range |", "|---|---|---|---|"]
    for p, rms in zip(ensemble.space.parameters, ensemble.validation_rms, strict=True):
        scale = " (log)" if p.scale == "log" else ""
        rows.append(f"| {p.name} | {p.low:g} .. {p.high:g}{scale} | {p.unit or '-'} | {rms_percent(rms):.1f} |")
    return "\n".join(rows)


def summary(ensemble: "Ensemble") -> list[str]:
    """What was learned, as lines for a terminal."""
    lines = [f"held-out rms error in % of the range (guessing the middle: {GUESSING_RMS:.1f})"]
    for name, rms in zip(ensemble.space.names, ensemble.validation_rms, strict=True):
        lines.append(f"  {name:<16}{rms_percent(rms):5.1f}")
    if rms_percent(ensemble.validation_rms.min()) > NEARLY * GUESSING_RMS:
        lines.append("hardly anything was learned: train for longer, or on more traces")
    return lines


def rms_percent(rms_unit: float) -> float:
    """An error in unit parameters as % of the range, which is 2 wide."""
    return 50 * float(rms_unit)


def _folds(ensemble) -> str:
    return ", ".join(f"{loss:.4f}" for loss in ensemble.record["fold_losses"])


def _versions(ensemble) -> str:
    """A compiler's version begins with its name already."""
    held = sorted(ensemble.record["versions"].items())
    return ", ".join(version if version.startswith(f"{name} ") else f"{name} {version}" for name, version in held)
