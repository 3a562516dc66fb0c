"""The one exception the command line and the plugin print as a sentence, without a traceback."""


class HarnessError(Exception):
    """Something the user can mend; the message is one sentence that says what to do."""
