"""What the suites hold, read from their sources: the checks, and the comparisons they make."""

from __future__ import annotations

import ast

from harness.core.paths import ROOT

SUITES = ROOT / "suites"


def checks() -> list[tuple[str, str]]:
    """(file, function) of every check, read from the sources."""
    return [
        (file.name, node.name)
        for file in sorted(SUITES.glob("test_*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


COMPARING = ("bitwise", "close", "exact", "at_least", "at_most", "add")
COMPARING_ALL = ("bitwise_all", "close_all", "close_runs")


def assertions() -> dict[tuple[str, int, int], str]:
    """Every comparison the suites make, by file and lines; those that are always right are not among them."""
    found = {}
    for file in sorted(SUITES.glob("test_*.py")):
        source = file.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and _compares(node) and not _only_counts(node):
                text = " ".join((ast.get_source_segment(source, node) or "").split())
                found[file.name, node.lineno, node.end_lineno or node.lineno] = text
    return found


def _compares(node: ast.Call) -> bool:
    called = node.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.value.id == "case" and called.attr in COMPARING
    return isinstance(called, ast.Name) and called.id in COMPARING_ALL


def _only_counts(node: ast.Call) -> bool:
    """`case.add(Comparison(ok=True, ...))`: says that something was looked at, and claims nothing."""
    return any(
        keyword.arg == "ok" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call)
        for keyword in inner.keywords
    )
