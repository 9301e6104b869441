"""Stimuli: reset + chirp, step, ramp, noise, or samples from a file; a Protocol is S of them with one window.

A stimulus is its samples: sample k is the current at t = k dt, linear in between; the network sees the samples
[start, stop) of its window. Scales are in nA (dimensionless for point processes that count so).
"""

from nrn_mlfit.stimuli.files import from_file, samples
from nrn_mlfit.stimuli.kinds import KINDS, make, noise, ramp, reset_chirp, step
from nrn_mlfit.stimuli.protocol import Protocol
from nrn_mlfit.stimuli.stimulus import Stimulus, waveform_difference

__all__ = [
    "KINDS",
    "Protocol",
    "Stimulus",
    "from_file",
    "make",
    "noise",
    "ramp",
    "reset_chirp",
    "samples",
    "step",
    "waveform_difference",
]
