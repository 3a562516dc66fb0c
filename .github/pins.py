"""Which Paddle the base and the head of a pull request pin: ``old``, ``new`` and ``changed`` for later steps.

A pin is an exact version (``paddlepaddle==3.3.1``, also of ``paddlepaddle-gpu``) in a requirements or
constraints file or in a list of pyproject.toml. Nothing of the project is installed or run. It stands
alone, since the harness is installed only where a pin has changed.
"""

import os
import re
import subprocess
import sys

FILES = (
    ":(glob)**/requirements*.txt",
    ":(glob)**/constraints*.txt",
    ":(glob)**/pyproject.toml",
)
"""Files that may hold the pin, as Git matches them."""
PIN = re.compile(
    r"^[^#]*\bpaddlepaddle(?:-gpu)?(?:\[[^\]]*\])?\s*={2,3}\s*([0-9][0-9A-Za-z.!+_-]*)",
    re.IGNORECASE,
)


def pinned(commit: str) -> str:
    """The one version that the files of a commit pin, or ''; a sentence and exit status 1 for several."""
    search = ["git", "grep", "-hiI", "-e", "paddlepaddle", commit, "--", *FILES]
    done = subprocess.run(search, capture_output=True, text=True, check=False)
    if done.returncode > 1:  # 1: no such line
        sys.exit(f"::error::git cannot read {commit}: {done.stderr.strip()}")
    matches = map(PIN.match, done.stdout.splitlines())
    found = sorted({match[1] for match in matches if match})
    if len(found) > 1:
        sys.exit(f"::error::Paddle is pinned to more than one version: {', '.join(found)}")
    return found[0] if found else ""


def main() -> None:
    """Write the outputs of the step."""
    old, new = os.environ["ASKED_OLD"], os.environ["ASKED_NEW"]
    asked = bool(old and new)
    if not asked:
        old, new = pinned(os.environ["BASE"]), pinned("HEAD")
        if old and not new:
            sys.exit("::error::Paddle is no longer pinned to a version, and the gate needs one")
    changed = asked or bool(old and new and old != new)
    print(f"Paddle {old or 'not pinned'} -> {new or 'not pinned'}" + ("" if changed else ": nothing to gate"))
    with open(os.environ["GITHUB_OUTPUT"], "a") as file:
        file.write(f"old={old}\nnew={new}\nchanged={str(changed).lower()}\n")


if __name__ == "__main__":
    main()
