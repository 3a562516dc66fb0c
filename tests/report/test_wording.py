"""Numbers as they are written on pages."""

from __future__ import annotations

import math

import pytest

from harness.report import wording


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "—"),
        (0.0, "0 %"),
        (0.0009218, "0.092 %"),
        (0.0000012, "0.00012 %"),
        (0.00999, "1 %"),
        (0.0123, "1.2 %"),
        (0.02, "2 %"),
        (0.9731, "97.3 %"),
        (1.0, "100 %"),
        (1.2345, "123 %"),
        (-0.0123, "-1.2 %"),
        (math.nan, "nan"),
    ],
)
def test_shares_have_few_digits(share: float | None, text: str) -> None:
    assert wording.percent(share) == text
