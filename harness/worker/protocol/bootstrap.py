"""The first code of a worker process, sent as text: it needs nothing but the standard library.

It makes ``harness.worker`` and ``reference_models`` importable, and nothing else of the controller's code.
"""

import faulthandler
import importlib.util
import os
import site
import sys
import types
from typing import Any, Sequence


def print_to(log: str) -> None:
    """Send all that this process prints, C++ included, to the end of the file ``log``."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable(sys.stderr)


def make_importable(root: str, more: Sequence[str]) -> None:
    """Make the worker's code importable: that below the folder ``root``, and that of the folders ``more``."""
    if "harness.worker" in sys.modules:
        return
    # A checkout is hidden from Paddle; the packages among which the harness may be installed are not.
    packages = [*site.getsitepackages(), site.getusersitepackages()]
    hidden = {os.getcwd(), root} - set(map(os.path.abspath, packages))
    sys.path[:] = [p for p in sys.path if p and os.path.abspath(p) not in hidden]
    controller: Any = types.ModuleType("harness")
    controller.__path__ = []
    sys.modules["harness"] = controller
    _package("harness.worker", os.path.join(root, "harness"), "worker", more)
    _package("reference_models", root, "reference_models", more)


def _package(name: str, folder: str, inner: str, more: Sequence[str]) -> None:
    # Further portions of the package: those of extensions.
    folders = [os.path.join(folder, inner), *[os.path.join(home, inner) for home in more]]
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(folders[0], "__init__.py"), submodule_search_locations=folders
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
