"""Where in a recording an ensemble's stimulus lies: the piece that the networks can be asked about."""

import numpy as np

from nrn_mlfit import recordings
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.recordings import Recording
from nrn_mlfit.stimuli import Protocol

LARGEST_WAVEFORM_DIFFERENCE = 0.05  # of the current's rms: measured currents carry noise and the clamp's lag
AS_GOOD = 0.01  # places whose differences are this close are equally good; the first one counts
FAINTEST = 1e-9  # of the current's largest energy: less is what sums of squares are rounded to


def aligned(protocol: Protocol, recording: Recording) -> Recording:
    """The piece of a recording that has the protocol's sample step, window and waveform; one that has step and length
    already stays as it is, and so does one without a current.

    The place is the one at which the current, whatever its strength, differs least in shape from one of the protocol's
    stimuli. Raises EnsembleError where it is too short, or nowhere alike.
    """
    if recording.currents is None or _is_cut(protocol, recording) or len(protocol.stimuli) > 1:
        return recording
    whole = recordings.resampled(recording, protocol.dt)
    assert whole.currents is not None
    if whole.volts.shape[-1] < protocol.length:
        raise EnsembleError(
            f"{recording.name}: lasts {recording.duration:g} ms, the ensemble needs {protocol.length * protocol.dt:g} ms; take "
            "a longer stretch (--window), or another ensemble"
        )
    place, difference = _closest(protocol, whole.currents[0])
    if difference > LARGEST_WAVEFORM_DIFFERENCE:
        raise EnsembleError(unlike(recording.name, protocol, difference))
    return whole.cut(place * whole.dt, (place + protocol.length) * whole.dt)


def unlike(name: str, protocol: Protocol, difference: float) -> str:
    """What is said of a current that is none of the protocol's; `difference` is a share of its rms."""
    none = f"{'like none of' if protocol.is_bank else 'not'} the ensemble's {'' if protocol.is_bank else 'stimulus '}"
    share = "all" if not np.isfinite(difference) or difference > 0.995 else f"{100 * difference:.0f}%"
    return (
        f"{name}: its current is {none}{protocol.name}: {share} of it differs in shape; "
        "simulate and train with this current (--stimulus), or fit a recording made with that stimulus"
    )


def _is_cut(protocol, recording) -> bool:
    return recording.volts.shape[-1] == protocol.length and abs(recording.dt / protocol.dt - 1) < 1e-6


def _closest(protocol, current) -> tuple[int, float]:
    """The sample of a current (T,) at which the closest of the protocol's waveforms begins, and how far it is."""
    differences = np.min([_differences(current, row[0].window) for row in protocol.alternatives], axis=0)
    place = int(np.argmax(differences <= differences.min() + AS_GOOD))
    place += int(np.argmin(differences[place : place + protocol.length // 2]))  # to the bottom of the first good place
    return place, float(differences[place])


def _differences(current, waveform):
    """stimuli.waveform_difference of each stretch of `current` (T,) from a waveform (W,): (T - W + 1,); 1 where none is left
    or the two are of opposite sign."""
    from scipy.signal import correlate

    size, power = waveform.size, float(np.dot(waveform, waveform))
    products = correlate(current, waveform, "valid", method="fft")
    sums = np.concatenate([[0.0], np.cumsum(np.square(current))])
    energy = sums[size:] - sums[:-size]
    alike = np.zeros_like(energy)
    known = (energy > FAINTEST * max(float(energy.max()), 1e-300)) & (power > 0)
    alike[known] = np.maximum(products[known], 0) / np.sqrt(energy[known] * power)
    return np.sqrt(np.maximum(0, 1 - np.square(alike)))
