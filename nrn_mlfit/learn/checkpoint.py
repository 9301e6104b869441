"""What a training that may be broken off leaves on disk: its settings, and what each member needs to go on, or has become."""

import io
import pickle
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

import torch

from nrn_mlfit import textfile
from nrn_mlfit.errors import EnsembleError, MachineError
from nrn_mlfit.learn import storage
from nrn_mlfit.learn.training import History, Trained
from nrn_mlfit.shards import claim

ABOUT, THREADS = "training.json", "threads"
SECONDS_BETWEEN = 30.0
DAMAGE = (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


class Checkpoints:
    """A hidden folder beside an ensemble that is being trained; it is gone when the ensemble is there."""

    def __init__(self, ensemble: Path):
        self._ensemble, self.folder = ensemble, ensemble.parent / f".{ensemble.name}-training"

    def begin(self, about: dict, threads: int, alone: ExitStack) -> list[int]:
        """Take the folder for a training, for as long as `alone` is open; if it is empty then, it is removed.

        Gives the numbers of threads that it was and is trained with, the first one first: with another one it goes on, but
        not to the same bits.

        Raises EnsembleError where it holds another one, MachineError where the ensemble is there, ShardError where another
        process has taken it.
        """
        alone.callback(self._leave)  # once the lock is gone
        alone.enter_context(claim.held(self.folder))
        storage.check_free(self._ensemble)  # another process may have ended its training while we came
        path = self.folder / ABOUT
        held = textfile.read_json(path, EnsembleError) if path.is_file() else {**about, THREADS: []}
        earlier = held.pop(THREADS, None)
        if held != about or not isinstance(earlier, list):
            raise EnsembleError(
                f"{self.folder}: holds an unfinished training with other traces or settings; give its command again to go on, "
                "delete the folder, or name another ensemble with -o"
            )
        counts = list(dict.fromkeys([*earlier, threads]))
        textfile.write_atomic(path, textfile.to_json({**about, THREADS: counts}))
        return counts

    def member(self, number: int) -> "Member":
        return Member(self.folder / f"member-{number}.pt")

    def remove(self):
        """Remove all but the lock: another process could take a new one in its place, and its files would go with ours."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != claim.LOCK:
                with suppress(OSError):
                    path.unlink()

    def _leave(self):
        with suppress(OSError):  # not empty: to be gone on with, or somebody else's by now
            self.folder.rmdir()


class Member:
    """What one member has come to, in one file that is always whole."""

    def __init__(self, path: Path):
        self._path, self._kept_at = path, time.monotonic()

    def load(self) -> dict | None:
        """What was kept, None where nothing was; raises EnsembleError for a damaged file."""
        if not self._path.is_file():
            return None
        try:
            return torch.load(self._path, weights_only=True)
        except DAMAGE as error:
            raise EnsembleError(f"{self._path}: damaged ({error}); delete it, and this member begins anew") from None

    def keep(self, state):
        """Keep `state()`, but not more often than every half minute."""
        if time.monotonic() - self._kept_at >= SECONDS_BETWEEN:
            self._write(state())
            self._kept_at = time.monotonic()

    def finish(self, trained: Trained):
        """Keep what came of the training in place of what it needed to go on."""
        self._write(
            {
                "done": trained.network.state_dict(),
                "history": asdict(trained.history),
                "errors": trained.errors,
            }
        )

    def _write(self, state):
        image = io.BytesIO()
        torch.save(state, image)
        try:
            textfile.write_atomic(self._path, image.getvalue())
        except OSError as error:
            raise MachineError(
                f"{self._path}: cannot be written ({error.strerror or error}); make room there"
            ) from None


def trained_of(kept: dict, network) -> Trained:
    """A member that `finish` kept, in a network of its design."""
    network.load_state_dict(kept["done"])
    return Trained(network.cpu().eval(), History(**kept["history"]), kept["errors"])
