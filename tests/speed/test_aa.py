"""The A/A test: its table from pairs whose truth is known, and the command from end to end."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.sides import two_sides

from harness.core.errors import HarnessError
from harness.core.files import Lines, write_json
from harness.gate import speed as gate_speed
from harness.speed import aa, added, machine
from harness.speed import pairs as kept_pairs
from harness.speed.aa import Share
from harness.speed.measure import Measured, Plan, Timed, Workload, pair, visits
from harness.speed.pairs import EXTRAS
from harness.speed.session import Rules
from harness.targets.target import Target

ROOT = Path(__file__).resolve().parents[2]


def measured(
    rng: np.random.Generator,
    number: int,
    spread: float,
    process: float,
    session: float = 0.0,
    sessions: int = 1,
) -> Measured:
    """One pair; ``process``: what a process differs by from another of its kind at another time.

    ``session``: what its sessions differ by from each other.
    """
    base = 1e-4 * math.exp(rng.normal(0, process))
    common = rng.normal(0, spread)
    noises = common + rng.normal(0, session, sessions)
    return Measured(
        swapped=bool(number % 2),
        extras=EXTRAS,
        sessions=tuple(
            Timed(
                load_ms=(10.0, 10.0 * math.exp(5 * noise)),
                memory_mib=(50.0, 50.0 + 100 * float(noise)),
                ratios=tuple(math.log1p(extra) + float(noise) for extra in EXTRAS),
                medians=(base, base * math.exp(noise)),
                rounds=30,
            )
            for noise in noises
        ),
        paddle_mib=(300.0, 300.0),
    )


def test_table_of_known_pairs() -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.012, 0.1) for number in range(200)]}
    every = aa.evaluate(pool, Rules(), 300)
    rows = {row.extra: row for row in every if row.quantity == "run"}
    assert rows[0.0].detected.share <= 0.005
    assert rows[0.0].detected.hits <= rows[0.0].first.hits
    assert rows[0.02].detected.share >= 0.9
    assert rows[0.05].detected.share == 1.0
    # Two processes at other times differ by more than 5 % on their own, and hide 2 %.
    assert rows[0.0].stored.share > 0.2
    assert rows[0.02].stored.share < 0.7
    for quantity, shown in (("load", 0.5), ("memory", 0.1)):
        others = {row.extra: row for row in every if row.quantity == quantity}
        assert others[0.0].detected.share <= 0.005
        assert others[shown].detected.share >= 0.95


def test_too_few_pairs_are_a_sentence() -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.01, 0.1) for number in range(10)]}
    with pytest.raises(HarnessError, match="10 pairs of lenet were measured, and 44 are needed"):
        aa.evaluate(pool, Rules(), 10)


def test_sessions_make_a_pair_surer() -> None:
    """The same pairs with one session and with eight: where the spread comes from, and what is told."""
    rng = np.random.default_rng(3)
    pool = {"lenet": [measured(rng, number, 0.008, 0.1, 0.03, 8) for number in range(120)]}
    found = aa.summarize("3.3.1", pool, Rules(), 100, "now", 0.0, machine.conditions())
    levels = found.levels["lenet"]
    assert levels.session == pytest.approx(0.03, rel=0.15)
    assert levels.pair == pytest.approx(0.008, rel=0.5)
    assert (found.plan.sessions, found.sessions) == (8, Plan().sessions)
    by = {one.sessions: one for one in found.by_sessions}
    assert set(by) == {1, 2, 4, 8} - {Plan().sessions}
    assert by[1].spread["lenet"] > found.spread["lenet"] > by[8].spread["lenet"]
    at_2 = EXTRAS.index(0.02)  # the rows of runs come first
    assert by[1].rows[at_2].detected.share < 0.3 < by[8].rows[at_2].detected.share
    assert all(one.rows[0].detected.hits == 0 for one in found.by_sessions)


def test_a_pair_is_the_mean_of_its_sessions() -> None:
    one = measured(np.random.default_rng(4), 1, 0.01, 0.1, 0.03, 4)
    ratios = [session.ratios[0] for session in one.sessions]
    assert one.ratios[0] == pytest.approx(np.mean(ratios))
    assert one.first(1).ratios[0] == ratios[0]
    assert math.log(one.medians[1] / one.medians[0]) == pytest.approx(np.mean(ratios))


def test_sessions_of_all_works_interleave() -> None:
    target = Target("predictor", "predictor")
    works = [Workload(model, 1, (target, target)) for model in ("lenet", "lstm", "conv_bn")]
    seen = list(visits(works, 4, np.random.default_rng(0)))
    assert [number for number, _ in seen] == [number for number in range(4) for _ in works]
    orders = [tuple(work.model for k, work in seen if k == number) for number in range(4)]
    assert all(sorted(order) == ["conv_bn", "lenet", "lstm"] for order in orders)
    assert len(set(orders)) > 1


def kept(folder: Path, name: str, place: str, pairs: int, cut: str = "", sessions: int = 1) -> Path:
    """The folder of an A/A test with the pairs of one work."""
    rng = np.random.default_rng(len(str(folder)))
    folder.mkdir()
    file = folder / kept_pairs.PAIRS
    lines = Lines(file)
    lines.add(msgspec.json.encode(kept_pairs.Subject(name, place, Plan(sessions), kept_pairs.FORM)))
    for number in range(pairs):
        one = measured(rng, number, 0.012, 0.1, sessions=sessions)
        lines.add(msgspec.json.encode({"lenet": one}))
    with file.open("a") as open_file:
        open_file.write(cut)
    return folder


def test_pairs_of_interrupted_tests_are_used_together(tmp_path: Path) -> None:
    here = machine.identity()
    folders = [
        kept(tmp_path / "a", "3.3.1", here, 46, '{"lenet":{"swa'),
        kept(tmp_path / "b", "3.3.1", here, 12),
    ]
    name, pool = kept_pairs.pooled(folders)
    assert (name, len(pool["lenet"])) == ("3.3.1", 58)
    found = aa.summarize(name, pool, Rules(), 200, "now", 0.0, machine.conditions())
    totals = {row.extra: row for row in aa.totals(found.rows) if row.quantity == "run"}
    assert totals[0.0].detected.of == 200
    assert totals[0.05].detected.share > 0.95


@pytest.mark.parametrize(
    ("name", "place", "cut", "sessions", "says"),
    [
        ("3.3.1", "another processor, 64 processors", "", 1, "this machine and of one plan"),
        ("2.6.2", "", "", 1, "one environment on this machine"),
        ("3.3.1", "", "{\n{}\n", 1, "holds no pairs"),
        ("3.3.1", "", "", 4, "1 sessions a pair; .*4 sessions a pair"),
    ],
    ids=["machine", "environment", "damaged", "sessions"],
)
def test_pairs_that_do_not_belong_together_are_a_sentence(
    name: str, place: str, cut: str, sessions: int, says: str, tmp_path: Path
) -> None:
    here = machine.identity()
    folders = [
        kept(tmp_path / "a", "3.3.1", here, 2),
        kept(tmp_path / "b", name, place or here, 2, cut, sessions),
    ]
    with pytest.raises(HarnessError, match=says):
        kept_pairs.pooled(folders)
    with pytest.raises(HarnessError, match="name the folder of an A/A test"):
        kept_pairs.pooled([tmp_path])


def test_pairs_of_an_earlier_form_are_a_sentence(tmp_path: Path) -> None:
    subject = {"name": "3.3.1", "machine": machine.identity()}
    pairs = {"lenet": {"swapped": False, "extras": [0.0], "ratios": [0.0], "medians": [1e-4, 1e-4]}}
    lines = Lines(tmp_path / kept_pairs.PAIRS)
    for line in (subject, pairs):
        lines.add(msgspec.json.encode(line))
    with pytest.raises(HarnessError, match="in an earlier way: measure anew"):
        kept_pairs.pooled([tmp_path])


def test_the_newest_aa_test_of_this_machine_is_the_gates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pool = {"lenet": [measured(rng, number, 0.012, 0.1) for number in range(60)]}
    found = aa.summarize("3.3.1", pool, Rules(), 50, "2026-01-01T00:00:00", 0.0, machine.conditions())
    assert gate_speed.aa_test(tmp_path) is None
    for name, one in (
        ("1", found),
        ("2", msgspec.structs.replace(found, name="3.3.0")),
        ("3", msgspec.structs.replace(found, machine="another")),
    ):
        folder = tmp_path / "reports" / aa.FOLDER / name
        folder.mkdir(parents=True)
        write_json(folder / aa.EVALUATION, one, "the A/A test")
    (folder.parent / "4").mkdir()
    (folder.parent / "4" / "aa-test.json").write_text("{")
    told = gate_speed.aa_test(tmp_path)
    assert told is not None
    assert (told.name, told.works, told.pairs, told.sessions) == ("3.3.0", 1, 60, 1)
    assert [row.extra for row in told.rows if row.quantity == "run"] == list(EXTRAS)
    assert {row.quantity for row in told.rows} == {"run", "load", "memory"}
    assert {row.comparisons for row in told.rows} == {50}


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
    [
        ("lenet:x", "lenet:x is not a workload"),
        ("nothing:1", "no model named nothing"),
        (",", "no workload is named"),
    ],
)
def test_wrong_works_are_a_sentence(works: str, says: str, python: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "aa-test",
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
    rng, place = np.random.default_rng(0), machine.placement()
    with (
        two_sides(python, tmp_path) as (work, sides),
        machine.apart(place),
        pair(sides, work.targets, True, place) as processes,
    ):
        found = [processes.measure(work, 0.1, rng, (0.0, 0.5), number) for number in range(2)]
        threads = processes.workers[0].call("machine.affinity.threads", 60.0)
    assert all(one.rounds >= 15 for one in found)
    # More where others take the processor away while it is spun; nothing where it is not put in.
    assert all(math.exp(one.ratios[1] - one.ratios[0]) > 1.25 for one in found)
    if place.helpers and place.measured:
        # Only the timed thread is left on the measured processor.
        assert threads.count(list(place.measured)) == 1
        assert len(threads) > 1
        assert all(cpus == list(place.helpers) for cpus in threads if cpus != list(place.measured))
