"""gate.toml: what it lets pass, what it insists on, and how it says that it is wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from harness.checks.expected_failures import covers
from harness.core.errors import UsageError
from harness.core.paths import ROOT
from harness.gate import policy
from harness.gate.policy import Policy
from harness.gate.result import Change, Direction, Side, Verdict

TODAY = date(2026, 11, 25)
TEXT = """
rollback = true

[block]
missing = false
new = true

[numerics]
factor = 3.0

[[rule]]
case = "robustness/*"
verdicts = ["broken"]
block = false
reason = "damaged files are not what we deploy"

[[acknowledged]]
case = "documents/002_program_name"
verdict = "broken"
match = "lenet.json"
reason = "our loader takes the name from the folder"
until = 2027-06-01
issue = "https://example.org/1"
candidate = ">=3.0"
"""


def load(folder: Path, text: str = TEXT) -> Policy:
    path = folder / "gate.toml"
    path.write_text(text)
    return policy.load(path)


def change(case: str, verdict: Verdict, direction: Direction = "", text: str = "") -> Change:
    return Change(case=case, verdict=verdict, direction=direction, text=text, after=Side("fail", "candidate"))


@pytest.mark.parametrize(
    ("found", "blocks"),
    [
        (change("a/b", "broken"), True),
        (change("a/b", "missing"), False),
        (change("a/b", "new"), True),
        (change("a/b", "same"), False),
        (change("a/b", "slower"), True),
        (change("a/b", "numerically worse"), True),
        (change("a/b", "broken", "rollback"), True),
        (change("robustness/x[y]", "broken"), False),
        (change("robustness/x[y]", "new"), True),
    ],
)
def test_rules_decide(tmp_path: Path, found: Change, blocks: bool) -> None:
    assert load(tmp_path).decide(found)[0] is blocks


def test_without_a_file_what_breaks_blocks_and_a_rollback_does_not() -> None:
    verdicts: tuple[Verdict, ...] = ("broken", "missing", "numerically worse", "slower", "new", "fixed")
    assert [Policy().decide(change("a/b", verdict))[0] for verdict in verdicts] == [True] * 4 + [False] * 2
    assert not Policy().decide(change("a/b", "broken", "rollback"))[0]


Applied = tuple[tuple[Change, ...], tuple[str, ...]]


def apply(
    rules: Policy, *changes: Change, today: date = TODAY, whole: bool = True, to: str = "3.3.1"
) -> Applied:
    return policy.apply(rules, changes, "2.6.2", to, today, whole)


NAMED = change("documents/002_program_name", "broken", text="fail: got lenet.json")


def test_acknowledged_does_not_block_and_says_why(tmp_path: Path) -> None:
    (found,), faults = apply(load(tmp_path), NAMED)
    assert not found.blocks
    assert (found.acknowledged, found.until) == ("our loader takes the name from the folder", "2027-06-01")
    assert faults == ()


@pytest.mark.parametrize(
    "found",
    [
        change("documents/002_program_name", "broken", text="fail: something else"),
        change("documents/002_program_name", "missing", text="lenet.json"),
        change("documents/002_program_name", "broken", "rollback", "lenet.json"),
        change("documents/002_program_names", "broken", text="lenet.json"),
    ],
)
def test_an_acknowledgement_of_another_thing_is_none_and_is_a_fault(tmp_path: Path, found: Change) -> None:
    (decided,), faults = apply(load(tmp_path), found)
    assert not decided.acknowledged
    assert "matches no change" in faults[0]
    assert apply(load(tmp_path), found, whole=False)[1] == ()


def test_an_acknowledgement_ends(tmp_path: Path) -> None:
    (found,), faults = apply(load(tmp_path), NAMED, today=date(2027, 6, 2))
    assert found.blocks
    assert "ended on 2027-06-01" in found.rule
    assert "ended on 2027-06-01" in faults[0]


def test_an_acknowledgement_of_other_releases_is_left_alone(tmp_path: Path) -> None:
    (found,), faults = apply(load(tmp_path), NAMED, to="2.6.3")
    assert found.blocks
    assert faults == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[block\n", "gate.toml: "),
        ("[block]\nworse = true", "Invalid enum value 'worse'"),
        ("color = 1", "unknown field `color`"),
        ('[[acknowledged]]\ncase = "a"', "missing required field"),
        (TEXT.replace(">=3.0", "three"), "Invalid specifier"),
        (TEXT.replace("2027-06-01", '"soon"'), "Invalid RFC3339"),
        ('[[rule]]\ncase = "a"\nblock = "no"\nreason = ""', "Expected `bool`"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"docs/upgrading\.md") as raised:
        load(tmp_path, text)
    assert words in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the policy"):
        policy.load(tmp_path / "none.toml")


def test_the_documented_example_is_a_policy(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "upgrading.md").read_text()
    (example,) = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    rules = load(tmp_path, example)
    assert rules.acknowledged
    assert rules.rule
    assert rules.model


def test_patterns() -> None:
    assert covers("a/*[x]", "a/b[x]")
    assert not covers("a/*", "ba/b")
    assert not covers("a.b", "aXb")
