"""Targets: read from TOML, later files over earlier ones, wrong keys refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.core.paths import ROOT
from harness.execution.executor import Executor
from harness.targets.target import expanded, load, repeats


def test_built_in_targets_name_runtimes_that_exist() -> None:
    found = load()
    assert found
    for name, target in found.items():
        assert target.name == name
        assert (ROOT / "harness" / "worker" / "runtimes" / f"{target.runtime}.py").is_file()
        assert target.profile in ("", "legacy-ir")
        assert target.tier in ("quick", "full")
        # A float32 target on a GPU multiplies in float32.
        exact = target.device == "gpu" and target.storage == "float32"
        wanted = {"FLAGS_enable_pir_api": "0"} if target.profile else {}
        assert target.env == {**wanted, **({"NVIDIA_TF32_OVERRIDE": "0"} if exact else {})}
        assert target.interpreter == ""


def test_later_file_adds_and_overrides(tmp_path: Path) -> None:
    more = tmp_path / "more.toml"
    more.write_text('[mine]\nruntime = "predictor"\noptions = { threads = 4 }\n[jit]\nruntime = "static"\n')
    found = load([more])
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
        ('[mine]\nruntime = "jit"\ninterpreter = "a"\n', "target .mine.: the interpreter 'a' names no host"),
    ],
)
def test_broken_file_is_refused_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "more.toml"
    file.write_text(text)
    with pytest.raises(HarnessError, match=words) as refusal:
        load([file])
    assert str(file) in str(refusal.value)


def test_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot read the targets file"):
        load((tmp_path / "absent.toml",))


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HarnessError, match="not valid TOML"):
        load((file,))


def test_each_custom_device_has_targets_of_its_own(tmp_path: Path) -> None:
    more = tmp_path / "more.toml"
    more.write_text('[far-custom]\nruntime = "jit"\noptions = { device = "custom" }\ninterpreter = "popen"\n')
    found = load([more])
    assert expanded(found, []) == found
    made = expanded(found, ["npu", "gcu"])
    assert set(made) - set(found) == {"predictor-npu", "predictor-gcu"}
    # What another host has is not known here.
    assert set(found) - set(made) == {"predictor-custom"}
    assert made["predictor-npu"].options["device"] == made["predictor-npu"].device == "npu"
    assert list(made).index("predictor-npu") == list(found).index("predictor-custom")


def test_float16_allows_more_than_float32_and_less_than_bfloat16(executor: Executor) -> None:
    """Three bits of the fraction lie between bfloat16 and float16, thirteen between that and float32."""
    feeds = [executor.sample("lenet", 4, seed) for seed in range(2)]
    storages = ("float32", "float16", "bfloat16")
    exact, half, brain = (executor.tolerances("lenet", feeds, storage)[0].rmse for storage in storages)
    assert 100 * exact < half < 10_000 * exact
    assert 2 * half < brain < 32 * half


def test_a_legacy_target_repeats_its_plain_one() -> None:
    found = load()
    assert repeats(found["predictor-legacy-ir"], found.values())
    assert not repeats(found["predictor"], found.values())
    assert not repeats(found["openvino-pdmodel"], found.values())  # there is no plain one
