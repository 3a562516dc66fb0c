"""Thirty models of the three forms a user may bring, written into a folder.

For the tests, and for a look at what a run over one's own models shows::

    python -m support.example_models FOLDER --python NEW --python OLD

Graphs and Python files are text (``graphs.toml``, ``layers.toml``); the deployed ones are exported
by real Paddle of each interpreter given.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.core.choices import default_store
from harness.execution.executor import Executor
from harness.models.specification import parse
from harness.pool.workers import WorkerPool
from harness.targets import target
from harness.targets.target import Target

HERE = Path(__file__).parent
WORDS = "spec=ids:int64:?x6:0..49,spec=weights:float32:?x6"
"""Inputs of ``words.py``, which says nothing of them itself."""


# Captured graphs


def write_graphs(folder: Path, areas: Iterable[str] = ("vision", "text", "shapes", "trouble")) -> list[Path]:
    """GraphNet's form: a folder for each graph, two levels down; those folders."""
    content = tomllib.loads((HERE / "graphs.toml").read_text())
    return [
        _write_graph(folder / area / name, graph["tensors"], graph["body"])
        for area in areas
        for name, graph in content[area].items()
    ]


def _write_graph(folder: Path, tensors: list[Any], body: str) -> Path:
    folder.mkdir(parents=True)
    names = ", ".join(tensor[0] for tensor in tensors)
    head = (
        "import paddle\n\n\nclass GraphModule(paddle.nn.Layer):\n    def __init__(self):\n"
        f"        super().__init__()\n\n    def forward(self, {names}):\n"
    )
    (folder / "model.py").write_text(head + textwrap.indent(body.strip(), " " * 8) + "\n")
    weights = [tensor for tensor in tensors if tensor[0].startswith("parameter")]
    (folder / "input_meta.py").write_text("\n\n".join(_meta(t) for t in tensors if t not in weights))
    if weights:
        # Graphs without parameters lack the file, as some that are published do.
        (folder / "weight_meta.py").write_text("\n\n".join(map(_meta, weights)))
    return folder


def _meta(tensor: list[Any]) -> str:
    name, shape, dtype, known = tensor
    sizes = ", ".join("None" if size == "null" else str(size) for size in shape)
    lines = [
        f"class Program_weight_tensor_{name}:",
        f"    name = {name!r}",
        f"    shape = [{sizes}]",
        f"    dtype = {dtype!r}",
    ]
    for key, value in {"data": None, **known}.items():
        lines.append(f"    {key} = " + (f'float("{value:g}")' if isinstance(value, float) else repr(value)))
    return "\n".join(lines) + "\n"


# Python files


def write_layers(folder: Path, sections: Iterable[str] = ("good", "trouble")) -> Path:
    """The Python files, in one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = tomllib.loads((HERE / "layers.toml").read_text())
    for section in sections:
        for name, source in content[section].items():
            (folder / f"{name}.py").write_text(source.lstrip())
    return folder


def specifications(folder: Path) -> dict[str, str]:
    """``--add-model`` texts for the Python files of :func:`write_layers`, by name."""
    found = {}
    for file in sorted(folder.glob("*.py")):
        if file.stem != "parts":
            factory = "Blocks" if file.stem == "blocks" else "build"
            found[file.stem] = f"{file}:{factory}" + (f",{WORDS}" if file.stem == "words" else "")
    return found


# Deployed models


def open_executor(python: str, scratch: Path, specs: Iterable[str]) -> Executor:
    """An executor of that interpreter with the models of these specifications; its pool must be closed."""
    models = [model for text in specs for model in parse(text)]
    pool = WorkerPool(scratch / "logs", python, 120.0)
    store = Store(Path(default_store()))
    return Executor(ArtifactBuilder(pool, store, *locate("packaged", store), models), target.load())


def write_deployed(folder: Path, layers: Path, python: str) -> list[Path]:
    """Four deployed models of that Paddle's making: by `jit.save`, and in the older layouts where it can.

    Returns:
        what ``--add-model`` takes for each: program, prefix or folder.
    """
    specs = specifications(layers)
    with tempfile.TemporaryDirectory() as scratch:
        executor = open_executor(
            python, Path(scratch), (specs[n] for n in ("cnn", "recurrent", "words", "regression"))
        )
        try:
            return list(_deployed(folder / f"paddle_{executor.paddle.replace('.', '')}", executor))
        finally:
            executor.pool.close()


def _deployed(folder: Path, executor: Executor) -> Iterable[Path]:
    def export(model: str) -> Path:
        return Path(executor.builder.files(Target("x", "predictor"), model)["folder"])

    shutil.copytree(export("cnn"), folder / "cnn")
    yield folder / "cnn" / "model"
    shutil.copytree(export("words"), folder / "words")
    yield folder / "words"
    if executor.profile == "legacy-ir":
        separate = Path(executor.builder.files(Target("x", "static"), "regression", "separate")["folder"])
        shutil.copytree(separate, folder / "regression_separate")
        yield folder / "regression_separate"
        combined = folder / "recurrent_combined"
        combined.mkdir()
        shutil.copy(export("recurrent") / "model.pdmodel", combined / "__model__")
        shutil.copy(export("recurrent") / "model.pdiparams", combined / "__params__")
        yield combined
    else:
        shutil.copytree(export("recurrent"), folder / "recurrent")
        yield next((folder / "recurrent").glob("model.json"))
        damaged = folder / "damaged"
        shutil.copytree(export("regression"), damaged)
        program = damaged / "model.json"
        program.write_bytes(program.read_bytes()[: program.stat().st_size // 2])
        yield damaged


def write_all(folder: Path, pythons: Iterable[str]) -> list[str]:
    """Every example model; the texts that ``--add-model`` takes for them."""
    graphs, layers = folder / "graphs", write_layers(folder / "layers")
    write_graphs(graphs)
    found = [str(graphs)]
    specs = specifications(layers)
    specs["words"] += f",inputs={write_examples(layers / 'words.npz')}"
    found += specs.values()
    for python in pythons:
        for path in write_deployed(folder / "deployed", layers, python):
            release = path.relative_to(folder / "deployed").parts[0]
            words = f",{WORDS}" if "words" in path.parts[-2:] else ""
            found.append(f"{path},name={release}.{path.relative_to(folder / 'deployed').parts[1]}{words}")
    return found


def write_examples(file: Path) -> Path:
    """Example inputs for ``words.py``: five rows."""
    rng = np.random.default_rng(5)
    ids = rng.integers(0, 50, (5, 6))
    np.savez(file, ids=ids, weights=rng.uniform(0, 1, (5, 6)).astype("float32"))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", action="append", default=[], help="whose Paddle exports deployed models")
    given = parser.parse_args()
    for text in write_all(given.folder.absolute(), given.python or [sys.executable]):
        print(f"--add-model={text}")


if __name__ == "__main__":
    main()
