"""Recognise known faults by their message, or by removing what triggers them.

A network that fails with a known fault's trigger but not without it shows that fault again, whatever else
it contains. A network that fails without all known triggers shows something new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.core.types import Outcome
from harness.fuzz import counterfactuals as without
from harness.fuzz.builder import Network
from harness.fuzz.counterfactuals import Counterfactual
from harness.fuzz.examine import examine, stages_for
from harness.fuzz.verdict import Failure
from harness.pool.workers import WorkerPool

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Known:
    """A fault of ``findings/`` (its ``name``) in stages that start with one of ``stages``.

    ``message``: regular expression that recognises it. ``without``: counterfactual that recognises failures
    with one of the ``outcomes``; ``options``: predictor options that avoid the fault. ``unsteady``: its
    answers differ from run to run, and may be right. ``lasting``: it affects what the same process executes
    later.
    """

    name: str
    message: str = ""
    without: Counterfactual = lambda network: None
    options: Mapping[str, Any] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ("fail", "error")
    stages: tuple[str, ...] = ("predictor", "folded")
    unsteady: bool = False
    lasting: bool = False

    def says(self, failure: Failure) -> bool:
        """Whether the failure has this fault's message."""
        if not self.message or not failure.stage.startswith(self.stages):
            return False
        return re.search(self.message, failure.message) is not None


KNOWN = (
    Known("predictor-layer-norm-two-axes", "supports only last logical axis"),
    Known("predictor-interpolate-by-a-factor", "ConvertPirAttribute2RuntimeAttribute"),
    Known(
        "predictor-without-parameters", r"number of variables to be loaded is 0|[Ff]ail(s|ed)? to open file"
    ),
    Known("predictor-output-is-input", "More than one shadow output named"),
    Known("predictor-activation-of-whole-numbers", "activation fuses require use_mkldnn=True"),
    Known("predictor-two-equal-outputs", r"variable named fetch_name_\d+ is not found"),
    Known("predictor-two-activations-behind-linear", without=without.activations_apart),
    Known("predictor-convolution-and-leaky-relu", without=without.leaky_apart, outcomes=("crash",)),
    Known("predictor-batch-norm-read-twice", without=without.norms_apart, outcomes=("error", "crash")),
    Known("predictor-unsqueeze-read-twice", without=without.unsqueeze_apart, outcomes=("error",)),
    Known("predictor-conv-nhwc", without=without.channels_first),
    Known("predictor-matmul-of-one-column", without=without.outer_products, unsteady=True),
    Known(
        "predictor-prelu-of-a-flattened-value",
        without=without.prelu_apart,
        outcomes=("fail",),
        unsteady=True,
        lasting=True,
    ),
    Known("predictor-interpolate-nearest", without=without.nearest_by_index, outcomes=("fail",)),
    Known(
        "predictor-activation-of-whole-numbers", without=without.whole_activations_apart, outcomes=("fail",)
    ),
    Known("predictor-matmul-behind-convolution", without=without.convolutions_apart, outcomes=("fail",)),
    Known("predictor-softplus-threshold", without=without.unlimited, outcomes=("fail",)),
    Known("predictor-element-of-a-vector", without=without.elements_by_sum),
    Known("predictor-average-pool-partial-window", without=without.exclusive),
    Known("log-softmax-stops-at-64", without=without.unclipped, stages=("",)),
    Known("jit-load-exchanges-outputs", without=without.numbers_only, stages=("jit",)),
    Known("while-overwrites-its-input", without=without.loops_on_copies, stages=("",)),
    Known("predictor-behind-control-flow", without=without.control_flow_unrolled, outcomes=("error",)),
    Known(
        "predictor-in-place-before-pool",
        without=lambda network: network,
        options={"without": ["inplace_pass"]},
    ),
)


STATED = (
    Known(
        "a `.pdmodel` is not for `jit.load`",
        r"`path` .*to load model not exists|skip_forward=True",
        stages=("jit",),
    ),
    Known("a `.pdmodel` is not for `load_inference_model`", "UnicodeDecodeError", stages=("static",)),
)
"""Files of the old IR that the new IR refuses: expected failures of the suites' area ``upgrade``."""


def explained(pool: WorkerPool, network: Network, failures: Sequence[Failure]) -> dict[Key, str]:
    """Name the known failures, by removing the triggers one after the other."""
    found: dict[Key, str] = {}
    for failure in failures:
        for known in (*KNOWN, *STATED):
            if known.says(failure):
                found[failure.key] = known.name
    options: dict[str, Any] = {}
    for known in KNOWN:
        left_over = (failure for failure in failures if failure.key not in found)
        open_ = [f for f in left_over if f.outcome in known.outcomes and f.stage.startswith(known.stages)]
        changed = known.without(network) if open_ else None
        if changed is None:
            continue
        network, options = changed, {**options, **known.options}
        if known.lasting:
            pool.discard()
        stages = list(dict.fromkeys(stage for f in open_ for stage in stages_for(f.stage)))
        verdict = examine(pool, network, stages, options)
        left = {failure.key for failure in verdict.failures}
        for failure in open_:
            # Values that cannot be judged may be right or wrong.
            if failure.key not in left and not (verdict.meaningless and failure.is_of_values):
                found[failure.key] = known.name
    return found


def lasts(network: Network) -> bool:
    """Whether a process that has executed the network must not execute another one."""
    return any(known.lasting and known.without(network) is not None for known in KNOWN)


def unsteady(network: Network) -> str:
    """Name a known fault in the network whose answers differ from run to run; '' if there is none."""
    names = (known.name for known in KNOWN if known.unsteady and known.without(network) is not None)
    return next(names, "")
