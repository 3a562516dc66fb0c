"""Results as a gate and a matrix would make them, for the pages and the files."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from harness.gate.result import (
    EXIT_OF,
    VERDICTS,
    Change,
    CurvePair,
    Difference,
    Direction,
    Drift,
    GateResult,
    GridCell,
    MatrixResult,
    ModelTotal,
    Numerics,
    Side,
    Speed,
    Status,
    Subject,
    Verdict,
)

OLD, NEW = "2.6.2", "3.3.1"
MODELS = ("lenet", "mobilenet_v1_x0_25", "resnet_vd_small", "conv_bn", "transformer", "lstm", "two_inputs")
TARGETS = ("dygraph", "jit", "static", "predictor", "predictor-onednn", "predictor-bf16")
ROUTES = (
    "pdparams → set_state_dict",
    "pdopt → resumed training",
    "Model.save → Model.load",
    "jit.save → jit.load",
    "jit.save → predictor",
    "save_inference_model → load_inference_model",
    "save_inference_model → predictor",
    "separate files → load_inference_model",
)
REFUSES = (
    "paddle.jit.load refuses a .pdmodel under 3.3.1: (NotFound) the file model.json does not exist "
    "[Hint: please check the prefix] (at loader.cc:{line})"
)
USE_PREDICTOR = "load it with the predictor, which reads `.pdmodel`, or export it again under 3.3.1"
NEW_FORMAT = "2.6.2 does not know the .json program: UnicodeDecodeError at byte {byte}"
EXPORT_LEGACY = "export with `FLAGS_enable_pir_api=0`, which writes a `.pdmodel`"


def change(case: str = "agreement/outputs[lenet-jit]", verdict: Verdict = "same", **more: Any) -> Change:
    """A change with two passing sides, unless told otherwise."""
    fields: dict[str, Any] = {
        "area": case.split("/")[0],
        "before": Side("pass", "baseline", case, budget_used=0.21),
        "after": Side("pass", "candidate", case, budget_used=0.21),
    }
    return Change(case=case, verdict=verdict, **{**fields, **more})


def broken(case: str, reason: str, **more: Any) -> Change:
    """Passed under the baseline, raised under the candidate, blocks."""
    fields: dict[str, Any] = {
        "before": Side("pass", "baseline", case, budget_used=0.21, place=4),
        "after": Side("error", "candidate", case, reason=reason, place=7),
        "text": f"passed under {OLD}; under {NEW}: {reason}",
        "blocks": True,
        "rule": "broken = block",
    }
    return change(case, "broken", **{**fields, **more})


def gate(
    changes: tuple[Change, ...] = (),
    status: Status = "pass",
    *,
    sentence: str = "3.3.1 can take the place of 2.6.2.",
    **more: Any,
) -> GateResult:
    """A result whose counts are those of ``changes``."""
    counted = Counter(item.verdict for item in changes)
    could = [c for c in changes if c.verdict == "same"]
    fields: dict[str, Any] = {
        "started": "2025-11-22T05:40:12+00:00",
        "duration_s": 583.0,
        "command": f"harness gate {OLD} {NEW}",
        "harness": "0.1.0",
        "baseline": Subject(OLD, OLD, "", "3.11.7", "/opt/env/paddle-2.6.2/bin/python", "baseline"),
        "candidate": Subject(NEW, NEW, "", "3.11.7", "/opt/env/paddle-3.3.1/bin/python", "candidate"),
        "counts": {verdict: counted[verdict] for verdict in VERDICTS},
        "comparable": len(changes) - counted["missing"] - counted["new"] - counted["inconclusive"],
        "identical": sum(c.identical for c in could),
        "identical_of": len(could),
    }
    return GateResult(
        status=status, exit_status=EXIT_OF[status], sentence=sentence, changes=changes, **{**fields, **more}
    )


def sample() -> GateResult:
    """An upgrade from 2.6.2 to 3.3.1 as it might be: some 150 blocking cases of eight causes."""
    draw = random.Random(11)
    changes = tuple(_changes(draw))
    blocking = sum(c.blocks for c in changes)
    return gate(
        changes,
        "blocked",
        sentence=f"{blocking} cases that worked under 2.6.2 do not under 3.3.1; most are old files that "
        "`paddle.jit.load` no longer reads.",
        rules=("broken = block", "missing = block", "numerically worse in agreement/* = block"),
        comparable=1204,
        grid=tuple(_grid()),
        numerics=tuple(_numerics(draw)),
        curves=tuple(_curves()),
        speed=tuple(_speed(draw)),
        warnings={
            "new": (
                "UserWarning: `paddle.jit.save` now writes `model.json`",
                "DeprecationWarning: `save_vars` is deprecated since 3.0",
            ),
            "gone": ("DeprecationWarning: `np.bool8` is a deprecated alias",),
        },
        differences=(
            Difference("Paddle", OLD, NEW, True),
            Difference("Paddle commit", "4f1ad6c9e0b7", "9b3c0e55d1aa", True),
            Difference("NumPy", "1.26.4", "2.3.5", explains=("numerically worse", "broken")),
            Difference("OMP_NUM_THREADS", "", "2", explains=("slower", "faster")),
        ),
        models=tuple(_models()),
        problems=(
            'the acknowledgement "LSTM in bfloat16" matches no change: remove it from gate.toml',
            'the acknowledgement "no GPU here" ended on 2025-10-01: remove it or give another date',
        ),
        policy={
            "block": ["broken", "missing", "numerically worse"],
            "areas": {"latency": {"block": []}, "agreement": {"block": ["numerically worse"]}},
            "file": "gate.toml",
        },
    )


def _changes(draw: random.Random) -> Iterator[Change]:
    """About 600 cases: eight causes that block, every other verdict, and what is the same."""
    for i, (route, model) in enumerate((r, m) for r in ROUTES[3:6] for m in MODELS):
        for j in range(3):
            case = f"interchange/loads[{route}-{model}-batch{j}]"
            reason = REFUSES.format(line=100 + i)
            yield broken(case, reason, direction="old files", model=model, workaround=USE_PREDICTOR)
    for model in MODELS:
        for j in range(5):
            case = f"interchange/rollback[jit.load-{model}-{j}]"
            reason = NEW_FORMAT.format(byte=10 + j)
            yield broken(case, reason, direction="rollback", model=model, workaround=EXPORT_LEGACY)
        case = f"robustness/from_bytes[{model}]"
        yield broken(
            case, "set_model_buffer ends the process: SIGSEGV", model=model, workaround="load from files"
        )
    for i, model in enumerate(MODELS):
        case = f"agreement/outputs[{model}-predictor-bf16]"
        before, after = 0.31 + i / 50, 1.4 + i
        yield change(
            case,
            "numerically worse",
            model=model,
            target="predictor-bf16",
            before=Side("pass", "baseline", case, budget_used=before, error=2e-3, allowed=6e-3),
            after=Side("fail", "candidate", case, budget_used=after, error=9e-3, allowed=6e-3, place=20 + i),
            text=f"the error grew from {before:.2f} to {after:.2f} times what is allowed",
            blocks=True,
            rule="numerically worse in agreement/* = block",
            drifts=(Drift("tolerance", "error needed", f"{before:.3g}", f"{after:.3g}", after / before),),
        )
        yield change(
            f"latency/batch1[{model}-predictor-gpu]",
            "missing",
            model=model,
            after=Side("not-run", "candidate", reason="this Paddle is compiled without CUDA"),
            text="ran under 2.6.2; not run under 3.3.1: this Paddle is compiled without CUDA",
            blocks=True,
            rule="missing = block",
        )
        yield change(
            f"quantize/ptq[{model}]",
            "broken",
            model=model,
            after=Side(
                "error",
                "candidate",
                reason="NoneType has no attribute 'desc'",
                expected_failure="PaddleSlim 2.6",
            ),
            text="PTQ raises under 3.3.1: 'NoneType' object has no attribute 'desc'",
            rule="acknowledged",
            acknowledged="PaddleSlim 2.6 is not ported; we export quantized models under 2.6.2",
            issue="https://github.com/PaddlePaddle/PaddleSlim/issues/1890",
            until="2026-03-31",
        )
        yield change(
            f"latency/batch16[{model}-predictor]",
            "not comparable",
            model=model,
            text="differs, and so does OMP_NUM_THREADS",
            explained_by=("OMP_NUM_THREADS",),
            rule="not comparable does not block",
        )
    yield broken(
        "topology/no_training_operators[transformer]", "the program still holds dropout", model="transformer"
    )
    yield broken(
        "resume/fresh_process[lstm-adamw]",
        "the loss differs from step 61 by 0.24",
        model="lstm",
        after=Side("fail", "candidate", "resume/fresh_process[lstm-adamw]", "the loss differs from step 61"),
    )
    yield change("agreement/second_run[lstm-predictor]", "inconclusive", text="two runs under 3.3.1 disagree")
    yield change("documents/pir_listing[lenet]", "new", before=None, text="runs under 3.3.1 only")
    yield change("robustness/no_ir_optim[lenet]", "fixed", text="failed under 2.6.2, passes under 3.3.1")
    yield change(
        "agreement/outputs[lstm-static]", "numerically better", text="the error fell from 0.51 to 0.02"
    )
    taken = {"agreement/second_run[lstm-predictor]", "agreement/outputs[lstm-static]"}
    taken |= {f"agreement/outputs[{model}-predictor-bf16]" for model in MODELS}
    for model in MODELS:
        for target in TARGETS:
            for check in ("outputs", "batch", "second_run", "threads", "fresh", "copy", "zero", "large"):
                case = f"agreement/{check}[{model}-{target}]"
                if case in taken:
                    continue
                drift = Drift("file size", "model.pdiparams", "246.1 KiB", "243.9 KiB", 0.991)
                yield change(
                    case,
                    model=model,
                    target=target,
                    identical=draw.random() < 0.7,
                    drifts=(drift,) if check == "outputs" and target == "jit" else (),
                )
    operators = Drift(
        "operators", "in the inference program", "41: conv2d, relu, …", "38: conv2d, relu, …", 38 / 41
    )
    loading = Drift("load time", "create_predictor", "38.2 ms", "61.0 ms", 1.6)
    yield change("topology/inference[lenet]", model="lenet", drifts=(operators, loading))


def _grid() -> Iterator[GridCell]:
    for route in ROUTES:
        for producer, consumer in ((OLD, OLD), (OLD, NEW), (NEW, OLD), (NEW, NEW)):
            n = len(MODELS)
            if "jit.load" in route and (producer, consumer) == (OLD, NEW):
                yield GridCell(
                    route,
                    producer,
                    consumer,
                    "error",
                    n,
                    0,
                    reason=REFUSES.format(line=104),
                    workaround=USE_PREDICTOR,
                )
            elif "pdparams" not in route and (producer, consumer) == (NEW, OLD):
                yield GridCell(
                    route,
                    producer,
                    consumer,
                    "crash",
                    n,
                    2,
                    0,
                    0.4,
                    NEW_FORMAT.format(byte=10),
                    EXPORT_LEGACY,
                )
            else:
                yield GridCell(
                    route, producer, consumer, "pass", n, n, n if producer == consumer else 5, 0.34
                )


def _numerics(draw: random.Random) -> Iterator[Numerics]:
    directions: tuple[Direction, ...] = ("", "old files", "new files", "rollback")
    for direction in directions:
        for model in MODELS:
            for target in TARGETS:
                for i in range(4):
                    before = 10 ** draw.uniform(-3, -0.1)
                    after = before * 10 ** draw.gauss(0, 0.15)
                    zero = draw.random() < 0.05
                    case = f"agreement/outputs[{model}-{target}-{i}]"
                    yield Numerics(
                        case, direction, model, target, 0.0 if zero else before, 0.0 if zero else after
                    )
    for i, model in enumerate(MODELS):
        case = f"agreement/outputs[{model}-predictor-bf16]"
        yield Numerics(case, "", model, "predictor-bf16", 0.31 + i / 50, 1.4 + i)
    yield Numerics("agreement/outputs[lstm-predictor]", "old files", "lstm", "predictor", 0.004, 0.4)
    yield Numerics("agreement/outputs[lstm-jit]", "new files", "lstm", "jit", 0.2, None)


def _curves() -> Iterator[CurvePair]:
    for i, model in enumerate((*MODELS, "lenet", "conv_bn", "lstm")):
        whole = tuple(2.3 * math.exp(-s / 30) + 0.12 + 0.02 * math.sin(s * (i + 3)) for s in range(100))
        differs = i % 3 == 0
        other = tuple(v + (0.004 * max(s - 40, 0) if differs else 0) for s, v in enumerate(whole))
        yield CurvePair(
            f"resume/uninterrupted[{model}-{i}]",
            "loss",
            whole,
            other,
            41 if differs else None,
            0.24 if differs else 0.0,
        )


def _speed(draw: random.Random) -> Iterator[Speed]:
    for i, model in enumerate(MODELS):
        for batch in (1, 16):
            for target in ("predictor", "predictor-onednn", "predictor-threads2"):
                before = 90 * (1 + i) ** 1.7 * batch**0.6
                after = before * draw.uniform(0.85, 1.3)
                low, high = (before * 0.97, before * 1.04)
                yield Speed(
                    f"latency/batch{batch}[{model}-{target}]",
                    model,
                    target,
                    batch,
                    before,
                    low,
                    high,
                    after,
                    after * 0.96,
                    after * 1.03,
                    38.2,
                    61.0,
                )


def _models() -> Iterator[ModelTotal]:
    for i, model in enumerate(MODELS):
        yield ModelTotal(model, verdicts={"same": 48, "broken": 14, "missing": 1}, blocking=15 + i)
    yield ModelTotal("shop/ranker", True, "deployed model", {"broken": 2, "same": 3}, 2)
    yield ModelTotal("shop/net.py:build", True, "file and factory", {"same": 6})
    yield ModelTotal("graphs/ocr", True, "captured graph", {"numerically worse": 1, "same": 4})
    yield ModelTotal("graphs/huge", True, "captured graph", unjudged="needs 41 GiB, the machine has 15 GiB")
    yield ModelTotal(
        "graphs/nan", True, "captured graph", unjudged="reference outputs are not finite for drawn inputs"
    )


def matrix() -> MatrixResult:
    """Nine releases; the boundary is between 2.6.2 and 3.x, and one route has a hole of its own."""
    releases = ("2.6.2", "3.0.0", "3.1.0", "3.1.1", "3.2.0", "3.2.1", "3.2.2", "3.3.0", "3.3.1")
    cells = []
    for route in ROUTES:
        for producer in releases:
            for consumer in releases:
                n = 12
                if "jit.load" in route and producer == "2.6.2" != consumer:
                    cell = GridCell(
                        route,
                        producer,
                        consumer,
                        "error",
                        n,
                        0,
                        0,
                        None,
                        REFUSES.format(line=104),
                        USE_PREDICTOR,
                    )
                elif "pdparams" not in route and consumer == "2.6.2" != producer:
                    cell = GridCell(
                        route,
                        producer,
                        consumer,
                        "crash",
                        n,
                        2,
                        0,
                        0.4,
                        NEW_FORMAT.format(byte=10),
                        EXPORT_LEGACY,
                    )
                elif "separate" in route and producer in ("3.1.0", "3.1.1") and consumer != "2.6.2":
                    cell = GridCell(route, producer, consumer, "fail", n, 11, 0, 3.1, "one parameter is lost")
                else:
                    cell = GridCell(
                        route, producer, consumer, "pass", n, n, 12 if producer == consumer else 9, 0.34
                    )
                cells.append(cell)
    return MatrixResult(
        releases=releases,
        cells=tuple(cells),
        started="2025-11-22T05:40:12+00:00",
        duration_s=2210.0,
        command="harness matrix",
        harness="0.1.0",
        notes=("Every reference model of the quick tier.",),
    )
