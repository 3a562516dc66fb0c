"""Write a record when a case's report arrives, from this process or a lane, and say how far the run is."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from harness.core.errors import HarnessError
from harness.core.types import Record
from harness.plugin.outcomes import record_of
from harness.plugin.session import RunSession

RECORD = "paddle_conformance_record"
"""Attribute of a report with the case's record, in JSON: a report from a lane is text."""
RUNNING = " left; running "
"""What stands before the names of the cases that run, in a line that says how far the run is."""
EVERY_S = 10.0
"""Seconds between two lines that say how far the run is."""


class Recording:
    """A plugin of the process that writes the records.

    Args:
        session: pytest's, after collection.
        run: this run.
        cases: the collected cases of the suites.
    """

    def __init__(self, session: pytest.Session, run: RunSession, cases: list[pytest.Item]) -> None:
        self.session = session
        self.run = run
        self.cases = {item.nodeid: item for item in cases}
        self.running: dict[str, None] = {}
        self.said = time.monotonic()
        self.terminal: Any = session.config.pluginmanager.getplugin("terminalreporter")
        self._failed_first: dict[str, Record] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the record that a report brings.

        Where a plugin runs a failed case again, the record is that of the first failure: what fails
        now and then is not what the documents promise.
        """
        text = getattr(report, RECORD, None)
        if text is not None:
            record = msgspec.json.decode(text, type=Record)
        elif str(report.when) == "???" and report.nodeid in self.cases:  # xdist's: the lane is gone
            found = record_of(self.cases[report.nodeid], report, None, "error", None, ())
            record = msgspec.structs.replace(found, reason=f"the harness's process ended: {report.longrepr}")
        else:
            return
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]  # pytest-rerunfailures
            self._failed_first.setdefault(record.case, record)
            return
        if record.case in self._failed_first:
            note = f"when it was run again: {record.outcome}"
            first = self._failed_first.pop(record.case)
            record = msgspec.structs.replace(first, notes=(*first.notes, note))
        try:
            self.run.record(record)
        except HarnessError as full:
            self.session.shouldstop = str(full)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if nodeid in self.cases:
            self.running[nodeid] = None

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.running.pop(nodeid, None)
        now = time.monotonic()
        if self.terminal is None or now - self.said < EVERY_S or self.terminal.verbosity < -1:
            return
        self.said = now
        done, left = len(self.run.recorded), self.run.selected - len(self.run.recorded)
        named = ", ".join(name.rpartition("/")[2].replace(".py::test_", "/") for name in self.running)
        running = f"{RUNNING}{named}" if named else " left"
        self.terminal.write_line(f"{done:,} of {self.run.selected:,} cases done, {left:,}{running}")
