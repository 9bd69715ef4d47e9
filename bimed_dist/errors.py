"""The one family of errors that users see.

Each message says what was found, what was needed and what to do, and never quotes text of the corpus.
Launchers print the message without a traceback and exit with `exit_code`.
"""


class BimedError(Exception):
    """Anything the user can mend."""

    exit_code = 2


class ConfigError(BimedError):
    """A recipe, an option or a work folder that does not fit."""


class DataError(BimedError):
    """An input file, a shard or a table that is missing, damaged or out of range."""


class CheckpointError(BimedError):
    """A checkpoint that is missing, damaged or from another run."""


class NonFiniteError(BimedError):
    """A loss or gradient that is not a number; no update was made from it."""

    exit_code = 3


class RankLostError(BimedError):
    """Another process of the job is dead, stopped or cut off."""

    exit_code = 4


class RankError(BimedError):
    """Another process of the job failed in the middle of common work."""


class Stopped(BimedError):
    """A signal, a lost process or the time budget ended the run; what was finished is kept and it can be continued."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


def one_line(error: BaseException) -> str:
    """Class and first line of an error, for records."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
