"""`paddle.load` brings back bit for bit what `paddle.save` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.checks.case import Case, bitwise_all
from harness.core.generation import reproducible
from harness.execution.executor import Executor
from harness.plugin.session import RunSession

pytestmark = [pytest.mark.area("Saved and loaded bit for bit"), pytest.mark.runs("training")]

DTYPES = (
    "float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8",
    "int16", "int32", "int64", "bool", "complex64", "complex128",
)  # fmt: skip

FORMS = ("file", "buffer")
PROTOCOLS = (2, 3, 4)


@pytest.mark.claims("000-save")
@pytest.mark.models(trained=True)
def test_network_state(
    case: Case, executor: Executor, run_session: RunSession, model: str, tmp_path: Path
) -> None:
    """A network's state dict, buffers included, loads bit-equal in another process, names in order."""
    weights = executor.builder.artifact("checkpoint", model).file("model.pdparams")
    paths = {protocol: str(tmp_path / f"model-{protocol}.pdparams") for protocol in PROTOCOLS}
    saved = {
        protocol: executor.pool.call(
            "checks.roundtrip.save_network", model=model, weights=weights, out=path, protocol=protocol
        )
        for protocol, path in paths.items()
    }
    with executor.pool.elsewhere(run_session.options.tier == "full", executor.spec()) as worker:
        for protocol, path in paths.items():
            loaded = worker.call("checks.roundtrip.state_of", executor.pool.deadline, path=path)
            restored = worker.call(
                "checks.roundtrip.set_and_read", executor.pool.deadline, model=model, path=path
            )
            compare_states(case, f"protocol {protocol}", saved[protocol], loaded, restored)


def compare_states(case: Case, what: str, saved: Any, loaded: Any, restored: Any) -> None:
    """Compare the saved state with what `paddle.load` gave, and with a new network after `set_state_dict`."""
    bitwise_all(case, f"{what}: paddle.load", loaded["arrays"], saved["arrays"])
    bitwise_all(case, f"{what}: set_state_dict", restored["arrays"], saved["arrays"])
    for name, fact in saved["facts"].items():
        for key in ("dtype", "name"):
            case.exact(f"{what}: {name}: {key}", loaded["facts"][name][key], fact[key])
        case.exact(
            f"{what}: {name}: stop_gradient after set_state_dict",
            restored["facts"][name]["stop_gradient"],
            fact["stop_gradient"],
        )
    case.exact(f"{what}: parameters not matched", restored["missing"] + restored["unexpected"], [])


def test_stop_gradient_of_loaded_tensors(case: Case, executor: Executor, tmp_path: Path) -> None:
    """`paddle.load` gives each tensor the `stop_gradient` it was saved with."""
    path = str(tmp_path / "model.pdparams")
    weights = executor.builder.artifact("checkpoint", "lenet").file("model.pdparams")
    saved = executor.pool.call("checks.roundtrip.save_network", model="lenet", weights=weights, out=path)
    loaded = executor.pool.call("checks.roundtrip.state_of", path=path)
    for name, fact in saved["facts"].items():
        case.exact(f"{name}: stop_gradient", loaded["facts"][name]["stop_gradient"], fact["stop_gradient"])


@pytest.mark.claims("000-save")
@pytest.mark.models(trained=True)
def test_optimizer_state(case: Case, executor: Executor, model: str) -> None:
    """The files of network and optimizer load bit-equal twice, as tensors and as arrays."""
    artifact = executor.builder.artifact("checkpoint", model)
    case.exact("files written", sorted(artifact.manifest.files), ["model.pdopt", "model.pdparams"])
    for file in artifact.manifest.files:
        path = artifact.file(file)
        first = executor.pool.call("models.states.flat", path=path, return_numpy=True)
        again = executor.pool.call("models.states.flat", path=path, return_numpy=False)
        bitwise_all(case, file, again, first)


@pytest.mark.parametrize("return_numpy", [False, True], ids=["tensor", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype(case: Case, executor: Executor, dtype: str, return_numpy: bool, tmp_path: Path) -> None:
    """Tensors of a dtype, also of rank 0 and without elements, load bit-equal and with that dtype."""
    if dtype not in executor.pool.call("models.states.dtypes"):
        pytest.skip(f"Paddle {executor.paddle} has no {dtype}")
    path = str(tmp_path / "tensors.pdparams")
    saved = executor.pool.call("checks.roundtrip.save_dtype", dtype=dtype, out=path)
    loaded = executor.pool.call("checks.roundtrip.state_of", path=path, return_numpy=return_numpy)
    case.exact("names", list(loaded["arrays"]), list(saved["arrays"]))
    for name, value in saved["arrays"].items():
        got = loaded["arrays"].get(name)
        case.bitwise(name, got, value, empty_ok=True)
    # Arrays have no facts, tensors all have: without this, nothing loaded as a tensor would pass.
    case.exact("tensors", list(loaded["facts"]), [] if return_numpy else list(saved["arrays"]))
    for name, fact in loaded["facts"].items():
        case.exact(f"{name}: dtype", fact["dtype"], dtype)


def objects() -> st.SearchStrategy[Any]:
    """Nested state dicts: tensors, arrays and plain values in dicts, lists and tuples."""
    arrays = hnp.arrays(
        dtype=st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "bool"]),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    )
    leaves = st.one_of(
        st.tuples(st.just("tensor"), arrays),
        st.tuples(st.just("array"), arrays),
        st.tuples(st.just("int"), st.integers(-(2**60), 2**60)),
        st.tuples(st.just("float"), st.floats(allow_nan=False)),
        st.tuples(st.just("str"), st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)),
        st.tuples(st.just("bool"), st.booleans()),
        st.tuples(st.just("NoneType"), st.none()),
    )
    keys = st.text("abcdefgh._0123456789", min_size=1, max_size=6)

    def nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.tuples(st.just("list"), st.lists(inner, max_size=3)),
            st.tuples(st.just("tuple"), st.lists(inner, max_size=3)).filter(not_a_named_array),
            st.tuples(
                st.just("dict"), st.dictionaries(keys, inner, max_size=4).map(lambda d: list(d.items()))
            ),
        )

    top = st.dictionaries(keys, st.recursive(leaves, nest, max_leaves=8), min_size=1, max_size=5)
    # At least one tensor, and no (name, array) pair: the checks below cover these two ambiguities
    # of the format.
    anchor = ("anchor", ("tensor", np.zeros(2, "float32")))
    return top.map(lambda d: ("dict", [anchor, *d.items()]))


def not_a_named_array(described: Any) -> bool:
    """Whether it is not a pair of text and array, the form in which `paddle.save` writes a tensor."""
    return [kind for kind, _ in described[1]] != ["str", "array"]


def compare_objects(case: Case, what: str, got: Any, expected: Any) -> None:
    """Compare two descriptions, bit for bit."""
    case.exact(f"{what}: kind", got[0], expected[0])
    if got[0] != expected[0]:
        return
    kind, content = expected
    if kind == "dict":
        case.exact(f"{what}: keys", [key for key, _ in got[1]], [key for key, _ in content])
        for (key, inner), (_, other) in zip(content, got[1], strict=False):
            compare_objects(case, f"{what}.{key}", other, inner)
    elif kind in ("list", "tuple"):
        case.exact(f"{what}: length", len(got[1]), len(content))
        for index, (inner, other) in enumerate(zip(content, got[1], strict=False)):
            compare_objects(case, f"{what}[{index}]", other, inner)
    elif kind in ("tensor", "array"):
        case.bitwise(what, got[1], np.asarray(content), empty_ok=True)
    else:
        case.exact(what, got[1], content)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", FORMS)
def test_nested_objects(case: Case, executor: Executor, form: str, protocol: int, tmp_path: Path) -> None:
    """Generated nested dicts of tensors, arrays and plain values come back the same, by file or buffer."""
    examples: list[Any] = []

    # One call for all examples: Hypothesis generates, the worker saves and loads in a batch. Without
    # the shrink phase a failure shows the generated value itself, which the record keeps.
    @settings(
        max_examples=25,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(objects())
    def generate(value: Any) -> None:
        examples.append(value)

    with reproducible():
        generate()
    came_back = executor.pool.call(
        "checks.roundtrip.save_load_objects",
        descriptions=examples,
        folder=str(tmp_path),
        protocol=protocol,
        in_memory=form == "buffer",
    )
    case.measures["examples"] = len(examples)
    case.exact("examples", len(came_back), len(examples))
    for index, (value, got) in enumerate(zip(examples, came_back, strict=False)):
        compare_objects(case, f"example {index}", got, value)


AMBIGUOUS = {
    "arrays without any tensor": ("dict", [("a", ("array", np.arange(3.0))), ("b", ("int", 1))]),
    "pair of a text and an array": (
        "dict",
        [
            ("t", ("tensor", np.zeros(2, "float32"))),
            ("a", ("tuple", [("str", "name"), ("array", np.arange(3.0))])),
        ],
    ),
}


@pytest.mark.parametrize("what", list(AMBIGUOUS))
def test_ambiguous_objects(case: Case, executor: Executor, what: str, tmp_path: Path) -> None:
    """NumPy arrays come back as arrays, whatever is stored with them."""
    (got,) = executor.pool.call(
        "checks.roundtrip.save_load_objects",
        descriptions=[AMBIGUOUS[what]],
        folder=str(tmp_path),
        protocol=4,
        in_memory=False,
    )
    compare_objects(case, what, got, AMBIGUOUS[what])


@pytest.mark.parametrize("protocol", [1, 5])
def test_protocol_out_of_range(case: Case, executor: Executor, protocol: int, tmp_path: Path) -> None:
    """`paddle.save` refuses an unsupported pickle protocol with a ValueError, and writes nothing."""
    from harness.pool.workers import RemoteError

    path = tmp_path / "object.pdparams"
    raised = "nothing"
    try:
        executor.pool.call(
            "checks.roundtrip.save_object",
            description=["dict", []],
            out=str(path),
            protocol=protocol,
            in_memory=False,
        )
    except RemoteError as error:
        raised = error.failure.type
    case.exact("exception", raised, "ValueError")
    case.exact("file written", path.exists(), False)
