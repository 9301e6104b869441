"""Stimuli: reset + chirp, step, ramp, noise, or samples from a file; a Protocol is S of them with one window, or a
bank of such protocols, of which each parameter set gets one.

A stimulus is its samples: sample k is the current at t = k dt, linear in between; the network sees the samples
[start, stop) of its window. Scales are in nA (dimensionless for point processes that count so).
"""

from nrn_mlfit.stimuli.files import from_file, samples
from nrn_mlfit.stimuli.kinds import KINDS, NAMED, make, make_protocol, noise, ramp, reset_chirp, step
from nrn_mlfit.stimuli.protocol import AS_IT_IS, Protocol, alternatives_in
from nrn_mlfit.stimuli.stimulus import Stimulus, waveform_difference

__all__ = [
    "AS_IT_IS",
    "KINDS",
    "NAMED",
    "Protocol",
    "Stimulus",
    "alternatives_in",
    "from_file",
    "make",
    "make_protocol",
    "noise",
    "ramp",
    "reset_chirp",
    "samples",
    "step",
    "waveform_difference",
]
