"""What can go wrong, in the user's words. A message says what, got, wanted, and the next step."""


class MlfitError(Exception):
    """A problem the user can mend; the command line prints it as one sentence and exits with `exit_code`."""

    exit_code = 2
    agreed = False  # raised on every MPI rank alike, so that each can leave by itself


class CellError(MlfitError):
    """A cell file, a template or a parameter that cannot be used."""


class MorphologyError(CellError):
    """A reconstruction that no cell can be made of."""


class ParameterError(CellError):
    """A parameter range or value that makes no sense."""


class FormulaError(CellError, RuntimeError):
    """A formula that is no finite number for a parameter set; a RuntimeError, as what HOC refuses is one."""


class EngineError(MlfitError):
    """A fast engine that does not give what NEURON gives."""


class StimulusError(MlfitError):
    """A stimulus that cannot be made."""


class MechanismError(MlfitError):
    """MOD files that cannot be built or loaded."""


class ShardError(MlfitError):
    """A shard, or a folder of shards, that cannot be used."""


class RecordingError(MlfitError):
    """A recording that cannot be read or does not fit."""


class DesignError(MlfitError):
    """A network design (hyper-parameter file) that cannot be built."""


class EnsembleError(MlfitError):
    """An ensemble that cannot be read, or does not belong to what it is asked about."""


class FitError(MlfitError):
    """A fit that cannot be read, exported or re-simulated."""


class MachineError(MlfitError):
    """Something this machine lacks: a compiler, MPI, a writable folder."""
