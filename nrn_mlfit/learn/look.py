"""A Look: all that an ensemble makes of some traces, before it is put into words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nrn_mlfit.learn.traits import Traits, join_traits


@dataclass(frozen=True, eq=False)
class Look:
    """What M members make of N traces: `answers` (M, N, K) in unit parameters, `features` (M, N, D) of their last hidden
    layers; and `traits`, what the traces are like."""

    answers: np.ndarray
    features: np.ndarray
    traits: Traits

    def __getitem__(self, rows: slice) -> "Look":
        return Look(self.answers[:, rows], self.features[:, rows], self.traits[rows])


def join_looks(looks: Sequence[Look]) -> Look:
    """The looks at several blocks of traces as one."""
    return Look(
        np.concatenate([look.answers for look in looks], axis=1),
        np.concatenate([look.features for look in looks], axis=1),
        join_traits([look.traits for look in looks]),
    )
