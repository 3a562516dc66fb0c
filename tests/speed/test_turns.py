"""Turns of two processes: their order, what is read from them, and what happens when one side ends."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from support.sides import two_sides

from harness.pool.workers import WorkerCrash, WorkerTimeout
from harness.speed import machine
from harness.speed.measure import GROUP, LEAST_ROUNDS, order, pair, read

EXTRAS = (0.0, 0.02, 0.1)


def test_sides_go_strictly_by_turns() -> None:
    found = order(20, EXTRAS, np.random.default_rng(0))
    assert [side for side, _ in found] == [turn % 2 for turn in range(2 * 20 * len(EXTRAS) + 1)]
    pairs = list(zip(found[:-1:2], found[1::2], strict=True))
    assert all(before[1] == after[1] for before, after in pairs)
    groups = [pairs[at : at + GROUP] for at in range(0, len(pairs), GROUP)]
    assert all(len(set(group)) == 1 for group in groups)
    mine = [group[0][1][1] for group in groups]
    every = [tuple(mine[at : at + len(EXTRAS)]) for at in range(0, len(mine), len(EXTRAS))]
    assert all(sorted(one) == sorted(EXTRAS) for one in every)
    assert len(set(every)) > 1


def disturbed(rng: np.random.Generator, rounds: int) -> tuple[list[tuple[int, float]], list[list[float]]]:
    """Turns of two equal sides, a tenth of the way through bursts in which a run takes half as long again."""
    turns = order(rounds, EXTRAS, rng)
    times, slow = [], False
    for side, extra in turns:
        if rng.random() < 0.1:
            slow = not slow
        times.append(1e-3 * (1 + side * extra) * (1.5 if slow else 1.0) * math.exp(rng.normal(0, 0.01)))
    sides = [[t for t, turn in zip(times, turns, strict=True) if turn[0] == side] for side in (0, 1)]
    return turns, sides


def test_bursts_that_outlast_two_runs_are_not_read() -> None:
    rng = np.random.default_rng(1)
    found = [read(*disturbed(rng, 150), EXTRAS) for _ in range(40)]
    ratios = np.exp([ratios for ratios, _ in found]) - 1
    assert ratios.mean(axis=0) == pytest.approx(EXTRAS, abs=0.001)
    # The medians of the sides themselves differ by what bursts happened to meet them.
    plain = np.log([medians[1] / medians[0] for _, medians in found])
    assert ratios.std(axis=0).max() < 0.003 < plain.std()


def test_plain_medians_have_no_slowdown() -> None:
    turns = order(GROUP, EXTRAS, np.random.default_rng(2))
    sides = [[2.0] * (3 * GROUP + 1), [3.0 * (1 + extra) for side, extra in turns if side == 1]]
    ratios, medians = read(turns, sides, EXTRAS)
    assert medians == (2.0, 3.0)
    assert np.exp(ratios) == pytest.approx([1.5 * (1 + extra) for extra in EXTRAS])


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # a child of another test, which has ended


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a second processor to keep awake")
def test_the_helpers_processor_is_kept_awake_and_let_go() -> None:
    me, before = psutil.Process(), os.sched_getaffinity(0)
    place = machine.placement()
    with machine.apart(place):
        spinner = next(child for child in me.children() if "awake.py" in command_of(child))
        # It starts like any other process, and with the least priority it waits where much is to do.
        until(lambda: os.sched_getscheduler(spinner.pid) == os.SCHED_IDLE)
        assert tuple(spinner.cpu_affinity()) == place.helpers
        before_s = sum(spinner.cpu_times()[:2])
        until(lambda: sum(spinner.cpu_times()[:2]) > before_s)
        assert os.sched_getaffinity(0) == set(place.orchestrator)
    assert not spinner.is_running()
    assert os.sched_getaffinity(0) == before


def test_the_spinner_ends_with_its_parent() -> None:
    parent = """
import os, subprocess, sys
command = [sys.executable, *sys.argv[1:], str(os.getpid())]
print(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid)
"""
    command = [sys.executable, "-c", parent, str(machine.AWAKE), str(min(os.sched_getaffinity(0)))]
    started = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout)
    until(lambda: not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ for the C++ predictor")
def test_a_program_in_another_process_takes_turns_too(python: str, tmp_path: Path) -> None:
    with two_sides(python, tmp_path) as (work, sides):
        plainer = sides[0].executor.targets["predictor-cpp"]
        work = msgspec.structs.replace(work, targets=(plainer, work.targets[1]))
        with pair(sides, work.targets, False, machine.placement()) as processes:
            found = processes.measure(work, 0.05, np.random.default_rng(0))
    assert found.rounds >= LEAST_ROUNDS
    assert min(found.medians) > 0


@pytest.mark.slow
def test_a_hang_is_told_as_a_hang(python: str, tmp_path: Path) -> None:
    """Both processes are ended then, and that they were is not what is told."""
    with (
        two_sides(python, tmp_path, call_timeout=20.0) as (work, sides),
        pair(sides, work.targets, False, machine.placement()) as processes,
        pytest.raises(WorkerTimeout, match="no answer in 20 s"),
    ):
        processes.measure(work, 0.02, np.random.default_rng(0), (math.inf,))


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "delay"), [(0, 0.4), (1, 5.0)])
def test_a_side_that_dies_does_not_keep_the_other_waiting(
    killed: int, delay: float, python: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    with (
        two_sides(python, tmp_path) as (work, sides),
        pair(sides, work.targets, False, machine.placement()) as processes,
    ):
        assert processes.measure(work, 0.02, rng).rounds >= LEAST_ROUNDS
        death = threading.Timer(delay, os.kill, (processes.workers[killed].pid, signal.SIGKILL))
        death.start()
        started = time.monotonic()
        with pytest.raises(WorkerCrash, match="SIGKILL"):
            processes.measure(work, 30.0, rng)
        assert time.monotonic() - started < sides[0].executor.pool.deadline


@pytest.mark.slow
def test_operators_are_profiled_on_both_sides(python: str, tmp_path: Path) -> None:
    with two_sides(python, tmp_path) as (work, sides):
        plain = sides[0].executor.targets["predictor-no-onednn"]
        work = msgspec.structs.replace(work, targets=(plain, work.targets[1]))
        with pair(sides, work.targets, False, machine.placement()) as processes:
            found = {one.name: one for one in processes.operators(work)}
    # LeNet's convolutions run under one name without oneDNN, and fused under another one with it.
    assert found["conv2d"].before_calls == 2
    assert found["conv2d"].before_us > 1
    assert sum(one.after_calls for name, one in found.items() if "conv2d" in name) >= 2
