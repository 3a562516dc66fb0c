"""A side of a gate shared out: every case in one share, those on targets with needs where these are met."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.core.errors import HarnessError, UsageError
from harness.core.options import Options
from harness.environments import Environment
from harness.gate.sides import Subject, jobs_of
from harness.jobs.backend import BackendName, Settings
from harness.jobs.shares import Share, apart, sent, shares
from harness.plugin.selection import of_another_share
from harness.targets.target import Target

MINE = """
[predictor-kunlun]
runtime = "predictor"
options = { device = "kunlun" }
resources = { kunlun = 1 }

[jit-kunlun]
runtime = "jit"
resources = { kunlun = 1 }
tier = "full"

[predictor-quiet]
runtime = "predictor"
labels = { room = "quiet" }
"""


def item(target: Target | None = None, marks: tuple[str, ...] = ()) -> types.SimpleNamespace:
    """A case as pytest has it."""
    params = {} if target is None else {"target": target}
    return types.SimpleNamespace(
        callspec=types.SimpleNamespace(params=params),
        get_closest_marker=lambda name: name if name in marks else None,
    )


@pytest.fixture
def mine(tmp_path: Path) -> Options:
    (tmp_path / "mine.toml").write_text(MINE)
    return Options(targets_file=(str(tmp_path / "mine.toml"),))


def narrowed(options: Options, **changes: Any) -> Options:
    return msgspec.structs.replace(options, **changes)


def test_targets_without_needs_are_one_share() -> None:
    assert shares(Options(targets=("jit",))) == [Share()]


def test_targets_with_like_needs_share_a_machine(mine: Options) -> None:
    rest, kunlun, quiet = shares(mine)
    assert rest.narrowing == {"not_on": ("predictor-kunlun", "predictor-quiet")}
    assert (kunlun.narrowing, kunlun.resources) == ({"only_on": ("predictor-kunlun",)}, {"kunlun": 1.0})
    assert (quiet.name, quiet.labels) == ("on predictor-quiet", {"room": "quiet"})
    assert shares(narrowed(mine, tier="full"))[1].narrowing == {"only_on": ("predictor-kunlun", "jit-kunlun")}
    assert len(shares(narrowed(mine, targets=("jit", "predictor-quiet")))) == 2
    assert shares(narrowed(mine, targets=("jit",))) == [Share()]


def test_every_case_is_of_one_share(mine: Options) -> None:
    targets = [Target(name, "predictor") for name in ("jit", "predictor-kunlun", "predictor-quiet")]
    items = [item(target) for target in targets]
    items.append(item())
    for one in items:
        takers = [not of_another_share(narrowed(mine, **share.narrowing), one) for share in shares(mine)]
        assert sum(takers) == 1


def test_a_target_on_a_machine_of_its_own_has_its_limits_beside_it(mine: Options) -> None:
    jit, kunlun, rest = apart(narrowed(mine, targets=("jit", "predictor-kunlun")))
    assert (jit.name, kunlun.name, kunlun.resources) == ("jit", "predictor-kunlun", {"kunlun": 1.0})
    assert jit.narrowing == {"targets": ("jit",), "only_on": ("jit", "machine")}
    assert rest.narrowing == {"not_on": ("jit", "predictor-kunlun", "machine")}
    on_jit, on_none = (narrowed(mine, **share.narrowing) for share in (jit, rest))
    machine, plain, own = item(marks=("machine",)), item(), item(Target("jit", "jit"))
    assert [of_another_share(on_jit, one) for one in (machine, plain, own)] == [False, True, False]
    assert [of_another_share(on_none, one) for one in (machine, plain, own)] == [True, False, True]
    with pytest.raises(HarnessError, match="no target named nosuch"):
        apart(Options(targets=("nosuch",)))
    assert len(apart(Options())) < len(apart(Options(tier="full")))


def test_a_targets_file_goes_with_its_job(mine: Options) -> None:
    assert sent(narrowed(mine, models=("lenet",))) == (Options(models=("lenet",)), (("mine.toml", MINE),))
    with pytest.raises(UsageError, match="cannot read the targets file nosuch"):
        sent(Options(targets_file=("nosuch",)))
    with pytest.raises(HarnessError, match="nosuch"):
        shares(Options(targets_file=("nosuch",)))


def test_a_cluster_gets_a_job_for_each_share(mine: Options) -> None:
    sides = [Subject(name, Environment(name, name, f"/{name}/python", "default", True)) for name in "ab"]
    settings = Settings(BackendName.ray, resources={"x86": 1.0})
    jobs = [job for _, job in jobs_of("baseline", sides[0], mine, ("suites",), sides, settings)]
    assert [job.name for job in jobs] == [
        "baseline a",
        "baseline a on predictor-kunlun",
        "baseline a on predictor-quiet",
    ]
    assert jobs[1].resources == {"x86": 1.0, "kunlun": 1.0}
    assert jobs[2].labels == {"room": "quiet"}
    assert jobs[1].work.producers == ("a", "b")
    assert jobs[1].work.files == (("mine.toml", MINE),)
    assert jobs[1].work.arguments == ("suites",)
    assert jobs[1].work.options == Options(only_on=("predictor-kunlun",))
    assert len({job.folder for job in jobs}) == 3
    (local,) = jobs_of("baseline", sides[0], mine, ("suites",), sides, Settings())
    assert (local[1].folder, local[1].work.options) == ("baseline", mine)
