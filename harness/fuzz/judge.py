"""Judge whether a stage's outputs are wrong, or as good as its precision allows: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from harness.checks.tolerance import bitwise
from harness.fuzz.oracle import Oracle, Runs
from harness.fuzz.verdict import ALIKE, COARSE, EXPORTED, READING, Failure, Verdict, sentence

OTHER_BITS = "a network with the saved state gives other bits"


def judge(answer: Mapping[str, Any]) -> Verdict:
    """Judge the answer of ``generated.checks.run``.

    Where another release read the files, ``own`` in the answer has the stages of the release that wrote
    them; failures that both share are not faults of reading.
    """
    oracle, stages = answer["oracle"], answer["stages"]
    truth = Oracle(oracle, answer["moved"], stages.get("dygraph", answer.get("own", {}).get("dygraph", {})))
    coarse = Oracle(oracle, answer["coarse"], {}, "bfloat16") if "coarse" in answer else truth
    failures: list[Failure] = []
    compared, refused = 0, ""
    for stage, done in stages.items():
        if "refused" in done:
            refused = done["refused"]
        elif "raised" in done:
            failures.append(Failure("error", stage, sentence(done["raised"], done["message"])))
        elif stage != "export":
            found, count = (coarse if stage in COARSE else truth).judge(stage, done["runs"])
            failures, compared = failures + found, compared + count
            if stage == "restored":
                failures += _as_saved(done["runs"], stages.get("dygraph", {}).get("runs", ()))
    blamed = _blamed(stages, failures)
    if "own" in answer:
        own = {name: value for name, value in answer.items() if name != "own"}
        same = {failure.key for failure in judge({**own, "stages": answer["own"]}).failures}
        blamed = [failure for failure in blamed if failure.key not in same]
    return Verdict(tuple(blamed), truth.why, compared, refused)


def _as_saved(runs: Runs, saved: Runs) -> list[Failure]:
    """Check that the restored network gives the same bits as the saved one."""
    for run, (outputs, right) in enumerate(zip(runs, saved, strict=False)):
        for index, (got, expected) in enumerate(zip(outputs, right, strict=False)):
            same = bitwise("restored", got, expected, empty_ok=True)
            if not same.ok and not np.isnan(expected.astype("float64")).any():
                return [Failure("fail", "restored", OTHER_BITS, run, index, same.worst)]
    return []


def _blamed(stages: Mapping[str, Any], failures: Sequence[Failure]) -> list[Failure]:
    """Remove failures that come from the export or from a simpler stage."""
    reading = {stage for stage in stages if stage in EXPORTED}
    wrong = [f for f in failures if f.stage in EXPORTED and f.outcome == "fail"]
    if len(reading) >= 2 and {f.stage for f in wrong} == reading:
        # A wrong answer of everything that reads the program is in the program.
        others = [f for f in failures if f.outcome != "fail" or f.stage not in READING]
        return [msgspec.structs.replace(wrong[0], stage="export"), *others]
    keys = {failure.key for failure in failures}
    return [f for f in failures if (f.outcome, ALIKE.get(f.stage, ""), f.key[2]) not in keys]
