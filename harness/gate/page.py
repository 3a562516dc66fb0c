"""The gate's page, ``gate.html``: whether to upgrade, what blocks, and everything that moved."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.gate import outputs, page_compression, routes
from harness.gate import page_views as views
from harness.gate.causes import causes
from harness.gate.policy import SpeedRule
from harness.gate.result import VERDICTS, GateResult, Verdict
from harness.report import environment
from harness.report.compression_views import LOOK
from harness.report.layout import page
from harness.report.summary import with_zeros
from harness.speed.session import UNITS

MOST_DRAWN_CURVES = 9
MOST_DRAWN_SPEEDS = 8
"""Most loss curves, and groups of speeds, that are drawn; the tables below have all."""
MOST_FIRST_CAUSES = 6
"""Blocking causes on the first screen; the others are one click away."""
MOST_OPEN_CAUSES = 8
MOST_OPEN_CASES = 6
"""Causes that start unfolded in each verdict's list, and the most cases such a cause may have."""

ANSWERS = ("slower", "faster", "more memory", "less memory", "same", "not enough data")

VERDICT_LOOK: dict[Verdict, tuple[str, str]] = {
    "broken": ("✕", "fail"),
    "missing": ("∅", "fail"),
    "numerically worse": ("↘", "fail"),
    "slower": ("▾", "fail"),
    "more memory": ("▾", "fail"),
    "not comparable": ("≠", "known"),
    "inconclusive": ("?", "known"),
    "new": ("+", ""),
    "fixed": ("✓", "pass"),
    "numerically better": ("↗", "pass"),
    "faster": ("▴", "pass"),
    "less memory": ("▴", "pass"),
    "same": ("=", "not-run"),
}
"""Symbol and chip of each verdict."""


def render(result: GateResult, folder: Path | None = None) -> str:
    """Return the page as text: one HTML document that needs no other file and no script.

    ``folder`` is where the page will be written; runs inside it are linked.
    """
    # Matplotlib takes half a second to import; the command line imports this module for less.
    from harness.gate import page_figures
    from harness.report.figures import loss_curves

    names = (result.baseline.name, result.candidate.name)
    rules = msgspec.convert(result.policy.get("speed") or {}, SpeedRule).rules
    return page(
        "gate",
        "gate.json",
        version=result.harness,
        result=result,
        names=views.subject_names(result),
        look=VERDICT_LOOK,
        verdicts=VERDICTS,
        meaning=views.MEANING,
        blocking=causes(result.blocking),
        most_first=MOST_FIRST_CAUSES,
        unfolded=[verdict for verdict, (_, chip) in VERDICT_LOOK.items() if chip in ("fail", "known")],
        most_open=(MOST_OPEN_CAUSES, MOST_OPEN_CASES),
        kinds=views.kinds(result.changes),
        same=[change for change in result.changes if change.verdict == "same"],
        links=views.links(result, folder),
        side_link=views.side_link,
        releases=routes.releases(result.grid, names),
        pairs=routes.pairs(result.grid, names),
        routes=routes.routes(result.grid),
        draw=page_figures,
        outliers=views.outliers(result.numerics),
        numerics=views.worst_first(result.numerics),
        growth=views.growth,
        curves=views.curves(result.curves),
        most_curves=MOST_DRAWN_CURVES,
        loss_curves=loss_curves,
        speeds=views.speeds(result.speed),
        most_speeds=MOST_DRAWN_SPEEDS,
        paired=views.paired(result.paired),
        detectable=outputs.detectable(result.paired),
        floors={name: getattr(rules, name).floor for name in UNITS},
        explained=views.explained,
        paired_counts=with_zeros((row.answer for row in result.paired), ANSWERS),
        compressed=page_compression.read(result, folder),
        method_look=LOOK,
        drifts=views.drifts(result.changes),
        acknowledged=views.acknowledged(result.changes),
        own_models=views.own_models(result),
        reference_models=sorted(
            (model for model in result.models if not model.user), key=lambda row: (-row.blocking, row.model)
        ),
        policy=environment.walk(result.policy),
    )
