"""List what there is and what is missing here: the rows of `harness list` and their table.

Claims and checks are read by the controller; models, recipes, runtimes and targets come from a worker in
the environment under test.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from harness.checks.claims import claims as all_claims
from harness.cli import output
from harness.core.choices import Kind
from harness.core.errors import HarnessError
from harness.core.extensions import added
from harness.core.paths import ROOT, project_root
from harness.pool.workers import WorkerFailure, WorkerPool
from harness.targets import target as targets_module
from harness.targets.availability import described, unavailable

CATALOGS: dict[Kind, str] = {
    "models": "models.networks.catalog",
    "recipes": "recipes.catalog",
    "methods": "recipes.catalog",
    "runtimes": "runtimes.catalog",
}
"""Kind -> the worker's call that lists it."""
MODEL = ("name", "tier", "role", "inputs", "outputs", "trained", "document", "summary")
TARGET = ("name", "runtime", "options", "profile", "tier", "interpreter")
"""What is listed of a model and of a target, in this order."""


def find(kind: Kind, python: str, profile: str, files: list[Path]) -> list[dict[str, Any]]:
    """Return a row for each of that kind; ``missing`` in it says why it is not available, or is None.

    Args:
        files: additional targets files.

    Raises:
        HarnessError: Paddle does not work in ``python``, or a suite cannot be imported.
    """
    if kind in ("claims", "checks"):
        return _claims_or_checks(kind)
    return _from_worker(kind, python, profile, files)


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Make a table of the rows, without columns that are empty in all of them."""
    columns = [name for name in rows[0] if any(row[name] not in (None, "", []) for row in rows)]
    return output.table_of(columns, ((_cell(row[name]) for name in columns) for row in rows))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _from_worker(kind: Kind, python: str, profile: str, files: list[Path]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as logs:
        pool = WorkerPool(Path(logs), python, 120.0, profile)
        try:
            if kind == "targets":
                return _targets(pool, files)
            found = pool.call(CATALOGS[kind])
        except WorkerFailure as error:
            raise HarnessError(
                f"Paddle does not work in {python} ({error}): name another interpreter with --python; "
                "`harness doctor` says what is missing"
            ) from error
        finally:
            pool.close()
    if kind == "methods":
        return [_method(method) for recipe in found for method in recipe["methods"]]
    if kind == "recipes":
        return [
            {"missing": None, **{name: row[name] for name in ("name", "summary", "needs", "graph")}}
            for row in found
        ]
    if kind == "models":
        return [
            {
                **{name: model[name] for name in MODEL},
                "inputs": [f"{name} {dtype}{['?' if n is None else n for n in shape]}".replace("'", "")
                           for name, shape, dtype in model["inputs"]],
                "trained": "yes" if model["trained"] else "",
                "missing": None,
            }
            for model in found
        ]  # fmt: skip
    return [{"missing": None, **row} for row in found]


def _method(method: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: method[name] for name in ("name", "technique", "graph", "api")},
        "parameters": [f"{name}={value}" for name, value in method["parameters"].items()],
        "quick tier": list(method["models"]),
        "full tier too": list(method["full"]),
        "missing": None,
    }


def _targets(pool: WorkerPool, files: list[Path]) -> list[dict[str, Any]]:
    here = pool.call("protocol.environment.describe")
    rows = []
    found = targets_module.load(files)
    for target in found.values():
        try:
            where = described(pool, target.interpreter) if target.interpreter else {}
            reason = unavailable(pool, target, found.values(), here, where)
        except HarnessError as error:
            if not target.interpreter:
                raise
            reason = str(error)
        told = {name: getattr(target, name) for name in TARGET}
        options = [f"{name}={value}" for name, value in target.options.items()]
        rows.append({**told, "options": options, "missing": reason})
    return rows


def _claims_or_checks(kind: Kind) -> list[dict[str, Any]]:
    checks = list(_checks(project_root()))
    if kind == "checks":
        return checks
    rows = []
    for claim, sentence in all_claims().items():
        names = [check["name"] for check in checks if claim in check["claims"]]
        reason = None if names else "no check decides it"
        rows.append({"claim": claim, "sentence": sentence, "checks": names, "missing": reason})
    return rows


def _checks(root: Path) -> Iterator[dict[str, Any]]:
    """Every test function of the suites, which are the controller's modules and can simply be imported."""
    import pytest

    for path in (str(root), str(ROOT)):
        if path not in sys.path:
            sys.path.insert(0, path)
    homes = [(root, root / "suites"), *((suites.parents[1], suites) for suites in added("suites"))]
    for home, file in [(home, f) for home, suites in homes for f in sorted(suites.rglob("test_*.py"))]:
        name = ".".join(file.relative_to(home).with_suffix("").parts)
        try:
            module = importlib.import_module(name)
        except (Exception, pytest.skip.Exception) as error:
            raise HarnessError(f"{file} cannot be imported ({type(error).__name__}: {error})") from error
        shared = getattr(module, "pytestmark", [])
        for attribute, function in vars(module).items():
            if not attribute.startswith("test_") or getattr(function, "__module__", "") != name:
                continue
            marks = [
                *getattr(function, "pytestmark", []),
                *(shared if isinstance(shared, list) else [shared]),
            ]
            decided = [claim for mark in marks if mark.name == "claims" for claim in mark.args]
            yield {
                "name": f"{file.stem.removeprefix('test_')}/{attribute.removeprefix('test_')}",
                "claims": list(dict.fromkeys(decided)),
                "tier": "full" if any(mark.name == "full" for mark in marks) else "quick",
                "title": ((function.__doc__ or "").strip().splitlines() or [""])[0],
                "missing": None,
            }
