"""Divide a run's cases among machines: by what their targets need, or one machine for each target."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.containers import grouped
from harness.core.errors import UsageError
from harness.core.options import Options
from harness.plugin.options import choose
from harness.plugin.selection import MACHINE
from harness.targets import target as targets
from harness.targets.target import Target


class Share(msgspec.Struct, frozen=True):
    """Some of a run's cases, and what the machine for them must have."""

    name: str = ""
    """'' for everything that any machine can run."""
    narrowing: dict[str, tuple[str, ...]] = {}
    """The options that leave out the others' cases, by their fields."""
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}


def shares(options: Options) -> list[Share]:
    """All cases that the options choose, each in one share.

    Targets that state ``resources`` or ``labels`` are grouped by them; all else is the first share, and the
    only one if there are no such targets.

    Raises:
        HarnessError: a targets file cannot be read.
    """
    special = (target for target in _chosen(options) if target.resources or target.labels)
    groups = grouped(special, lambda target: repr((target.resources, target.labels)))
    if not groups:
        return [Share()]
    found = [Share(narrowing={"not_on": tuple(target.name for group in groups.values() for target in group)})]
    for group in groups.values():
        names = tuple(target.name for target in group)
        found.append(Share(f"on {','.join(names)}", {"only_on": names}, group[0].resources, group[0].labels))
    return found


def apart(options: Options) -> list[Share]:
    """All cases that the options choose: a share for each target, and one for those on none.

    A target's share also measures the peak performance of its machine.

    Raises:
        HarnessError: a targets file cannot be read, or a target is not known.
    """
    chosen = _chosen(options)
    found = [
        Share(
            target.name,
            {"targets": (target.name,), "only_on": (target.name, MACHINE)},
            target.resources,
            target.labels,
        )
        for target in chosen
    ]
    return [*found, Share("no target", {"not_on": (*(target.name for target in chosen), MACHINE)})]


def _chosen(options: Options) -> list[Target]:
    known = targets.load(map(Path, options.targets_file))
    if options.targets:
        return [known[name] for name in choose("target", options.targets, list(known))]
    return [target for target in known.values() if options.tier == "full" or target.tier == "quick"]


def sent(options: Options) -> tuple[Options, tuple[tuple[str, str], ...]]:
    """The options without targets files, and those files as name and text, to be written where they go.

    Raises:
        UsageError: a file cannot be read.
    """
    files = []
    for path in map(Path, options.targets_file):
        try:
            files.append((path.name, path.read_text()))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the targets file {path}: {error}") from error
    return msgspec.structs.replace(options, targets_file=()), tuple(files)
