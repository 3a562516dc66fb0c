"""Every check has a mutant, and every comparison a mutant that it alone has to notice."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from suites.support.mutants.machinery import Mutant, Teeth
from teeth.inventory import assertions, checks


def mutants() -> list[Mutant]:
    """All mutants of this folder."""
    modules = [
        importlib.import_module(f"teeth.{file.stem}")
        for file in sorted(Path(__file__).parent.glob("test_*.py"))
    ]
    return [mutant for module in modules for mutant in getattr(module, "MUTANTS", ())]


@pytest.mark.parametrize(("file", "check"), [pytest.param(*both, id="/".join(both)) for both in checks()])
def test_every_check_has_a_mutant(file: str, check: str) -> None:
    mutated = [
        m for m in mutants() if (f"{m.check.__module__.split('.')[-1]}.py", m.check.__name__) == (file, check)
    ]
    assert mutated, (
        f"no mutant in tests/teeth is of {check}: add one to test_teeth_{file.removeprefix('test_')}"
    )


def test_names_are_unique() -> None:
    names = [mutant.id + repr(mutant.given) for mutant in mutants()]
    assert sorted(set(names)) == sorted(names)


def of(mutant: Mutant) -> tuple[str, int, int]:
    """File and lines of the check that a mutant is of."""
    lines, start = inspect.getsourcelines(mutant.check)
    return f"{mutant.check.__module__.rsplit('.', 1)[-1]}.py", start, start + len(lines)


def test_every_assertion_is_killed(teeth: Teeth) -> None:
    """Each comparison in the suites came out wrong for at least one mutant: none of them is dead."""
    if len(teeth.killed) + len(teeth.not_run) < len(mutants()):
        pytest.skip(
            f"{len(teeth.killed)} of {len(mutants())} mutants were killed in this run: all are needed"
        )
    # Where the machine lacks what a file's checks need (a compiler, Python 3.7), or what one mutant of a
    # check does (a flag of the processor), nothing can be told of them.
    tried = {of(one)[0] for one in mutants() if one.id not in teeth.not_run}
    untold = {of(one) for one in mutants() if one.id in teeth.not_run}
    dead = [
        f"suites/{file}:{first}: {text}"
        for (file, first, last), text in assertions().items()
        if file in tried
        and not any(file == other and start <= first < end for other, start, end in untold)
        and not any(file == place and first <= line <= last for place, line in teeth.places)
    ]
    assert not dead, "no mutant makes these comparisons fail:\n" + "\n".join(dead)
