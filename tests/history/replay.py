"""Histories out of a run that really was: its records again and again, at other times and places."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from harness.core.types import Record, RunFooter
from harness.records.files import Run, encode, read_run

REAL = Path(__file__).with_name("real")
"""What `harness run` left of a few checks on LeNet, Paddle 3.3.1."""
START = datetime(2026, 3, 1, tzinfo=UTC)
Edit = Callable[[Record], Record]


def real() -> Run:
    return read_run(REAL)


def replay(folder: Path, day: float = 0.0, edit: Edit = lambda record: record, **environment: Any) -> Run:
    """The real run as if it had begun so many days after :data:`START`, its records edited.

    ``source`` stands for the harness's sources, every other name for a fact of the environment.
    """
    run, moment = real(), START + timedelta(days=day)
    source = environment.pop("source", run.header.harness["source"])
    header = msgspec.structs.replace(
        run.header,
        run=folder.name,
        started=iso(moment),
        environment={**run.header.environment, **environment},
        harness={**run.header.harness, "source": source},
    )
    assert isinstance(run.footer, RunFooter)
    records = [
        edit(msgspec.structs.replace(record, started=iso(moment + timedelta(seconds=place))))
        for place, record in enumerate(run.records)
    ]
    footer = msgspec.structs.replace(
        run.footer, finished=iso(moment + timedelta(minutes=5)), collected=len(records)
    )
    folder.mkdir(parents=True)
    (folder / "records.jsonl").write_bytes(
        b"".join(encode(line) + b"\n" for line in [header, *records, footer])
    )
    return read_run(folder)


def iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def slower(record: Record, factor: float) -> Record:
    """Its latency times ``factor``."""
    figures = record.measures.get("latency")
    if not figures:
        return record
    times = {name: factor * value for name, value in figures.items() if name.startswith("median")}
    return msgspec.structs.replace(record, measures={**record.measures, "latency": {**figures, **times}})


def failing(
    record: Record, reason: str = "output 0 is 2.1 times further from the oracle than allowed"
) -> Record:
    return msgspec.structs.replace(record, outcome="fail", reason=reason)
