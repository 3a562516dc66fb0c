"""DuckDB's SQL that reads runs into tables: their lines, the runs, the cases.

``_lines`` is every line of every file, with only the fields that a table needs. Other fields, which a newer
or older harness wrote, are ignored; a field of another type is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.types import SCHEMA_VERSION
from harness.records import former

TEXT = "VARCHAR"
LINE: Mapping[str, Any] = {
    **dict.fromkeys(("kind", "run", "started", "finished", "tier", "command"), TEXT),
    **dict.fromkeys(("case", "nodeid", "area", "model", "target", "producer", "method", "machine"), TEXT),
    **dict.fromkeys(("outcome", "reason", "expected_failure", "unexpected", "digest"), TEXT),
    "schema": "INTEGER",
    "claims": "JSON",  # a run's header has a mapping, a case a list
    "out_of_scope": "BOOLEAN",
    **dict.fromkeys(("comparisons", "elements", "selected", "collected"), "BIGINT"),
    **dict.fromkeys(("budget_used", "numeric_budget_used", "duration_s"), "DOUBLE"),
    "exit_status": "INTEGER",
    "problems": [TEXT],
    "options": {
        **dict.fromkeys(("paddle_profile", "profile"), TEXT),
        **dict.fromkeys(("targets_file", "producers", "accuracy_bound", "latency_budget"), "JSON"),
        **dict.fromkeys(("add_model", "call_timeout", "accuracy_samples"), "JSON"),
        **dict.fromkeys(("model", "deadline", "images", "brief"), "JSON"),  # as earlier runs have them
    },
    "environment": {
        "paddle": {**dict.fromkeys(("version", "commit", "pir", "cuda"), TEXT)},
        **dict.fromkeys(("host", "python", "threads"), TEXT),
        "cpu": {"model": TEXT, "flags": "JSON"},
        **dict.fromkeys(("installed", "packages", "dataset", "machines", "places"), "JSON"),
    },
    "harness": {"version": TEXT, "source": TEXT},
    "measures": {
        "latency": {
            **dict.fromkeys(("batch", "threads", "samples"), "BIGINT"),
            **dict.fromkeys(("median_us", "median_low_us", "median_high_us"), "DOUBLE"),
            **dict.fromkeys(("load_ms", "session_memory_mib"), "DOUBLE"),
        },
        "where": {"host": TEXT, "cpu": "JSON", "paddle": {"version": TEXT}},
    },
}


def lines(files: Sequence[Path]) -> tuple[str, ...]:
    """Return statements that make ``_lines`` from these files; ``rowid`` keeps the order of lines.

    ``kind`` is null where a line is not a record, and ``newer`` where only a newer harness can read it.
    """
    # Read whole objects first: DuckDB is slow where it reads many columns from many files.
    names = ", ".join(map(_path, files))
    before = {old: new for old, new in former.RECORD.items() if new in LINE}
    line = {**LINE, **{old: LINE[new] for old, new in before.items()}}
    return (
        f"""
CREATE TEMP TABLE _objects AS
SELECT filename, CASE WHEN json_valid(json) THEN json END AS object
FROM read_ndjson_objects([{names}], filename = true, ignore_errors = true)
""",
        f"""
CREATE TEMP TABLE _lines AS
WITH typed AS (SELECT filename, unnest(from_json(object, '{json.dumps(line)}')) FROM _objects)
SELECT * EXCLUDE ({", ".join(before)}) REPLACE (
  {renewed(before)},
  CASE WHEN schema > {SCHEMA_VERSION} THEN 'newer'
    WHEN kind = 'case' AND ("case" IS NULL OR outcome IS NULL) THEN NULL ELSE kind END AS kind)
FROM typed
""",
        "DROP TABLE _objects",
    )


RUNS = """
CREATE TEMP TABLE _runs AS
WITH headers AS (
  SELECT filename AS file, max(rowid) FILTER (kind = 'run') AS header,
    max(rowid) FILTER (kind = 'end') AS footer, count(*) FILTER (kind = 'case') AS cases
  FROM _lines WHERE kind IS NOT NULL GROUP BY ALL HAVING header IS NOT NULL
), whole AS (
  SELECT f.run, f.folder, x.file, x.cases, h.command, h.selected, h.claims,
    if(h.tier = 'quick' AND h.options.brief = 'true', 'gate', h.tier) AS tier,
    try_cast(h.started AS TIMESTAMP) AS started, try_cast(e.finished AS TIMESTAMP) AS finished,
    e.rowid IS NOT NULL AS complete, e.duration_s, e.exit_status, coalesce(e.problems, []) AS problems,
    h.environment.paddle."version" AS release, h.environment.paddle.commit AS commit,
    coalesce(h.options.paddle_profile, h.options.profile, 'default') AS profile, h.environment.host AS host,
    h.environment.cpu.model AS cpu, h.environment.python AS python,
    h.harness."version" AS harness, h.harness.source AS source,
    md5(concat_ws('|', h.environment.installed, h.environment.packages)) AS packages,
    -- What decides an outcome. Files of the user's own may change in place: then it cannot be known.
    CASE WHEN source IS NOT NULL AND coalesce(h.options.add_model, h.options.model, '[]') = '[]'
        AND coalesce(h.options.targets_file, '[]') = '[]'
      THEN md5(concat_ws('|', h.environment.paddle::VARCHAR, profile, python, packages, source, host, cpu,
        h.environment.cpu.flags, h.environment.threads, h.environment.dataset, h.options.producers,
        coalesce(h.options.call_timeout, h.options.deadline), h.options.accuracy_bound,
        coalesce(h.options.accuracy_samples, h.options.images),
        coalesce(h.options.brief::VARCHAR, (h.tier = 'gate')::VARCHAR), h.options.latency_budget))
    END AS setting,
    coalesce(h.environment.machines, h.environment.places) AS machines, machines IS NOT NULL AS merged,
    concat_ws('|', h.run, h.started, h.command, host) AS same
  FROM headers x JOIN _lines h ON h.rowid = x.header LEFT JOIN _lines e ON e.rowid = x.footer
    JOIN _files f ON f.file = x.file
)
SELECT * EXCLUDE (same) FROM whole
QUALIFY row_number() OVER (PARTITION BY same ORDER BY complete DESC, cases DESC, folder) = 1
"""

CASES = """
CREATE TEMP {form} _cases AS
SELECT r.run, r.started,
  row_number() OVER (PARTITION BY r.file ORDER BY l.rowid) - 1 AS number,
  CASE WHEN l.machine <> '' THEN regexp_replace(l."case", ' @ [^@]*$', '') ELSE l."case" END AS case_id,
  l.area, coalesce(l.model, '') AS model, coalesce(l.target, '') AS target,
  coalesce(l.producer, '') AS producer, coalesce(l.method, '') AS method,
  coalesce(l.measures."where".paddle."version", r.release) AS release, r.commit, r.profile,
  coalesce(l.measures."where".host, r.machines->l.machine->>'$.host', r.host, '') AS host,
  coalesce(l.measures."where".cpu->>'$.model', l.measures."where".cpu->>'$',
    r.machines->l.machine->>'$.cpu.model', r.cpu, '') AS cpu,
  r.python, r.source, r.packages, r.setting,
  list_distinct(coalesce(try_cast(l.claims AS VARCHAR[]), [])) AS claims,
  coalesce(l.out_of_scope, false) AS out_of_scope,
  l.outcome, coalesce(l.reason, '') AS cause, coalesce(l.expected_failure, '') AS expected_failure,
  CASE WHEN l.unexpected <> '' THEN 'departed'
    WHEN l.outcome = 'not-run' THEN 'not-run'
    WHEN l.outcome <> 'pass' THEN if(l.expected_failure <> '', 'known', 'unexpected')
    WHEN l.comparisons > 0 AND l.elements > 0 THEN 'pass' ELSE 'empty' END AS standing,
  coalesce(l.comparisons, 0) AS comparisons, coalesce(l.elements, 0) AS elements,
  l.budget_used, l.numeric_budget_used, l.digest, coalesce(l.duration_s, 0) AS duration_s,
  l.measures.latency AS latency
FROM _lines l JOIN _runs r ON r.file = l.filename
WHERE l.kind IN ('case', 'copy')
QUALIFY l.kind = 'case' AND {where}
"""

MERGED = """
UPDATE _lines AS copy SET kind = 'copy' WHERE kind = 'case' AND machine <> '' AND EXISTS (
  SELECT 1 FROM _lines AS own WHERE own.kind = 'case' AND own.machine IS NULL
    AND own."case" = regexp_replace(copy."case", ' @ [^@]*$', '') AND own.started = copy.started
    AND own.duration_s = copy.duration_s AND own.nodeid = copy.nodeid)
"""
"""Marks the cases of merged runs whose original runs are also there."""

DAMAGED = """
SELECT count(*) FILTER (kind IS NULL), count(*) FILTER (kind = 'newer') FROM _lines
"""

HEADLESS = """
SELECT run FROM _files ANTI JOIN (SELECT filename AS file FROM _lines WHERE kind = 'run') USING (file)
ORDER BY run
"""


def read(
    files: Sequence[Path],
    columns: Mapping[str, str],
    form: str = "format = 'newline_delimited', ignore_errors = true",
) -> str:
    names = ", ".join(map(_path, files))
    typed = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
    return f"read_json([{names}], columns = {{{typed}}}, filename = true, {form})"


def renewed(names: Mapping[str, str]) -> str:
    """Return a ``REPLACE`` list that reads fields under their present or former names."""
    return ", ".join(f"coalesce({new}, {old}) AS {new}" for old, new in names.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _path(path: Path) -> str:
    """Quote a file's name for SQL, so that nothing in it is a pattern."""
    return _quoted("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)))
