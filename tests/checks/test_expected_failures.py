"""Expected failures are strict: a pass, another kind and another message all show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checks.expected_failures import ExpectedFailure, ExpectedFailures, load
from harness.core.errors import HarnessError
from harness.core.types import Outcome


def entry(**fields: Any) -> ExpectedFailure:
    return ExpectedFailure(
        **{
            "case": "area/check[*]",
            "paddle": ">=3.0",
            "outcome": "error",
            "match": "bad shape",
            "reason": "why",
            **fields,
        }
    )


def known(
    *entries: ExpectedFailure, version: str = "3.3.1", profile: str = "pir", tier: str = "quick"
) -> ExpectedFailures:
    return ExpectedFailures(entries, version, profile, tier)


@pytest.mark.parametrize(
    ("outcome", "message", "words"),
    [
        ("error", "ValueError: bad shape here", ""),
        ("pass", "", "passes now"),
        ("pass", "bad shape", "passes now"),
        ("error", "another", "another message than 'bad shape'"),
        ("error", "", "another message"),
        ("fail", "bad shape", "expected error, got fail"),
        ("crash", "bad shape", "expected error, got crash"),
        ("timeout", "bad shape", "expected error, got timeout"),
    ],
)
def test_strictness(outcome: Outcome, message: str, words: str) -> None:
    departure = entry().departure(outcome, message)
    assert words in departure
    assert bool(departure) is bool(words)


@pytest.mark.parametrize(
    ("specifier", "version", "applies"),
    [
        (">=3.0", "3.3.1", True),
        (">=3.0", "3.0.0", True),
        (">=3.0", "2.6.2", False),
        (">=3.0,<3.4", "3.3.1", True),
        (">=3.0,<3.3", "3.3.1", False),
        ("==2.6.*", "2.6.2", True),
        ("==3.3.1", "3.3.1", True),
        (">=3.0", "3.4.0.dev20260101", True),
        (">=3.0", "3.0.0b1", False),
        ("", "2.6.2", True),
    ],
)
def test_version_ranges(specifier: str, version: str, applies: bool) -> None:
    found = known(entry(paddle=specifier), version=version).find("area/check[a]")
    assert (found is not None) is applies


@pytest.mark.parametrize(
    ("wanted", "running", "applies"),
    [("", "pir", True), ("", "legacy-ir", True), ("pir", "pir", True), ("pir", "legacy-ir", False)],
)
def test_profiles(wanted: str, running: str, applies: bool) -> None:
    found = known(entry(profile=wanted), profile=running).find("area/check[a]")
    assert (found is not None) is applies


@pytest.mark.parametrize(
    ("pattern", "case", "covers"),
    [
        ("a/b[{x,y_1}-c]", "a/b[y_1-c]", True),
        ("a/b[{x,y}-c]", "a/b[y_1-c]", False),
        ("a/b[{x,y}-*]", "a/b[x-3.{1}]", True),
        ("area/check[a]", "area/check[a]", True),
        ("area/check[a]", "area/checka", False),
        ("area/check[*]", "area/check[lenet-jit]", True),
        ("area/check[*-jit]", "area/check[lenet-jit]", True),
        ("area/check[*-jit]", "area/check[lenet-jit-legacy-ir]", False),
        ("area/check", "area/check[a]", False),
        ("*", "anything", True),
        ("area/*", "other/area/check", False),
        ("area/ch.ck", "area/check", False),
    ],
)
def test_patterns(pattern: str, case: str, covers: bool) -> None:
    assert entry(case=pattern).covers(case) is covers


def test_entries_that_matched_nothing_are_named_once() -> None:
    used, idle, elsewhere, later = (
        entry(),
        entry(case="area/gone"),
        entry(case="area/old", paddle="<3"),
        entry(case="area/slow", tier="full"),
    )
    found = known(used, idle, elsewhere, later)
    assert found.find("area/check[a]") is used
    assert found.unmatched() == [idle.case]
    assert known(later, tier="full").unmatched() == [later.case]


def test_first_covering_entry_wins() -> None:
    narrow, wide = entry(case="area/check[a]", reason="narrow"), entry(reason="wide")
    found = known(narrow, wide)
    assert found.find("area/check[a]") is narrow
    assert found.find("area/check[b]") is wide
    assert found.find("area/other") is None


GOOD = 'case="a"\npaddle=">=3"\noutcome="fail"\nmatch="m"\nreason="r"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[failure]\n", "Expected"),
        ("[[failure]]\ncase='a'\n", "missing required field"),
        (f"[[failure]]\n{GOOD}colour='red'\n", "unknown field"),
        (f"[[failure]]\n{GOOD}".replace('"fail"', '"flaky"'), "Invalid enum value 'flaky'"),
        (f"[[failure]]\n{GOOD}".replace('">=3"', '"three"'), "three"),
        (f"[[failures]]\n{GOOD}", "failures"),
    ],
    ids=["not TOML", "incomplete", "extra key", "outcome", "version", "misspelt table"],
)
def test_broken_files_are_refused_with_their_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "known_failures.toml"
    path.write_text(text)
    with pytest.raises(HarnessError, match=words) as refusal:
        load(path)
    assert str(path) in str(refusal.value)


def test_good_file_and_no_file(tmp_path: Path) -> None:
    assert load(tmp_path / "absent.toml") == []
    path = tmp_path / "known_failures.toml"
    several = GOOD.replace('"a"', '["a", "b"]').replace('"m"', '["m", "n"]')
    path.write_text(f"[[failure]]\n{GOOD}[[failure]]\n{several}profile='pir'\n")
    assert [item.profile for item in load(path)] == ["", "pir"]
    assert [(item.case, item.match) for item in load(path)] == [("a", "m"), (("a", "b"), ("m", "n"))]


@pytest.mark.parametrize("lacks", ["avx512_bf16", ("avx512_bf16", "amx_bf16")])
@pytest.mark.parametrize(
    ("flags", "applies"), [((), True), (("avx2",), True), (("avx512_bf16", "avx2"), False)]
)
def test_an_entry_may_be_of_processors_that_lack_something(
    lacks: str | tuple[str, ...], flags: tuple[str, ...], applies: bool
) -> None:
    entries = [entry(without_cpu_flag=lacks)]
    found = ExpectedFailures(entries, "3.3.1", "pir", "quick", flags).find("area/check[x]")
    assert (found is not None) is applies


@pytest.mark.parametrize(("flags", "applies"), [((), False), (("avx2",), False), (("avx512f", "avx2"), True)])
def test_an_entry_may_be_of_processors_that_have_something(flags: tuple[str, ...], applies: bool) -> None:
    entries = [entry(with_cpu_flag=("avx2", "avx512f"))]
    found = ExpectedFailures(entries, "3.3.1", "pir", "quick", flags).find("area/check[x]")
    assert (found is not None) is applies


def test_entries_of_crossings_are_not_stale_without_them() -> None:
    entries = (entry(case="upgrade/outputs[*-from-2.*-jit-jit.load]"), entry(case="area/gone"))
    assert known(*entries).unmatched() == ["area/gone"]


def test_one_cause_may_show_in_several_checks_with_several_messages() -> None:
    one = entry(case=("area/check[*]", "area/old", "upgrade/*-int8"), match=("bad shape", "bad size"))
    found = known(one)
    assert found.find("upgrade/a-int8") is found.find("area/check[a]") is one
    assert found.unmatched() == ["area/old"], "each of its patterns has to be of some case"
    assert one.departure("error", "ValueError: bad size") == ""
    assert one.departure("error", "x") == "failed with another message than 'bad shape' or 'bad size'"


def test_cases_that_are_not_meant() -> None:
    found = entry(case="a/*[*-qat*]", unless="*-legacy-ir*")
    assert found.covers("a/b[lenet-qat-static]")
    assert not found.covers("a/b[lenet-qat-static-legacy-ir]")


def test_the_quick_tier_spares_what_fails_in_the_same_call() -> None:
    found = known(
        entry(skipped_in_quick="area/check[*-again]"),
        entry(case="area/old[*]", skipped_in_quick="*", paddle="<3"),
    )
    assert found.spares("area/check[a-again]")
    assert not found.spares("area/check[a]")
    assert not found.spares("area/other[a-again]"), "no entry covers it"
    assert not found.spares("area/old[a]"), "the entry is of other releases"
