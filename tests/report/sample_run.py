"""About 400 records as a full run on one Paddle release would write them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from builders import crashed, curves, latency, record, wrong_answer

from harness.core.types import Comparison, Outcome, Record, RemoteFailure

MODELS = (
    "lenet",
    "mobilenet_v1_x0_25",
    "resnet_vd_small",
    "conv_bn",
    "transformer",
    "lstm",
    "two_inputs",
    "control_flow",
)
TARGETS = (
    "dygraph",
    "jit",
    "static",
    "predictor",
    "predictor-onednn",
    "predictor-bf16",
    "predictor-no-ir",
    "predictor-threads2",
    "predictor-gpu",
)
FORGOTTEN = "Model.load before prepare drops the optimizer state"


def sample() -> Iterator[Record]:
    """Every area, with two unexpected findings, one departure and three known ones."""
    draw = random.Random(7)
    yield wrong_answer()
    yield crashed()
    yield record(
        "layout/fit_files[lenet]",
        "pass",
        model="lenet",
        claims=("003-fit-files",),
        expected_failure="fit also writes .pdopt",
        issue="https://github.com/PaddlePaddle/Paddle/issues/1",
        unexpected="expected fail, but it passed",
    )
    for model in MODELS:
        for target in TARGETS:
            yield from _on_target(draw, model, target)
        for optimizer in ("sgd", "momentum", "adam", "adamw", "lamb"):
            yield _resumed(model, optimizer)
        for check in ("pdparams", "pdopt", "combined", "separate", "inference"):
            yield record(
                f"roundtrip/{check}[{model}]",
                model=model,
                target="dygraph",
                elements=61706,
                comparisons=10,
                claims=("000-save",),
                measures={"size_bytes": draw.randint(9_000, 9_000_000)},
                title="What was saved comes back bit for bit.",
            )
        yield record(
            f"topology/no_training_operators[{model}]",
            model=model,
            claims=("000-prune-topology",),
            measures={"operators": {"training": 212, "inference": 41}},
        )
    yield from _damaged()
    yield from compressed("ptq-static-hist", profile="legacy-ir")
    yield from compressed("ptq-static-hist", model="conv_bn", profile="legacy-ir", lost=1, gained=3)
    yield from compressed("qat-slim", lost=6, gained=16)
    yield from compressed("ptq-slim", lost=5, gained=1)
    yield from compressed("prune-l1", technique="prune", lost=20, gained=6, latency=0.61)


def compressed(
    name: str,
    model: str = "lenet",
    profile: str = "pir",
    *,
    technique: str = "",
    lost: int = 2,
    gained: int = 2,
    size: float = 0.267,
    latency: float | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    own: str = "pir",
) -> Iterator[Record]:
    """Every check of one model that one method compressed.

    Args:
        lost, gained: of 1,000 digits; the check of accuracy is not run where they do not tell.
        changes: check -> fields of its record that are otherwise; ``parts`` are those of its measure.
        own: the run's profile, without which the method's id names its own.
    """
    technique = technique or name.partition("-")[0]
    method = name if profile == own else f"{name}-{profile}"
    who = {"technique": technique, "graph": "static", "api": "paddleslim.quant.quant_post_static"}
    prunes = technique == "prune"
    bound = 0.05 if prunes else 0.01
    loss = accuracy(lost, gained, bound)
    cost = {"elements_ratio": 0.5 if prunes else 1.0, "macs_ratio": 0.55 if prunes else 1.0}
    timed = {"latency": {"ratio": latency, "low": 0.9 * (latency or 0), "high": 1.1 * (latency or 0)}}
    operators = {"operators": {"quantize_linear": 10, "dequantize_linear": 15, "conv2d": 2}}
    checks: dict[str, dict[str, Any]] = {
        "pruned_accuracy" if prunes else "accuracy": {"accuracy": loss},
        "export_agrees": {"export": {"moved": 0.01, "quantization_error": 0.05}},
        "later_runs": {},
        "smaller" if prunes else "cost": {"cost": {**cost, "bytes_ratio": size, **operators}}
        | (timed if latency else {}),
    }
    if prunes:
        checks["filters"] = {}
    else:
        seen = {"int8_primitives": {"convolution": 8, "reorder": 4}, "error": 0.06}
        checks |= {
            "quantized": {
                "quantized": {"layers": 5, "weights": 5, "inputs": 5, "float": 0, "stored": ["int8"]}
            },
            "scales": {"scales": {"least": 0.85, "largest": 1.0}},
            "int8_kernels": {
                "int8": {**seen, "quantization_error": 0.05, "same_class": 0.993},
                "int8_accuracy": accuracy(3, 2, bound),
            },
            "int8_weights": {},
        }
    for check, parts in checks.items():
        target = "predictor-int8" if check == "int8_kernels" else ""
        fields: dict[str, Any] = {"model": model, "target": target, "method": method}
        if "accuracy" in parts and check not in (changes or {}) and loss["standing"] == "not enough data":
            fields |= {"outcome": "not-run", "reason": "not enough data: give more digits"}
        fields |= (changes or {}).get(check, {})
        parts = fields.pop("parts", parts)
        fields.setdefault("measures", {"compression": {**who, "profile": profile, **parts}})
        yield record(f"compression/{check}[{'-'.join(filter(None, (model, method, target)))}]", **fields)


def accuracy(lost: int, gained: int, bound: float = 0.01, n: int = 1000) -> dict[str, Any]:
    """The part of that name; its bounds are those of a normal distribution."""
    estimate, width = (lost - gained) / n, 2.33 * (lost + gained + 1) ** 0.5 / n
    low, high = estimate - width, estimate + width
    return {
        **{"n": n, "baseline": 0.93, "candidate": 0.93 - estimate, "lost": lost, "gained": gained},
        **{"low": low, "high": high, "p": 0.5, "confidence": 0.99, "estimate": estimate, "bound": bound},
        "standing": "within" if high <= bound else "worse" if low > bound else "not enough data",
    }


def _on_target(draw: random.Random, model: str, target: str) -> Iterator[Record]:
    place: dict[str, Any] = {"model": model, "target": target}
    if target == "predictor-gpu":
        reason = "this Paddle is compiled without CUDA"
        for check in ("outputs", "batch"):
            yield record(f"agreement/{check}[{model}-{target}]", "not-run", reason=reason, **place)
        yield record(
            f"latency/batch1[{model}-{target}]", "not-run", reason=reason, claims=("card-latency",), **place
        )
        return
    for check, claim in (
        ("outputs", "002-formats"),
        ("batch", "000-batch"),
        ("second_run", "002-formats"),
    ):
        case = f"agreement/{check}[{model}-{target}]"
        if case in (wrong_answer().case, crashed().case):
            continue
        if model == "lstm" and target == "predictor-bf16":
            yield record(
                case,
                "error",
                expected_failure="bf16 LSTM kernel is not registered",
                issue="PaddlePaddle/Paddle#65012",
                claims=(claim,),
                failure=RemoteFailure(
                    "NotFoundError",
                    "The kernel `lstm` (bfloat16) is not registered",
                    "Traceback (most recent call last):\n  …",
                ),
                **place,
            )
            continue
        used = draw.uniform(0.02, 0.7)
        yield record(
            case,
            claims=(claim,),
            budget_used=used,
            numeric_budget_used=used,
            elements=2560,
            title="Outputs agree.",
            **place,
        )
    if target.startswith("predictor"):
        for batch in (1, 16):
            base = 90 * (1 + MODELS.index(model)) ** 1.7 * batch**0.6
            factor = 1 + 0.4 * TARGETS.index(target) * draw.random()
            yield record(
                f"latency/batch{batch}[{model}-{target}]",
                claims=("card-latency",),
                measures={"latency": latency(base * factor, batch)},
                duration_s=2.6,
                **place,
            )


def _resumed(model: str, optimizer: str) -> Record:
    case = f"resume/fresh_process[{model}-{optimizer}]"
    place: dict[str, Any] = {"model": model, "target": "dygraph"}
    seed = len(model) * 7 + len(optimizer)
    if optimizer == "lamb":
        return record(
            case,
            "fail",
            claims=("003-resume-example",),
            expected_failure=FORGOTTEN,
            measures={"curves": curves(120, 60, 0.25, seed)},
            details=(
                Comparison(
                    "loss curve", "bitwise", False, 60, worst="step 61", message="differs from step 61"
                ),
            ),
            **place,
        )
    return record(case, claims=("000-resume",), measures={"curves": curves(120, 60, 0.0, seed)}, **place)


def _damaged() -> Iterator[Record]:
    loaders = (
        ("paddle.load", "pdparams"),
        ("jit.load", "json"),
        ("create_predictor", "json"),
        ("create_predictor", "pdmodel"),
    )
    for loader, form in loaders:
        for damage in (
            "empty",
            "cut in half",
            "one byte flipped",
            "another model's",
            "text file",
            "missing",
        ):
            behaviour = "error"
            outcome: Outcome = "pass"
            if loader == "create_predictor" and damage == "cut in half":
                behaviour, outcome = "crash", "crash"
            elif damage == "one byte flipped":
                behaviour, outcome = "silent wrong answer", "fail"
            known = "" if outcome == "pass" else "Paddle does not check the integrity of its files"
            yield record(
                f"robustness/damaged[{loader}-{form}-{damage}]",
                outcome,
                expected_failure=known,
                model="lenet",
                reason="" if outcome == "pass" else f"{loader} took it: {behaviour}",
                measures={
                    "corruption": {
                        "loader": loader,
                        "format": form,
                        "damage": damage,
                        "behaviour": behaviour,
                        "message": "(InvalidArgument) Deserialize failed",
                    }
                },
            )
