"""Which user models a gate judged: one that was not is never passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec

from harness.core.containers import count
from harness.core.types import Record
from harness.gate.result import Change, ModelTotal
from harness.gate.verdicts import Pair, ran
from harness.records.files import Run

AREA = "models"
FIRST_RUN = f"{AREA}/usable["
"""Start of the id of the case that finds whether a user model runs at all."""


def forms(runs: Sequence[Run]) -> dict[str, str]:
    """Return the form of each user model of the runs."""
    found: dict[str, str] = {}
    for run in runs:
        found.update(run.header.environment.get("user_models") or {})
    return found


def marked(
    changes: Sequence[Change], paired: Sequence[Pair], runs: Sequence[Run], names: Sequence[str]
) -> list[Change]:
    """Return the changes with an inconclusive one for each user model that was not judged.

    A model is judged where a case of it compared something under both releases, or where it could be used
    under the baseline and is refused now. Its own first run compares nothing between releases. The change
    is that of the model's first run, so a policy can acknowledge it by that case.
    """
    unjudged = dict(_unjudged(changes, paired, runs, names))
    found = {change.case + change.direction: change for change in changes}
    for model, why in unjudged.items():
        case = f"{FIRST_RUN}{model}]"
        first = found.get(case) or Change(case=case, verdict="inconclusive", area=AREA, model=model)
        found[case] = msgspec.structs.replace(first, verdict="inconclusive", text=f"{NOT_JUDGED}{why}")
    return list(found.values())


NOT_JUDGED = "not judged: "
"""Start of the text of the change that says so."""


def _unjudged(
    changes: Sequence[Change], paired: Sequence[Pair], runs: Sequence[Run], names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the user models that were not judged, each with the reason."""
    users = forms(runs)
    judged = {
        pair.after.model
        for pair in paired
        if ran(pair.before) and ran(pair.after) and pair.before.comparisons and pair.after.comparisons
        if pair.after.area != AREA and pair.direction != "rollback"
    }
    judged |= {c.model for c in changes if c.case.startswith(FIRST_RUN) and c.verdict == "broken"}
    records = [[record for record in run.records if record.model in users] for run in runs]
    for model in dict.fromkeys(record.model for record in chain(*records)):
        if model not in judged:
            reasons = [_reason([record for record in side if record.model == model]) for side in records]
            yield model, _both(reasons, names)


def _reason(records: Sequence[Record]) -> str:
    """Why one side measured nothing of a model: its refusal, or what most of its cases ended with."""
    refusals = (r.reason for r in records if r.case.startswith(FIRST_RUN) and r.outcome != "pass")
    others = Counter(r.reason for r in records if r.area != AREA and r.outcome != "pass")
    return next(refusals, "") or next((reason for reason, _ in others.most_common(1)), "")


def _both(reasons: Sequence[str], names: Sequence[str]) -> str:
    said = [reason for reason in reasons if reason]
    if not said:
        return "no case compared anything of it under both"
    if len(said) == 2 and said[0] == said[1]:
        return f"under both: {said[0]}"
    return "; ".join(f"under {name}: {why}" for name, why in zip(names, reasons, strict=True) if why)


def totals(changes: Sequence[Change], runs: Sequence[Run]) -> Iterator[ModelTotal]:
    """Yield the totals of every model that has a change."""
    users = forms(runs)
    for model in dict.fromkeys(change.model for change in changes if change.model):
        related = [change for change in changes if change.model == model]
        first = next((c.text for c in related if c.case.startswith(FIRST_RUN)), "")
        yield ModelTotal(
            model=model,
            user=model in users,
            form=users.get(model, ""),
            verdicts=dict(Counter(str(change.verdict) for change in related)),
            blocking=sum(change.blocks for change in related),
            failing=sum(map(_works_under_neither, related)),
            interface="; ".join(dict.fromkeys(_renamed(related))),
            unjudged=first.removeprefix(NOT_JUDGED) if first.startswith(NOT_JUDGED) else "",
        )


def _works_under_neither(change: Change) -> bool:
    return change.verdict == "same" and change.after is not None and change.after.outcome != "pass"


def _renamed(changes: Sequence[Change]) -> Iterator[str]:
    for drift in chain.from_iterable(change.drifts for change in changes):
        if drift.kind == "interface":
            yield f"{drift.what} {drift.before} → {drift.after}"


def sentence(models: Sequence[ModelTotal]) -> str:
    """Say how many user models were judged; '' where there are none."""
    own = [model for model in models if model.user]
    if not own:
        return ""
    judged = sum(not model.unjudged for model in own)
    return f"{judged} of {count(len(own), 'model')} of your own {'was' if judged == 1 else 'were'} judged"
