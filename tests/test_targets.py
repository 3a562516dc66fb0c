"""Targets: read from TOML, later files over earlier ones, wrong keys refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.targets import BUILT_IN, load, repeats
from harness.workers import ROOT


def test_built_in_targets_name_runtimes_that_exist() -> None:
    found = load()
    assert found
    for name, target in found.items():
        assert target.name == name
        assert (ROOT / "harness" / "worker" / "runtimes" / f"{target.runtime}.py").is_file()
        assert target.profile in ("", "legacy-ir")
        assert target.tier in ("quick", "full")
        assert target.env == ({"FLAGS_enable_pir_api": "0"} if target.profile else {})


def test_later_file_adds_and_overrides(tmp_path: Path) -> None:
    more = tmp_path / "more.toml"
    more.write_text('[mine]\nruntime = "predictor"\noptions = { threads = 4 }\n[jit]\nruntime = "static"\n')
    found = load((BUILT_IN, more))
    assert found["mine"].options == {"threads": 4}
    assert found["jit"].runtime == "static"
    assert found["dygraph"].runtime == "dygraph"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mine\n", "not valid TOML"),
        ("[mine]\n", "missing required field `runtime`"),
        ('[mine]\nruntime = "jit"\ncolour = 1\n', "unknown field `colour`"),
        ("[mine]\nruntime = 3\n", "Expected `str`"),
        ("mine = 3\n", "target .mine."),
    ],
)
def test_broken_file_is_refused_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "more.toml"
    file.write_text(text)
    with pytest.raises(HarnessError, match=words) as refusal:
        load((BUILT_IN, file))
    assert str(file) in str(refusal.value)


def test_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot read the targets file"):
        load((tmp_path / "absent.toml",))


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HarnessError, match="not valid TOML"):
        load((file,))


def test_a_legacy_target_repeats_its_plain_one() -> None:
    found = load()
    assert repeats(found["predictor-legacy-ir"], found.values())
    assert not repeats(found["predictor"], found.values())
    assert not repeats(found["openvino-pdmodel"], found.values())  # there is no plain one
