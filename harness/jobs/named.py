"""Environments for jobs: a short name, and a text that names the environment on any machine."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.environments import name_and_text, parse, resolve
from harness.jobs.backend import BackendName
from harness.jobs.suites import text_of


class Named(msgspec.Struct, frozen=True):
    """An environment: its short name, the text that names it on any machine, and a note for the reader."""

    name: str
    text: str
    note: str = ""


def named(texts: Sequence[str], backend: BackendName) -> list[Named]:
    """Return each environment once. Local jobs: make them now; else they are made where a job needs them.

    Raises:
        UsageError: a text names no environment.
        HarnessError: an environment cannot be made.
    """
    if backend is BackendName.local:
        here = [environment for text in texts for environment in resolve(text)]
        found = [Named(one.name, text_of(one), one.note) for one in here]
    else:
        found = [Named(*name_and_text(spec)) for text in texts for spec in parse(text)]
    return list({one.name: one for one in found}.values())
