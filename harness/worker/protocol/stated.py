"""What runtimes state of themselves as literals, read without importing them: some import Paddle.

Imported by both sides.
"""

from __future__ import annotations

import ast
import os
from typing import Any, Dict, Iterable, List


def stated(folders: Iterable[str], name: str) -> Dict[str, Any]:
    """The value that each module in the folders gives to ``name``, by the module's name.

    Raises:
        ValueError: a module computes it; the message says which.
    """
    found: Dict[str, Any] = {}
    for folder in filter(os.path.isdir, folders):
        for file in sorted(os.listdir(folder)):
            if file.endswith(".py"):
                path = os.path.join(folder, file)
                found.update({file[: -len(".py")]: _value(node, path, name) for node in _given(path, name)})
    return found


def _given(path: str, name: str) -> List[ast.Assign]:
    with open(path, "rb") as file:
        body = ast.parse(file.read(), path).body
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    return [node for node in assigned if any(isinstance(t, ast.Name) and t.id == name for t in node.targets)]


def _value(node: ast.Assign, path: str, name: str) -> Any:
    try:
        return ast.literal_eval(node.value)
    except ValueError:
        raise ValueError(
            f"{path} computes {name}, which is read without running it: write its value as a literal"
        ) from None
