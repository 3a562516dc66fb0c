"""Calibration: its table from pairs whose truth is known, and the command from end to end."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.errors import HarnessError
from harness.files import append
from harness.gate import speed as gate_speed
from harness.options import Options
from harness.session import RunSession
from harness.speed import added, calibrate, machine
from harness.speed.calibrate import EXTRAS, Share
from harness.speed.commands import works_of
from harness.speed.decide import Rule
from harness.speed.measure import Measured, Side, pair

ROOT = Path(__file__).resolve().parents[2]


def measured(rng: np.random.Generator, number: int, spread: float, process: float) -> Measured:
    """One pair; ``process``: what a process differs by from another of its kind at another time."""
    base = 1e-4 * math.exp(rng.normal(0, process))
    noise = rng.normal(0, spread)
    return Measured(
        swapped=bool(number % 2),
        extras=EXTRAS,
        ratios=tuple(math.log1p(extra) + noise for extra in EXTRAS),
        medians=(base, base * math.exp(noise)),
        load=0.0,
        load_mib=(1.0, 1.0),
        rounds=30,
        disturbed=0.0,
        unsteady=False,
    )


def test_table_of_known_pairs() -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.012, 0.1) for number in range(200)]}
    rows = {row.extra: row for row in calibrate.evaluate(pool, Rule(), 300)}
    assert rows[0.0].told.share <= 0.005
    assert rows[0.0].told.hits <= rows[0.0].first.hits
    assert rows[0.02].told.share >= 0.9
    assert rows[0.05].told.share == 1.0
    # Two processes at other times differ by more than 5 % on their own, and hide 2 %.
    assert rows[0.0].stored.share > 0.2
    assert rows[0.02].stored.share < 0.7


def test_too_few_pairs_are_a_sentence() -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.01, 0.1) for number in range(10)]}
    with pytest.raises(HarnessError, match="10 pairs of lenet were measured, and 40 are needed"):
        calibrate.evaluate(pool, Rule(), 10)


def kept(folder: Path, name: str, place: str, pairs: int, cut: str = "") -> Path:
    """A calibration's folder with the pairs of one work."""
    rng = np.random.default_rng(len(str(folder)))
    folder.mkdir()
    file = folder / calibrate.PAIRS
    append(file, msgspec.json.encode(calibrate.Subject(name, place)), "the pairs")
    for number in range(pairs):
        append(file, msgspec.json.encode({"lenet": measured(rng, number, 0.012, 0.1)}), "the pairs")
    with file.open("a") as open_file:
        open_file.write(cut)
    return folder


def test_pairs_of_interrupted_calibrations_are_used_together(tmp_path: Path) -> None:
    here = machine.identity()
    folders = [
        kept(tmp_path / "a", "3.3.1", here, 30, '{"lenet":{"swa'),
        kept(tmp_path / "b", "3.3.1", here, 12),
    ]
    name, pool = calibrate.pooled(folders)
    assert (name, len(pool["lenet"])) == ("3.3.1", 42)
    found = calibrate.summarize(name, pool, Rule(), 200, "now", 0.0, machine.conditions())
    assert found.total(0.0).told.of == 200
    assert found.total(0.05).told.share > 0.95


@pytest.mark.parametrize(
    ("name", "place", "cut", "says"),
    [
        ("3.3.1", "another processor, 64 processors", "", "this machine are needed"),
        ("2.6.2", "", "", "one environment on this machine"),
        ("3.3.1", "", "{\n{}\n", "holds no pairs"),
    ],
    ids=["machine", "environment", "damaged"],
)
def test_pairs_that_do_not_belong_together_are_a_sentence(
    name: str, place: str, cut: str, says: str, tmp_path: Path
) -> None:
    here = machine.identity()
    folders = [kept(tmp_path / "a", "3.3.1", here, 2), kept(tmp_path / "b", name, place or here, 2, cut)]
    with pytest.raises(HarnessError, match=says):
        calibrate.pooled(folders)
    with pytest.raises(HarnessError, match="name a calibration's folder"):
        calibrate.pooled([tmp_path])


def test_the_newest_calibration_of_this_machine_is_the_gates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.012, 0.1) for number in range(60)]}
    found = calibrate.summarize("3.3.1", pool, Rule(), 50, "2026-01-01T00:00:00", 0.0, machine.conditions())
    assert gate_speed.calibrated(tmp_path) is None
    for name, one in (
        ("1", found),
        ("2", msgspec.structs.replace(found, name="3.3.0")),
        ("3", msgspec.structs.replace(found, machine="another")),
    ):
        folder = tmp_path / "reports" / calibrate.FOLDER / name
        folder.mkdir(parents=True)
        calibrate.write(one, folder)
    (folder.parent / "4").mkdir()
    (folder.parent / "4" / "calibration.json").write_text("{")
    told = gate_speed.calibrated(tmp_path)
    assert told is not None
    assert (told.name, told.works, told.pairs) == ("3.3.0", 1, 60)
    assert [row.extra for row in told.rows] == list(EXTRAS)
    assert [row.comparisons for row in told.rows] == [50] * len(EXTRAS)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 1000, 0.0, 0.0037), (1000, 1000, 0.9963, 1.0), (50, 100, 0.398, 0.602)],
)
def test_intervals_of_shares(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-4)


def test_what_a_target_adds() -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.01, 0.1) for number in range(40)]}
    (row,) = added.rows(pool)
    assert (row.work, row.pairs) == ("lenet", 40)
    assert row.low < 0 < row.high
    assert row.high - row.low < 0.02
    with pytest.raises(HarnessError, match="3 pairs of lenet were measured, and 4 are needed"):
        added.rows({"lenet": pool["lenet"][:3]})


@pytest.mark.parametrize(
    ("works", "says"),
    [("lenet:x", "lenet:x is no work"), ("nothing:1", "no model named nothing"), (",", "no work is named")],
)
def test_wrong_works_are_a_sentence(works: str, says: str, python: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "calibrate",
        python,
        "--works",
        works,
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert says in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_pairs_of_real_processes(python: str, tmp_path: Path) -> None:
    """A slowdown of a half, put into one of two processes of the same Paddle, is what the pairs read."""
    session = RunSession(Options(python=python, run_folder=str(tmp_path)), ROOT, ROOT / "suites")
    labs = [session.lab, session.open_lab(python, "default", "logs/candidate")]
    try:
        sides = [Side("here", lab) for lab in labs]
        works = works_of("lenet:1", session, "predictor")
        rng = np.random.default_rng(0)
        place = machine.placement()
        with machine.apart(place), pair(sides, works[0].targets, True, place) as processes:
            found = processes.measure(works[0], 0.1, rng, (0.0, 0.5))
    finally:
        for lab in labs:
            lab.pool.close()
    assert found.rounds >= 8
    # More where others take the processor away while it is spun; nothing where it is not put in.
    assert math.exp(found.ratios[1] - found.ratios[0]) > 1.25
