"""A run's page: fill the template and write the file."""

from __future__ import annotations

from pathlib import Path

from harness.records.files import Run
from harness.report import compression, compression_views, environment, summary, tables, yardstick
from harness.report.layout import page, write_page

MOST_DRAWN_CURVES = 9
"""Most loss curves drawn, a third of them of passing cases; the table below has all."""
MOST_OPEN_FINDINGS = 12
"""Most findings shown unfolded, the first of every cause; the others start folded."""


def render(run: Run) -> str:
    """Return the page as text: one HTML document that needs no other file and no script."""
    # Matplotlib takes half a second to import; the command line imports this module for less.
    from harness.report import figures

    found = tables.cases(run)
    new = tables.new_findings(found)
    claims = summary.claim_rows(run)
    curves = tables.curves(found)
    bad = [curve for curve in curves if curve.case.is_finding]
    good = [curve for curve in curves if not curve.case.is_finding][:MOST_DRAWN_CURVES]
    bad = bad[: MOST_DRAWN_CURVES - min(len(good), MOST_DRAWN_CURVES // 3)]
    drawn = [*bad, *good[: MOST_DRAWN_CURVES - len(bad)]]
    return page(
        "report",
        "records.jsonl",
        run=run,
        version=run.header.harness.get("version", ""),
        header=run.header,
        footer=run.footer,
        verdict=summary.verdict(run),
        counts=summary.outcome_counts(run),
        standings=summary.standing_counts(run),
        claims=claims,
        claim_counts=summary.claim_counts(claims),
        grid=summary.grid(run),
        gaps=tables.gaps(found, run.areas),
        cases=found,
        new_findings=new,
        known_findings=tables.known_findings(found),
        not_run=tables.not_run(found),
        areas=tables.areas(found, run.areas),
        nearest=tables.nearest(found),
        damages=tables.damages(found),
        curves=curves,
        drawn_curves=drawn,
        latencies=tables.latencies(found),
        draw=figures,
        beside=yardstick.table(found),
        techniques=compression_views.techniques(compression.rows(run, found)),
        release=compression_views.release(run.header),
        method_look=compression_views.LOOK,
        method_counts=compression_views.verdict_counts,
        most_methods=compression_views.MOST_OPEN_METHODS,
        environment=environment.facts(run),
        most_unfolded=MOST_OPEN_FINDINGS,
        unfolded=tables.unfolded(new, MOST_OPEN_FINDINGS),
        rerun=lambda case: tables.rerun(run, case),
    )


def write_report(run: Run, path: Path) -> Path:
    """Write the page to ``path`` in one step; return ``path``.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full.
    """
    return write_page(render(run), path)
