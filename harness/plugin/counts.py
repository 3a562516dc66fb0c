"""What the processes of a run made and met."""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """What one process of a run made and met; ``models``: the kind of refusal of each user model, or ''."""

    problems: tuple[str, ...] = ()
    made: int = 0
    reused: int = 0
    repairs: tuple[str, ...] = ()
    replaced: int = 0
    artifacts: tuple[str, ...] = ()
    models: dict[str, str] = {}

    def plus(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(
            self.problems + other.problems,
            self.made + other.made,
            self.reused + other.reused,
            self.repairs + other.repairs,
            self.replaced + other.replaced,
            self.artifacts + other.artifacts,
            self.models | other.models,
        )
