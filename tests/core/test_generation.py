"""What is drawn depends on the seed, and not on what a process has imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import child_environment

DRAW = """
import sys
sys.path.insert(0, ".")
if sys.argv[1] == "more":
    import constants
from hypothesis import given, settings, strategies
from harness.core.generation import reproducible
drawn = []

@settings(max_examples=200, database=None, derandomize=True)
@given(strategies.lists(strategies.integers() | strategies.text()))
def draw(value):
    drawn.append(value)

with reproducible():
    draw()
print(drawn)
"""


def test_imported_modules_do_not_change_what_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "constants.py").write_text("VALUES = [" + ", ".join(map(str, range(7000, 7400, 7))) + "]\n")
    (tmp_path / "draw.py").write_text(DRAW)
    drawn = [
        subprocess.run(
            [sys.executable, "draw.py", modules],
            cwd=tmp_path,
            env=child_environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for modules in ("few", "more")
    ]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 1000
