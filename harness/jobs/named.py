"""Environments as jobs know them: by a name, and by a text that names them wherever the job runs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.environments import name_and_text, parse, resolve
from harness.jobs.backend import BackendName
from harness.jobs.suites import text_of


class Named(msgspec.Struct, frozen=True):
    """An environment by its short name, the text that names it on any machine, and what is to be noted."""

    name: str
    text: str
    note: str = ""


def named(texts: Sequence[str], backend: BackendName) -> list[Named]:
    """Each environment once. Made here, where this machine runs them; else made where a job needs them.

    Raises:
        UsageError: a text names none.
        HarnessError: one cannot be made.
    """
    if backend is BackendName.local:
        here = [environment for text in texts for environment in resolve(text)]
        found = [Named(one.name, text_of(one), one.note) for one in here]
    else:
        found = [Named(*name_and_text(spec)) for text in texts for spec in parse(text)]
    return list({one.name: one for one in found}.values())
