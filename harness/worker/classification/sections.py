"""Reading a nested mapping key by key, so that any error is reported in one sentence."""

from __future__ import annotations

import difflib
from typing import Any, Dict, List, Mapping, Optional, Sequence

MISSING: Any = object()
"""The default of a required key."""


class ConfigError(Exception):
    """An error that the user can correct; the message is one sentence."""


class Section:
    """One section of a configuration; ``name`` is its full key, joined by dots.

    Every method that takes a key raises :class:`ConfigError` where the value has another type, or
    where it is missing and has no default.
    """

    def __init__(self, values: Mapping[str, Any], name: str = "") -> None:
        self.name = name
        self._values = dict(values)
        self._known: Dict[str, None] = {}
        self._inner: List[Section] = []

    def place(self, key: str) -> str:
        """Return the key as ``-o`` names it."""
        return f"{self.name}.{key}" if self.name else key

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        self._known[key] = None
        return self._values.get(key) is not None

    def section(self, key: str) -> Section:
        if not self.has(key):
            raise ConfigError(f"the section {self.place(key)} is missing")
        if not isinstance(self._values[key], dict):
            raise ConfigError(f"{self.place(key)} is {self._values[key]!r}: it must be a section")
        self._inner.append(Section(self._values[key], self.place(key)))
        return self._inner[-1]

    def text(self, key: str, default: Any = MISSING) -> Any:
        value = self._get(key, default)
        return value if value is default or isinstance(value, str) else self._wrong(key, "a text")

    def choice(self, key: str, choices: Sequence[str], default: Any = MISSING) -> str:
        value = self._get(key, default)
        if value not in choices:
            self._wrong(key, choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}")
        return str(value)

    def truth(self, key: str, default: Any = MISSING) -> bool:
        value = self._get(key, default)
        return value if isinstance(value, bool) else self._wrong(key, "true or false")

    def whole(self, key: str, default: Any = MISSING, least: int = 0) -> Any:
        value = self._get(key, default)
        if value is not default and (not _is_whole(value) or value < least):
            self._wrong(key, f"a whole number of at least {least}")
        return value

    def number(
        self, key: str, default: Any = MISSING, least: float = 0.0, below: float = float("inf")
    ) -> float:
        value = _as_number(self._get(key, default))
        if value is None or not least <= value < below:
            limits = f"at least {least:g}" + (f" and below {below:g}" if below < float("inf") else "")
            return float(self._wrong(key, f"a number, {limits}"))
        return value

    def wholes(self, key: str, length: int = 0) -> List[int]:
        """Return whole numbers of at least 1; exactly ``length`` of them unless it is 0."""
        value = self._get(key, MISSING)
        if (
            not isinstance(value, list)
            or not value
            or not all(_is_whole(item) and item > 0 for item in value)
        ):
            self._wrong(key, "a list of whole numbers above 0")
        if length and len(value) != length:
            self._wrong(key, f"a list of {length} numbers")
        return list(value)

    def numbers(self, key: str) -> List[float]:
        value = self._get(key, MISSING)
        found = [_as_number(item) for item in value] if isinstance(value, list) else [None]
        if None in found:
            self._wrong(key, "a list of numbers")
        return [item for item in found if item is not None]

    def rest(self) -> Dict[str, Any]:
        """Return the values that no call has asked for yet."""
        left = {key: value for key, value in self._values.items() if key not in self._known}
        self._known.update(dict.fromkeys(left))
        return left

    def end(self) -> None:
        """Demand that every key was asked for, also in the sections inside that were.

        Raises:
            ConfigError: a key is unknown.
        """
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(str(key), list(self._known), 1)
                known = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._known)}"
                raise ConfigError(f"{self.place(key)} is unknown: {known}")
        for section in self._inner:
            section.end()

    def _get(self, key: str, default: Any) -> Any:
        if self.has(key):
            return self._values[key]
        if default is MISSING:
            raise ConfigError(f"{self.place(key)} is missing")
        return default

    def _wrong(self, key: str, wanted: str) -> Any:
        raise ConfigError(f"{self.place(key)} is {self._values.get(key)!r}: it must be {wanted}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _as_number(value: Any) -> Optional[float]:
    if isinstance(value, str):
        # YAML 1.1, which PyYAML reads, parses 1e-3 as text.
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, float) or _is_whole(value) else None
