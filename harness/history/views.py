"""Common queries over runs, as named views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.history.schema import TEXT, read, renewed
from harness.records.former import COMPARISON


class View(msgspec.Struct, frozen=True):
    """A named query; ``meaning`` says what a row of its result is."""

    name: str
    meaning: str
    sql: str


CHANGES = View(
    "changes",
    "change points of latency by case, host and profile, in order of time",
    """
CREATE TEMP TABLE changes (case_id VARCHAR, model VARCHAR, target VARCHAR, batch BIGINT, profile VARCHAR,
  host VARCHAR, run VARCHAR, started TIMESTAMP, release VARCHAR, change DOUBLE, before_us DOUBLE,
  after_us DOUBLE, runs_before BIGINT, runs_after BIGINT, differs VARCHAR)
""",
)
"""A table that :mod:`harness.history.changes` fills only when a query names it."""

SAME = "case_id, release, profile, host"
"""Columns in which two records must agree to be of the same case at different times."""


def _judged(source: str, by: str, columns: str, before: str = "", more: str = "") -> str:
    """Return SQL for verdicts on claims, with the rules of :func:`harness.report.summary.claim_rows`.

    Args:
        source: the view of the cases.
        by: columns that a verdict is about.
        columns: columns before the verdict.
        before, more: columns after the verdict, and after the counts.
    """
    return f"""
WITH named AS (SELECT *, unnest(claims) AS claim FROM {source}),
judged AS (
  SELECT *, NOT out_of_scope OR NOT bool_or(NOT out_of_scope) OVER (PARTITION BY {by}) AS deciding FROM named
)
SELECT {columns},
  CASE WHEN bool_or(deciding AND outcome NOT IN ('pass', 'not-run')) THEN 'broken'
    WHEN bool_or(deciding AND outcome = 'pass' AND comparisons > 0 AND elements > 0) THEN 'holds'
    ELSE 'not run' END AS verdict,{before}
  count(*) AS cases, count(*) FILTER (outcome = 'pass') AS passed,
  count(*) FILTER (standing IN ('unexpected', 'departed', 'empty')) AS unexpected{more}
FROM judged GROUP BY ALL
"""


def _state(by: str) -> str:
    """Return SQL for the present verdicts on claims, and those before the newest record of each case."""
    before = """
  CASE WHEN count(before) = 0 THEN NULL
    WHEN bool_or(deciding AND coalesce(before, outcome) NOT IN ('pass', 'not-run')) THEN 'broken'
    WHEN bool_or(deciding AND coalesce(before, outcome) = 'pass') THEN 'holds'
    ELSE 'not run' END AS before,"""
    more = """,
  count(*) FILTER (outcome = 'pass' AND before NOT IN ('pass', 'not-run')) AS mended,
  count(*) FILTER (outcome NOT IN ('pass', 'not-run') AND before = 'pass') AS broke,
  count(DISTINCT host) AS hosts, max(started) AS started"""
    return f"{_judged('latest', by, by, before, more)} ORDER BY ALL"


_VIEWS = (
    View(
        "runs",
        "one row per run: where, what, when, how it ended",
        """
SELECT r.run, r.started, r.release, r.profile,
  coalesce(any_value(r.host), string_agg(DISTINCT c.host, ', ' ORDER BY c.host)) AS host,
  r.cpu, r.tier, r.complete, r.exit_status, r.duration_s,
  count(c.run) AS cases, count(*) FILTER (c.outcome = 'pass') AS passed,
  count(*) FILTER (c.standing IN ('unexpected', 'departed', 'empty')) AS unexpected,
  count(*) FILTER (c.standing = 'known') AS known, count(*) FILTER (c.standing = 'not-run') AS not_run,
  len(r.problems) AS faults, r.merged, r.commit, r.python, r.harness, r.source, r.setting, r.command, r.folder
FROM _runs r LEFT JOIN _cases c USING (run) GROUP BY ALL
""",
    ),
    View(
        "cases",
        "one row per case of a run; standing: pass, known, unexpected, departed, empty, not-run",
        "SELECT * EXCLUDE (latency) FROM _cases",
    ),
    View(
        "latest",
        "the newest record of every case on every release and host, and its outcome in the run before",
        f"""
SELECT * EXCLUDE (latency),
  lag(outcome) OVER earlier AS before, lag(run) OVER earlier AS run_before
FROM _cases
WINDOW earlier AS (PARTITION BY {SAME} ORDER BY started, run)
QUALIFY row_number() OVER (PARTITION BY {SAME} ORDER BY started DESC, run DESC) = 1
""",
    ),
    View(
        "first_failures",
        "first run in which a case failed on a release and host, its last pass before that, its outcome now",
        f"""
WITH bad AS (
  SELECT {SAME}, min(started) AS first_started, arg_min(run, started) AS first_run,
    arg_min(cause, started) AS cause, arg_min(standing, started) AS standing,
    arg_min(expected_failure, started) AS expected_failure, count(*) AS failed
  FROM _cases WHERE outcome NOT IN ('pass', 'not-run') GROUP BY ALL
)
SELECT c.case_id, c.model, c.target, b.release, b.profile, b.host, b.first_started, b.first_run,
  arg_max(c.run, c.started) FILTER (c.outcome = 'pass' AND c.started < b.first_started) AS passed_before,
  b.failed, count(*) AS runs, arg_max(c.outcome, c.started) AS now, b.standing, b.cause, b.expected_failure
FROM bad b JOIN _cases c USING ({SAME}) GROUP BY ALL ORDER BY first_started DESC, c.case_id
""",
    ),
    View(
        "flaky",
        "cases whose outcome changed while Paddle, harness, packages, machine and options stayed the same",
        """
WITH ran AS (
  SELECT *, outcome <> lag(outcome) OVER (PARTITION BY case_id, setting, host ORDER BY started, run) AS flip
  FROM _cases WHERE setting IS NOT NULL AND outcome <> 'not-run'
)
SELECT case_id, model, target, any_value(release) AS release, any_value(profile) AS profile, host,
  count(*) FILTER (flip) AS flips, count(*) FILTER (outcome <> 'pass') AS failed, count(*) AS runs,
  string_agg(DISTINCT outcome, ', ' ORDER BY outcome) AS outcomes,
  min(started) AS since, max(started) AS until,
  arg_max(run, started) FILTER (outcome <> 'pass') AS failed_run,
  arg_max(cause, started) FILTER (outcome <> 'pass') AS cause
FROM ran GROUP BY case_id, model, target, setting, host HAVING flips > 0 ORDER BY flips DESC, case_id
""",
    ),
    View(
        "claims",
        "one row per claim of a run: holds, broken or not run, as on the run's page",
        _judged("_cases", "run, claim", "claim, run, started, release, profile, host")
        + "ORDER BY claim, started",
    ),
    View(
        "claim_state",
        "claim x release by the newest record of each case, and by the one before",
        _state("claim, release, profile"),
    ),
    View(
        "claim_targets",
        "the same by target: claim x release x target",
        _state("claim, release, profile, target"),
    ),
    View(
        "latencies",
        "one row per latency with right outputs: median in microseconds with its 99 % interval",
        """
SELECT case_id, model, target, latency.batch AS batch, latency.threads AS threads, release, profile, host,
  cpu, run, started, latency.median_us AS median_us, latency.median_low_us AS low_us,
  latency.median_high_us AS high_us, latency.load_ms AS load_ms,
  latency.session_memory_mib AS memory_mib, commit, python, source, packages, number
FROM _cases WHERE outcome = 'pass' AND latency.median_us > 0
ORDER BY case_id, host, profile, started, run
""",
    ),
    View(
        "slowest",
        "how long the check of a case takes on a release and host, in seconds",
        """
SELECT case_id, model, target, release, profile, host, count(*) AS runs, median(duration_s) AS median_s,
  max(duration_s) AS longest_s, arg_max(run, duration_s) AS longest_run
FROM _cases WHERE outcome <> 'not-run' GROUP BY ALL ORDER BY median_s DESC, case_id
""",
    ),
)

_DETAIL = {
    "kind": TEXT,
    "case": TEXT,
    "details": (
        "STRUCT(what VARCHAR, rule VARCHAR, ok BOOLEAN, elements BIGINT, got VARCHAR, expected VARCHAR,"
        " budget_used DOUBLE, error DOUBLE, headroom DOUBLE, needed DOUBLE,"
        " allowed DOUBLE, worst VARCHAR, message VARCHAR)[]"
    ),
}
_GATE = {
    **dict.fromkeys(("kind", "status", "sentence", "started", "command"), TEXT),
    "exit_status": "INTEGER",
    "baseline": "STRUCT(name VARCHAR, paddle VARCHAR)",
    "candidate": "STRUCT(name VARCHAR, paddle VARCHAR)",
    "counts": "MAP(VARCHAR, BIGINT)",
    "comparable": "BIGINT",
    "duration_s": "DOUBLE",
    "paired": "JSON",
}


def views(files: Sequence[Path]) -> Iterator[View]:
    """Yield every view; the last ones read the files again, each only when it is queried."""
    yield from _VIEWS
    yield View(
        "details",
        "one row per comparison that a record keeps: failed ones and those nearest to their allowed error",
        f"""
SELECT * EXCLUDE ({", ".join(COMPARISON)}) REPLACE ({renewed(COMPARISON)}) FROM (
  SELECT run, "case" AS case_id, unnest(details, recursive := true)
  FROM {read(files, _DETAIL)} l JOIN _runs r ON r.file = l.filename WHERE kind = 'case'
)
""",
    )
    yield View(
        "measures",
        "everything that a case measured, as JSON",
        f"""
SELECT run, "case" AS case_id, measures
FROM {read(files, {"kind": TEXT, "case": TEXT, "measures": "JSON"})} l
  JOIN _runs r ON r.file = l.filename WHERE kind = 'case' AND measures IS NOT NULL
""",
    )
    gates = sorted({path for file in files if (path := file.parent.parent / "gate.json").is_file()})
    typed = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in _GATE.items())
    none = f"(SELECT '' AS filename, {typed} WHERE false)"
    yield View(
        "gates",
        "one row per gate: both releases, its verdict, and what it timed in pairs",
        f"""
SELECT parse_dirpath(filename) AS folder, try_cast(started AS TIMESTAMP) AS started,
  baseline.name AS baseline, candidate.name AS candidate, status, exit_status, sentence,
  comparable, counts, paired, duration_s, command
FROM {read(gates, _GATE, "format = 'unstructured'") if gates else none} WHERE kind = 'gate'
""",
    )
