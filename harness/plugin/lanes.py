"""One run in several pytest processes, its lanes: cases side by side, then those that measure time, alone.

pytest-xdist starts the processes, gives them cases and brings their reports back. The controller collects as
well: it writes the records, and runs what measures time when the lanes have ended.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

from harness.plugin import user_models
from harness.plugin.outcomes import area_of

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

    from harness.plugin.session import RunSession

LANE = "paddle_conformance"
"""Key of what a lane is given, and of what it gives back, in xdist's messages."""
TIMING = "timing"
"""Mark of a check that measures time or memory."""
GIVEN = pytest.StashKey[int | None]()
MEMORY_GIB = 2.5
"""Memory that a lane and its workers take at most, without networks of the full tier's size."""
CASES = 50
"""Cases that are worth the four seconds in which a lane starts."""


def lane_of(config: pytest.Config) -> dict[str, str] | None:
    """What the controller gave this process, if it is a lane."""
    found: dict[str, str] | None = getattr(config, "workerinput", {}).get(LANE)
    return found


def take_over(config: pytest.Config) -> None:
    """Take the number of lanes from xdist's options, and have it start none by itself.

    Raises:
        pytest.UsageError: they ask for processes of another kind.
    """
    option = config.option
    given = getattr(option, "numprocesses", None)
    if getattr(option, "tx", None) and not given:
        raise pytest.UsageError("the suites run in processes of this machine: give -n N in place of --tx")
    if getattr(option, "dist", "no") == "each":
        raise pytest.UsageError("each case runs once: leave out --dist=each")
    config.stash[GIVEN] = given
    if config.pluginmanager.hasplugin("xdist"):
        option.dist, option.tx = "no", []


def measures_time(item: Any) -> bool:
    """Whether a case has to run alone."""
    return item.get_closest_marker(TIMING) is not None or "benchmark" in getattr(item, "fixturenames", ())


def number(config: pytest.Config, cases: int) -> int:
    """How many lanes to run so many cases in; 1: this process, and no other."""
    option = config.option
    if not config.pluginmanager.hasplugin("xdist") or option.usepdb or option.benchmark_only:
        return 1
    given = config.stash[GIVEN]
    if given is not None:
        return max(1, given)
    cores = len(os.sched_getaffinity(0))
    memory = int(psutil.virtual_memory().available / 2**30 / MEMORY_GIB)
    return max(1, min(cores, memory, cases // CASES))


def group_of(item: Any) -> str:
    """The cases that one lane runs in turn: they need the same artifacts and references."""
    values = user_models.parameters(item)
    method = getattr(values.get("method"), "id", "")
    return f"{area_of(item)}/{values.get('model', item.name.partition('[')[0])}/{method}"


def loop(session: pytest.Session, run: RunSession, cases: list[pytest.Item]) -> None:
    """Run cases side by side in lanes where that is worth it, and all other tests here afterwards.

    Raises:
        pytest.Session.Failed: ``--maxfail`` is reached.
        pytest.Session.Interrupted: the harness cannot go on.
    """
    beside = [item for item in cases if not measures_time(item)]
    count = number(session.config, len(beside))
    if count > 1:
        Lanes(session, run, beside).execute(count)
    done = set(beside) if count > 1 else set()
    left = [item for item in session.items if item not in done]
    left.sort(key=measures_time)
    for item, following in itertools.zip_longest(left, left[1:]):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


class Lanes:
    """A plugin of the controller, while its lanes run.

    Args:
        session: pytest's.
        run: this run.
        items: the cases to run in lanes.
    """

    def __init__(self, session: pytest.Session, run: RunSession, items: list[pytest.Item]) -> None:
        self.session = session
        self.run = run
        self.groups = {item.nodeid: group_of(item) for item in items}

    def execute(self, count: int) -> None:
        """Run the cases in ``count`` processes.

        Raises:
            pytest.Session.Failed: ``--maxfail`` is reached.
            pytest.Session.Interrupted: the harness cannot go on.
        """
        from xdist import dsession

        config, session = self.session.config, self.session
        config.option.dist, config.option.tx = "load", ["popen"] * count
        config.option.loadscopereorder = False
        lanes = dsession.DSession(config)
        plugins = [self, lanes]
        terminal = config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal.showfspath = False  # files alternate
        for plugin in plugins:
            config.pluginmanager.register(plugin)
        collected = session.testscollected
        try:
            with self.run.templates.shared():
                lanes.pytest_sessionstart(session)
                lanes.pytest_runtestloop()
        except dsession.Interrupted as stop:
            if session.shouldfail:
                raise session.Failed(session.shouldfail) from None
            raise session.Interrupted(str(stop)) from None
        finally:
            lanes.pytest_sessionfinish()
            for plugin in [*plugins, getattr(lanes, "trdist", None)]:
                if plugin is not None:
                    config.pluginmanager.unregister(plugin)
            if terminal is not None:
                terminal.showfspath = None  # as at the start
            config.option.dist, config.option.tx = "no", []
            session.testscollected = collected

    # xdist's hooks

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a lane whose it is."""
        workerinput: dict[str, Any] = node.workerinput
        workerinput[LANE] = {
            "folder": str(self.run.folder),
            "name": str(node.gateway.id),
        }

    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        """Take over what a lane counted. One that crashed gave nothing back."""
        found = getattr(node, "workeroutput", {}).get(LANE)
        if found:
            self.run.add_lane(found)

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Scheduling:
        """Give a lane one group of cases after the other, in their order."""
        return Scheduling(config, log, self.groups)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """xdist's, by the groups of cases, and with an end where a process dies.

    xdist 3.8 gives the case in which a process died to the next process as well, and a process that took
    the place of another waits for a second case before it runs its last.
    """

    def __init__(self, config: pytest.Config, log: Any, groups: Mapping[str, str]) -> None:
        super().__init__(config, log)
        self._groups = groups

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Give what a process has not run to others, without the case in which it died; return that case."""
        groups = self.assigned_work.pop(node)
        left = [(group, case) for group, cases in groups.items() for case, done in cases.items() if not done]
        if not left:
            return None
        group, died = left[0]
        groups[group][died] = True
        self.workqueue.update({group: cases for group, cases in groups.items() if not all(cases.values())})
        for other in self.nodes:
            if other in self.registered_collections:  # one that still collects is given them then
                self._reschedule(other)
        return str(died)

    def schedule(self) -> None:
        """Give out cases; after the first time, to a process that took the place of another."""
        first = self.collection is None
        super().schedule()
        if not first:
            for node in self.nodes:
                self._reschedule(node)
