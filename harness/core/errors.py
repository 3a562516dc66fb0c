"""The exceptions that are printed as a sentence, without a traceback."""

from harness.core.types import ReasonKind


class HarnessError(Exception):
    """An error that the user can correct; its message is one sentence that says what to do.

    ``exit_status`` is the exit status of the command line.
    """

    exit_status = 1


class Undecided(HarnessError):
    """The question could not be answered: a gate that could not be run has neither passed nor blocked."""

    exit_status = 3


class UsageError(HarnessError):
    """The arguments are invalid; nothing was run."""

    exit_status = 2


class NotApplicable(Exception):
    """What was asked for makes no sense for this model or target: the case is not run, for this reason."""

    kind: ReasonKind = ""


class ModelRefused(NotApplicable):
    """The model cannot be used in this environment at all, as its first run found.

    Args:
        paddle: the version that refused it.
    """

    kind: ReasonKind = "model refused"

    def __init__(self, paddle: str, why: str) -> None:
        super().__init__(f"refused by Paddle {paddle}: {why}")
