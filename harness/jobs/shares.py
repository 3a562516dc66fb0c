"""A run's cases shared out among machines: by what their targets need, or each target on one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.errors import UsageError
from harness.plugin.options import choose, names_of
from harness.plugin.selection import MACHINE
from harness.targets import target as targets
from harness.targets.target import Target


class Share(msgspec.Struct, frozen=True):
    """Some of a run's cases, and what the machine that runs them must have."""

    name: str = ""
    """'' for everything that any machine can run."""
    arguments: tuple[str, ...] = ()
    """pytest's, beside those that all shares have."""
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}


def shares(arguments: Sequence[str]) -> list[Share]:
    """All cases that the pytest arguments choose, each in one share.

    A target that states ``resources`` or ``labels`` has its cases run where those are; all else is the
    first share. Without such targets that is the only one.

    Raises:
        HarnessError: a targets file cannot be read.
    """
    groups: dict[str, list[Target]] = {}
    for target in _chosen(arguments):
        if target.resources or target.labels:
            groups.setdefault(repr((target.resources, target.labels)), []).append(target)
    if not groups:
        return [Share()]
    elsewhere = [target.name for group in groups.values() for target in group]
    found = [Share(arguments=(f"--not-on={','.join(elsewhere)}",))]
    for group in groups.values():
        names = ",".join(target.name for target in group)
        found.append(Share(f"on {names}", (f"--only-on={names}",), group[0].resources, group[0].labels))
    return found


def apart(arguments: Sequence[str]) -> list[Share]:
    """All cases that the pytest arguments choose: a share for each target, and one for those on none.

    A target's share measures what its machine can do at most, too.

    Raises:
        HarnessError: a targets file cannot be read, or a target is not known.
    """
    chosen = _chosen(arguments)
    found = [
        Share(
            target.name,
            (f"--targets={target.name}", f"--only-on={target.name},{MACHINE}"),
            target.resources,
            target.labels,
        )
        for target in chosen
    ]
    return [*found, Share("no target", (f"--not-on={','.join([*(t.name for t in chosen), MACHINE])}",))]


def _chosen(arguments: Sequence[str]) -> list[Target]:
    files = [Path(text) for text in _values(arguments, "--targets-file")]
    known = targets.load(files)
    wanted = [name for text in _values(arguments, "--targets") for name in names_of(text)]
    if wanted:
        return [known[name] for name in choose("target", tuple(wanted), list(known))]
    whole = "--tier=full" in arguments
    return [target for target in known.values() if whole or target.tier == "quick"]


def sent(arguments: Sequence[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The arguments without targets files, and those files as name and text, to be written where they go.

    Raises:
        UsageError: a file cannot be read.
    """
    files = []
    for path in map(Path, _values(arguments, "--targets-file")):
        try:
            files.append((path.name, path.read_text()))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the targets file {path}: {error}") from error
    kept = [argument for argument in arguments if not argument.startswith("--targets-file=")]
    return tuple(kept), tuple(files)


def _values(arguments: Sequence[str], option: str) -> list[str]:
    return [text.partition("=")[2] for text in arguments if text.startswith(f"{option}=")]
