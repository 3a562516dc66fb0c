"""Generated networks of the suites: a fixed sample, and those of the findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.core.paths import ROOT

SAMPLE = Path(__file__).with_suffix(".json")
FINDINGS = ROOT / "findings"


def sample() -> dict[str, Any]:
    """Return the sample: networks by name, as Hypothesis drew them once (its draws differ by version)."""
    found: dict[str, Any] = json.loads(SAMPLE.read_text())
    return found


def findings() -> dict[str, Any]:
    """Return the shrunk network of every finding, by the name of its script."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(FINDINGS.glob("*.json"))}
