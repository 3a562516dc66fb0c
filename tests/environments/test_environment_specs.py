"""What names an environment, and what each release needs."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness import environments
from harness.core.errors import HarnessError, UsageError
from harness.environments import uv
from harness.environments.plan import plan
from harness.environments.specs import Spec, name_of, parse

OLDEST, NEWEST = "2.6.2", "3.3.1"
HERE = uv.Interpreter(sys.executable, platform.python_version())


# What a text names


def versions(text: str) -> list[str]:
    return [spec.version for spec in parse(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3.3.1", ["3.3.1"]),
        ("3.3.1@legacy-ir", ["3.3.1"]),
        ("3.3", ["3.3.0"]),
        ("3.1.0..3.2.0", ["3.1.0", "3.1.1", "3.2.0"]),
        ("3.1..3.2", ["3.1.0", "3.1.1", "3.2.0"]),
        ("2.5..2.7", ["2.6.2"]),
        (">=3.0,<3.2", ["3.0.0", "3.1.0", "3.1.1"]),
        ("<3@legacy-ir", ["2.6.2"]),
        ("~=3.2.1", ["3.2.1", "3.2.2"]),
        ("all", environments.known_releases()),
        (" all@legacy-ir ", environments.known_releases()),
    ],
)
def test_releases_and_ranges_of_them(text: str, found: list[str]) -> None:
    assert versions(text) == found
    assert {spec.kind for spec in parse(text)} == {"release"}


def test_profile_is_a_suffix_and_nothing_where_there_is_only_one() -> None:
    assert [spec.profile for spec in parse("2.6.2..3.0.0@legacy-ir")] == ["default", "legacy-ir"]
    assert [spec.asked for spec in parse("2.6.2..3.0.0@legacy-ir")] == ["2.6.2@legacy-ir", "3.0.0@legacy-ir"]
    assert parse("3.3.1")[0].profile == "default"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("3.9.9", "3.9.9 is not a known release: give a release (2.6.2, 3.0.0,"),
        ("", "an empty text names no environment"),
        ("nonsense", "nonsense names no environment"),
        ("3.3.1@old", "3.3.1@old names no environment"),
        (">=4", "no known release is in >=4: the known ones are 2.6.2"),
        ("3.2.0..3.1.0", "no known release is in 3.2.0..3.1.0"),
        (">=x", "write it as in '>=3.0,<3.3'"),
        ("/no/such.whl", "there is no wheel /no/such.whl"),
        ("/no/such/python", "is not an interpreter that can be started"),
        ("/proc", "/proc has no bin/python"),
        ("/etc/passwd", "is not an interpreter that can be started"),
        ("ftp://x/simple", "is not an http(s):// or file:// URL"),
        ("file:///no/such", "there is no index file:///no/such"),
        ("https://x/simple#torch", "torch is not Paddle"),
        ("https://x/simple#paddlepaddle===", "does not say what to take"),
    ],
)
def test_what_names_nothing_is_a_sentence_and_wrong_usage(text: str, part: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert part in str(raised.value)
    assert raised.value.exit_status == 2
    assert "\n" not in str(raised.value)


def test_wheel_by_its_name(tmp_path: Path) -> None:
    gpu = "paddlepaddle_gpu-3.4.0.dev20260101-cp311-cp311-linux_x86_64.whl"
    names = (
        gpu,
        "paddlepaddle-2.6.1-cp311-cp311-linux_x86_64.whl",
        "wrong.whl",
        "six-1.16.0-py3-none-any.whl",
    )
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (spec,) = parse(f"{tmp_path / gpu}@legacy-ir")
    assert (spec.kind, spec.version, spec.requirement, spec.profile) == (
        "wheel", "3.4.0.dev20260101", "paddlepaddle-gpu", "legacy-ir",
    )  # fmt: skip
    assert parse(f"{tmp_path / names[1]}@legacy-ir")[0].profile == "default", "2.6 has the legacy IR only"
    with pytest.raises(UsageError, match="not named like a wheel"):
        parse(str(tmp_path / names[2]))
    with pytest.raises(UsageError, match="a wheel of six"):
        parse(str(tmp_path / names[3]))


@pytest.mark.parametrize(
    ("text", "url", "requirement", "version"),
    [
        ("https://x.org/nightly/", "https://x.org/nightly/", "paddlepaddle", ""),
        ("https://x.org/n#paddlepaddle-gpu", "https://x.org/n", "paddlepaddle-gpu", ""),
        ("http://x/n#paddlepaddle==3.4.0.dev1", "http://x/n", "paddlepaddle==3.4.0.dev1", "3.4.0.dev1"),
        ("http://x/n#paddlepaddle>=3.4.dev0", "http://x/n", "paddlepaddle>=3.4.dev0", ""),
    ],
)
def test_index_with_what_to_take_from_it(text: str, url: str, requirement: str, version: str) -> None:
    (spec,) = parse(f"{text}@legacy-ir")
    assert (spec.kind, spec.url, spec.requirement, spec.version) == ("index", url, requirement, version)
    assert spec.profile == "legacy-ir"


def test_interpreter_by_its_path_or_its_virtual_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my envs" / ".venv"
    subprocess.run([uv.binary(), "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    link = folder / "bin" / "python"
    for text in (str(folder), f"{folder}/", str(link)):
        assert parse(text) == [Spec("interpreter", text, path=str(link))], "a link stays a link"
    monkeypatch.chdir(folder.parent)
    assert parse(".venv")[0].path == parse("./.venv/bin/python")[0].path == str(link)
    assert parse(f"{link}@legacy-ir")[0].profile == "legacy-ir"
    assert name_of(str(link)) == "my-envs-venv"
    other = folder.rename(tmp_path / "paddle nightly[1]")
    assert name_of(str(other / "bin" / "python")) == "paddle-nightly-1"
    assert name_of("/usr/bin/python3.11") == "python3.11"
    (environment,) = environments.resolve(f"{other}@legacy-ir", tmp_path / "none")
    assert (environment.name, environment.managed) == ("paddle-nightly-1@legacy-ir", False)
    assert not (tmp_path / "none").exists(), "nothing is made for an interpreter that exists"


def test_one_environment_is_asked_for_where_several_are_named() -> None:
    with pytest.raises(UsageError, match=r"names 9 environments \(2\.6\.2, 3\.0\.0"):
        environments.resolve_one("all")


# What each needs


def test_every_release_states_its_needs_once_and_alike() -> None:
    found = environments.releases()
    assert [str(version) for version in found] == environments.known_releases()
    assert environments.known_releases() == [
        "2.6.2", "3.0.0", "3.1.0", "3.1.1", "3.2.0", "3.2.1", "3.2.2", "3.3.0", "3.3.1",
    ]  # fmt: skip
    assert [release.version for release in found.values() if release.only_legacy] == [OLDEST]
    numpy = {release.requirements["numpy"] for release in found.values()}
    assert len(numpy) == 1, "NumPy is no difference between two releases"
    assert numpy.pop().startswith("==")
    for release in found.values():
        SpecifierSet(release.python)
        assert all(Requirement(line) for line in release.lines(f"paddlepaddle=={release.version}"))


@pytest.mark.parametrize(
    ("version", "like"),
    [
        ("3.4.0.dev20260101", "3.3.1"), ("4.0", "3.3.1"), ("0.0.0", "3.3.1"), ("", "3.3.1"),
        ("3.0.0rc1", "3.0.0"), ("3.1.5", "3.1.1"), ("2.6.1", "2.6.2"), ("2.4.0", "2.6.2"),
    ],
)  # fmt: skip
def test_another_build_has_the_needs_of_the_release_before_it(version: str, like: str) -> None:
    assert environments.release_like(version).version == like


def test_key_is_of_what_goes_in(tmp_path: Path) -> None:
    recipe = plan(parse(NEWEST)[0], tmp_path).recipe
    assert recipe.folder.startswith(f"paddle-{NEWEST}-py{HERE.version.rpartition('.')[0]}-")
    assert recipe.folder == plan(parse(NEWEST)[0], tmp_path / "elsewhere").recipe.folder
    changes = (
        {"python": "3.11.99"},
        {"requirements": (*recipe.requirements, "six")},
        {"index": "http://x"},
        {"sha256": "0"},
    )
    folders = {msgspec.structs.replace(recipe, **change).folder for change in changes}
    assert len({recipe.folder, *folders}) == 5
    wheel = msgspec.structs.replace(recipe, sha256="0")
    moved = msgspec.structs.replace(wheel, requirements=("paddlepaddle @ file:///x", *wheel.requirements[1:]))
    assert moved.folder == wheel.folder, "a wheel is the same wherever it lies"


def test_wheel_decides_its_python(tmp_path: Path) -> None:
    minor = "".join(platform.python_version_tuple()[:2])
    names = {minor: f"paddlepaddle-3.3.1-cp{minor}-cp{minor}-linux_x86_64.whl"}
    names["313"] = "paddlepaddle-3.3.1-cp313-cp313-linux_x86_64.whl"
    for name in names.values():
        (tmp_path / name).write_bytes(name.encode())
    made = plan(parse(str(tmp_path / names[minor]))[0], tmp_path)
    digest = hashlib.sha256(names[minor].encode()).hexdigest()
    assert (made.base, made.recipe.sha256) == (HERE, digest)
    assert made.recipe.label == f"wheel-3.3.1-{digest[:6]}"
    assert made.recipe.requirements[0] == f"paddlepaddle @ {(tmp_path / names[minor]).as_uri()}"
    with pytest.raises(
        HarnessError, match=r"is for Python 3\.13, and the packages that go with it for >=3\.9"
    ):
        plan(parse(str(tmp_path / names["313"]))[0], tmp_path)


def test_no_interpreter_fits(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"put one of python3\.19 on PATH") as raised:
        uv.find_python("==3.19.*", tmp_path)
    assert f"this one is {HERE.version}" in str(raised.value)
