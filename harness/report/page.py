"""The page: view data into the template, the text into a file."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import HarnessError
from harness.records import Run
from harness.report import environment, summary, tables, wording

MOST_DRAWN_CURVES = 9
"""Loss curves drawn, a third of them passes; the table below them has all."""
MOST_OPEN_FINDINGS = 12
"""Findings shown unfolded, the first of every cause; the others start folded."""

OUTCOME_MARKS = {
    "pass": "✓",
    "fail": "✕",
    "error": "▲",
    "crash": "■",
    "timeout": "◆",
    "not-run": "○",
}


def render(run: Run) -> str:
    """The whole page as text: one HTML document that needs no other file, and no script."""
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
    latencies = tables.latencies(found)
    groups: dict[str, list[tables.Latency]] = {}
    for row in latencies:
        groups.setdefault(row.group, []).append(row)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            header=run.header,
            footer=run.footer,
            verdict=summary.verdict(run),
            counts=summary.outcome_counts(run),
            standings=summary.standing_counts(run),
            claims=claims,
            claim_counts=summary.claim_counts(claims),
            grid=summary.grid(run),
            cases=found,
            new_findings=new,
            known_findings=tables.known_findings(found),
            not_run=tables.not_run(found),
            areas=tables.areas(found),
            nearest=tables.nearest(found),
            damages=tables.damages(found),
            curves=curves,
            curve_figures=[(c, figures.loss_curve(c, f"loss{i}")) for i, c in enumerate(drawn)],
            latencies=latencies,
            latency_figures=[
                (group, figures.latency(group, rows, f"lat{i}"))
                for i, (group, rows) in enumerate(groups.items())
            ],
            environment=environment.facts(run),
            most_unfolded=MOST_OPEN_FINDINGS,
            unfolded=tables.unfolded(new, MOST_OPEN_FINDINGS),
            rerun=lambda case: tables.rerun(run, case),
        )
    )


def write_report(run: Run, path: Path) -> Path:
    """Write the page to ``path`` in one step, so that a reader never sees half of it.

    Returns:
        ``path``.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full.
    """
    # A lone surrogate, should one get this far, must not cost the whole page.
    data = render(run).encode("utf-8", errors="replace")
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes private files; a report is for everyone the folder is for.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise HarnessError(
            f"cannot write the report {path}: {error.strerror}; free some space or name another file"
        ) from error
    return path


@cache
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_tame,
    )
    env.filters.update(
        number=wording.number,
        ratio=wording.ratio,
        seconds=wording.seconds,
        clip=wording.clip,
        moment=wording.moment,
        prose=wording.prose,
        mark=lambda outcome: OUTCOME_MARKS.get(outcome, "·"),
        measures=tables.measures,
        slug=lambda text: "".join(c if c.isalnum() else "-" for c in text.lower()),
        link=lambda text: text if text.startswith(("https://", "http://")) else "",
    )
    return env


def _tame(value: Any) -> Any:
    """Applied to every value the template prints, before it is escaped."""
    return wording.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
