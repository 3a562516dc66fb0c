"""A side of a gate shared out: every case in one share, those on targets with needs where these are met."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from harness.core.errors import HarnessError, UsageError
from harness.environments import Environment
from harness.gate.sides import Subject, jobs_of
from harness.jobs.backend import BackendName, Settings
from harness.jobs.shares import Share, apart, sent, shares
from harness.plugin.options import Options
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
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.toml").write_text(MINE)
    return f"--targets-file={tmp_path / 'mine.toml'}"


def test_targets_without_needs_are_one_share() -> None:
    assert shares(["suites", "--targets=jit"]) == [Share()]


def test_targets_with_like_needs_share_a_machine(mine: str) -> None:
    rest, kunlun, quiet = shares(["suites", mine])
    assert rest.arguments == ("--not-on=predictor-kunlun,predictor-quiet",)
    assert (kunlun.arguments, kunlun.resources) == (("--only-on=predictor-kunlun",), {"kunlun": 1.0})
    assert (quiet.name, quiet.labels) == ("on predictor-quiet", {"room": "quiet"})
    assert shares(["suites", mine, "--tier=full"])[1].arguments == ("--only-on=predictor-kunlun,jit-kunlun",)
    assert len(shares(["suites", mine, "--targets=jit,predictor-quiet"])) == 2
    assert shares(["suites", mine, "--targets=jit"]) == [Share()]


def test_every_case_is_of_one_share(mine: str) -> None:
    targets = [Target(name, "predictor") for name in ("jit", "predictor-kunlun", "predictor-quiet")]
    items = [item(target) for target in targets]
    items.append(item())
    named = {"--not-on": "not_on", "--only-on": "only_on"}
    for one in items:
        takers = 0
        for share in shares(["suites", mine]):
            option, _, names = share.arguments[0].partition("=")
            takers += not of_another_share(Options(**{named[option]: tuple(names.split(","))}), one)
        assert takers == 1


def test_a_target_on_a_machine_of_its_own_has_its_limits_beside_it(mine: str) -> None:
    jit, kunlun, rest = apart(["suites", mine, "--targets=jit,predictor-kunlun"])
    assert (jit.name, kunlun.name, kunlun.resources) == ("jit", "predictor-kunlun", {"kunlun": 1.0})
    assert jit.arguments == ("--targets=jit", "--only-on=jit,machine")
    on_jit, on_none = (
        Options(only_on=("jit", "machine")),
        Options(not_on=("jit", "predictor-kunlun", "machine")),
    )
    assert rest.arguments == (f"--not-on={','.join(on_none.not_on)}",)
    machine, plain, own = item(marks=("machine",)), item(), item(Target("jit", "jit"))
    assert [of_another_share(on_jit, one) for one in (machine, plain, own)] == [False, True, False]
    assert [of_another_share(on_none, one) for one in (machine, plain, own)] == [True, False, True]
    with pytest.raises(HarnessError, match="no target named nosuch"):
        apart(["suites", "--targets=nosuch"])
    assert len(apart(["suites"])) < len(apart(["suites", "--tier=full"]))


def test_a_targets_file_goes_with_its_job(mine: str, tmp_path: Path) -> None:
    assert sent(["suites", mine]) == (("suites",), (("mine.toml", MINE),))
    with pytest.raises(UsageError, match="cannot read the targets file nosuch"):
        sent(["--targets-file=nosuch"])
    with pytest.raises(HarnessError, match="nosuch"):
        shares(["--targets-file=nosuch"])


def test_a_cluster_gets_a_job_for_each_share(mine: str) -> None:
    sides = [Subject(name, Environment(name, name, f"/{name}/python", "default", True)) for name in "ab"]
    settings = Settings(BackendName.ray, resources={"x86": 1.0})
    jobs = [job for _, job in jobs_of("baseline", sides[0], ("suites", mine), sides, settings)]
    assert [job.name for job in jobs] == [
        "baseline a",
        "baseline a on predictor-kunlun",
        "baseline a on predictor-quiet",
    ]
    assert jobs[1].resources == {"x86": 1.0, "kunlun": 1.0}
    assert jobs[2].labels == {"room": "quiet"}
    assert jobs[1].work.producers == ("a", "b")
    assert jobs[1].work.files == (("mine.toml", MINE),)
    assert jobs[1].work.arguments == ("suites", "--only-on=predictor-kunlun")
    assert len({job.folder for job in jobs}) == 3
    (local,) = jobs_of("baseline", sides[0], ("suites", mine), sides, Settings())
    assert (local[1].folder, local[1].work.arguments) == ("baseline", ("suites", mine))
