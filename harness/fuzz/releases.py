"""Find the releases in which a finding's script fails, by running it in each of them."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from harness import environments
from harness.core.choices import LEGACY_IR
from harness.core.errors import HarnessError
from harness.environments import Spec

DEADLINE_S = 300
AT_ONCE = 2


class Tried(msgspec.Struct, frozen=True):
    """One release, and how the script ended there. ``said``: its last line if its exit status was not 0."""

    release: str
    verdict: Literal["good", "bad", "skipped"]
    said: str = ""
    seconds: float = 0.0


def run(script: Path, specs: Sequence[Spec], say: Callable[[Tried], None]) -> list[Tried]:
    """Run the script in every environment, two at a time; results in the order of ``specs``."""

    def one(spec: Spec) -> Tried:
        tried = _try(script, spec)
        say(tried)
        return tried

    with ThreadPoolExecutor(AT_ONCE, "releases") as pool:
        return list(pool.map(one, specs))


def _try(script: Path, spec: Spec) -> Tried:
    started = time.monotonic()
    try:
        environment = environments.make([spec])[0]
    except HarnessError as error:
        return Tried(spec.asked, "skipped", str(error))
    variables = environments.uv.environment() | {"OMP_NUM_THREADS": "1"}
    if environment.profile == "legacy-ir":
        variables |= LEGACY_IR
    try:
        done = subprocess.run(
            [environment.python, str(script)], env=variables, capture_output=True, text=True,
            check=False, timeout=DEADLINE_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Tried(spec.asked, "skipped", f"no end after {DEADLINE_S} s", DEADLINE_S)
    seconds = round(time.monotonic() - started, 1)
    if done.returncode == 0:
        return Tried(spec.asked, "good", "", seconds)
    return Tried(spec.asked, "bad", _said(done), seconds)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Say which signal killed it, which error it ended with, or that its answer is wrong."""
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}"
    errors = [line.strip() for line in done.stderr.splitlines() if "Error" in line and line[:1] != " "]
    return errors[-1][:160] if errors else "wrong answer"


def sentence(tried: Sequence[Tried]) -> str:
    """Summarise results, like neighbours together: ``2.6.2: right; 3.0.0 to 3.3.1: wrong answer``."""
    parts = []
    for (verdict, _), group in itertools.groupby(tried, key=lambda each: (each.verdict, _kind(each))):
        names = [each.release for each in group]
        span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        said = next(each.said for each in tried if each.release == names[-1])
        parts.append(f"{span}: {'right' if verdict == 'good' else said or verdict}")
    return "; ".join(parts)


def _kind(tried: Tried) -> str:
    """Return the result without details that differ between releases."""
    return tried.said.partition("(at ")[0].partition(":")[0]


def changes(tried: Sequence[Tried]) -> list[tuple[str, str]]:
    """Return neighbours ``(older, newer)`` of which one is good and the other bad."""
    judged = [each for each in tried if each.verdict != "skipped"]
    pairs = itertools.pairwise(judged)
    return [(a.release, b.release) for a, b in pairs if a.verdict != b.verdict]
