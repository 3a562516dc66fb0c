"""Run one of the harness's commands as a job's process: ``python -m harness.cli.as_job COMMAND …``.

It ends when its parent process ends.
"""

from __future__ import annotations

import sys

from harness.cli.main import app
from harness.core.errors import HarnessError, UsageError
from harness.jobs import lifeline


def main(arguments: list[str]) -> None:
    """Run the command. The exit status is 0 if it came to its end, whatever it found."""
    lifeline.hold()
    try:
        app(arguments)
    except HarnessError as error:
        print(error, file=sys.stderr)
        sys.exit(UsageError.exit_status if isinstance(error, UsageError) else 1)
    except SystemExit as end:
        sys.exit(end.code if end.code == UsageError.exit_status else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
