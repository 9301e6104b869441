"""Whether a current was measured or commanded, and whether to believe it."""

import numpy as np

from nrn_mlfit.recordings import pieces

MEASURED, COMMANDED, GIVEN = "measured", "commanded", "given"
FLAT_MS = 2.0  # a command is held exactly; no measured current is
MOST_DIFFERENCE = 0.1  # of the command's range
LAG_MS = 1.0  # around a jump measured and commanded current differ by the amplifier's lag
OVERSHOOT_MS = 2.0  # a capacitive artefact is over by then
MOST_OVERSHOOT = 0.3  # of the jump, and beyond the noise
OVERSHOOT_SIGMAS = 6.0


def kind(current, dt: float) -> str:
    """What a current (T,) looks like where its file does not say: a measured one has noise everywhere.

    A command holds a level to the last bit, or runs smoothly: neighbouring changes have one sign. Of noise they
    have opposite signs more often than not.
    """
    if _longest_run(current) * dt >= FLAT_MS:
        return COMMANDED
    signs = np.sign(np.diff(current))
    return MEASURED if np.sum(signs[1:] * signs[:-1]) < 0 else COMMANDED


def _longest_run(values) -> int:
    """Of equal values, how many follow on each other at most."""
    ends = np.flatnonzero(np.concatenate([[True], np.diff(values) != 0, [True]]))
    return int(np.diff(ends).max())


def difference(measured, commanded, dt: float) -> tuple[str, ...]:
    """What there is to say where a measured current (T,) leaves its command by more than 10% of the command's range."""
    scale = max(float(np.ptp(commanded)), float(np.abs(commanded).max()))
    means, command = (pieces.blocks(values, dt, LAG_MS)[0] for values in (measured, commanded))
    if scale == 0 or means.size == 0:
        return ()
    apart = float(np.percentile(np.abs(means - command), 90)) / scale  # a tenth may lie around jumps
    if apart <= MOST_DIFFERENCE:
        return ()
    ratio = float(np.dot(measured, commanded) / np.dot(commanded, commanded))
    return (
        f"measured and commanded current differ by {100 * apart:.0f}% of the command (measured / commanded = {ratio:.3g}); "
        "the measured one is taken: correct it with --current-scale, or give the right one with --stim-from",
    )


def artefact(current, dt: float) -> tuple[str, ...]:
    """What there is to say where a measured current (T,) overshoots at its jumps, as a stray capacitance makes it."""
    parts, noise = pieces.stretches(current, dt), pieces.sample_noise(current)
    width = max(2, round(OVERSHOOT_MS / dt))
    shares = []
    for before, after in zip(parts[:-1], parts[1:], strict=True):
        jump = after.level - before.level
        around = current[before.last : after.first + width] if after.size > width else current[:0]
        beyond = float(((around - after.level) * np.sign(jump)).max()) if around.size else 0.0
        if jump and beyond > OVERSHOOT_SIGMAS * noise:
            shares.append(beyond / abs(jump))
    if not shares or np.median(shares) <= MOST_OVERSHOOT:
        return ()
    return (
        f"the measured current overshoots its steps by {100 * np.median(shares):.0f}%, as through a stray capacitance; "
        "a model would take it for injected current: give the command with --stim-from",
    )
