"""The exceptions that are printed as a sentence, without a traceback."""


class HarnessError(Exception):
    """Something the user can mend; the message is one sentence that says what to do.

    ``exit_status`` is what the command line ends with.
    """

    exit_status = 1


class Undecided(HarnessError):
    """The question could not be answered: a gate that could not be run has neither passed nor blocked."""

    exit_status = 3


class UsageError(HarnessError):
    """The command was given something that cannot be meant: nothing was done."""

    exit_status = 2


class NotApplicable(Exception):
    """What was asked for makes no sense for this model or target: the case is not run, for this reason."""
