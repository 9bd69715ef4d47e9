"""Errors for users.

A message gives the finding with its place, the expectation and the next step, and never quotes text of the corpus.
Programs print it without a traceback and exit with `exit_code`.
"""


class BimedError(Exception):
    """A user error, or a stop that a user has to know about."""

    exit_code = 2


class ConfigError(BimedError):
    """A wrong recipe or option, or a work folder that belongs to other settings."""


class DataError(BimedError):
    """An input, or the output of a stage, that is missing, damaged or out of range."""


class CheckpointError(BimedError):
    """A checkpoint that is missing, damaged or of another run."""


class NonFiniteError(BimedError):
    """A loss or gradient that is not finite; the weights were not changed by it."""

    exit_code = 3


class RankLostError(BimedError):
    """Another process of the job has died, hangs or can't be reached."""

    exit_code = 4


class RankError(BimedError):
    """Another process of the job failed."""


class Stopped(BimedError):
    """A signal, a lost process or the time budget ended the run; finished work is kept and the run can be continued."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


def one_line(error: BaseException) -> str:
    """Return class and first line of an error."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
