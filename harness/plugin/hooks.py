"""The pytest plugin: options, fixtures, and the hooks that turn tests into records.

It acts on tests below ``suites/`` only; everything else in the same pytest run is left alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.checks.case import Case, CheckFailed
from harness.checks.claims import claims as all_claims
from harness.core.errors import HarnessError, NotApplicable
from harness.core.extensions import added
from harness.execution.executor import Executor
from harness.models.first_run import total
from harness.plugin import lanes, selection, user_models
from harness.plugin import options as harness_options
from harness.plugin.outcomes import classify, message_of, record_of, with_known, worker_text
from harness.plugin.recording import RECORD, Recording
from harness.plugin.session import RunSession
from harness.pool.workers import WorkerFailure
from harness.records.files import read_run
from harness.report import summary, write_report

CASE = pytest.StashKey[Case]()
SESSION = pytest.StashKey[RunSession]()
PAGE = pytest.StashKey[Path]()

NONE_CHOSEN = "none chosen"
"""Parameter of a check whose models or targets the options leave out; it is deselected."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    group = parser.getgroup("harness", harness_options.GROUP)
    harness_options.add_options(group.addoption)
    if not pluginmanager.hasplugin("harness.plugin"):  # a conftest.py's: all other plugins are there
        harness_options.add_former(group.addoption, harness_options.names_in(parser))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    for marker in selection.MARKERS:
        config.addinivalue_line("markers", marker)
    if not hasattr(config.option, "models"):
        # pytest had read its options before it found the conftest.py that loads this plugin.
        raise pytest.UsageError("the suites' options are not known yet: give `-p harness.plugin` as well")
    for line in getattr(config.option, harness_options.USED, ()):
        print(line, file=sys.stderr)
    root, suites = selection.project(config)
    try:
        homes = (suites, *added("suites"))
        asked = list(selection.paths(config))
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    named = any(home in (path, *path.parents) for path in asked for home in homes)
    if not named or config.getoption("help", False):
        return
    if suites in asked:  # all of them: those of extensions too
        config.args.extend(str(home) for home in homes if home not in asked)
    lane = lanes.lane_of(config)
    # What pyproject.toml says in a checkout: a collection in the middle of a run is part of its time.
    config.option.benchmark_disable_gc = True
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")
    try:
        session = RunSession(harness_options.from_config(config), root, suites, lane)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SESSION] = session
    if config.option.tbstyle == "auto":
        # Python's traceback: pytest's takes a tenth of a second each, and a record has the worker's.
        config.option.tbstyle = "native"
    if lane is not None:
        config.option.benchmark_json = None  # the controller writes it
        return
    lanes.take_over(config)
    if not config.option.xmlpath:
        config.option.xmlpath = str(session.folder / "junit.xml")


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(SESSION, None)
    if session is not None:
        session.close()
        if session.writer is None and not session.options.folder and session.lane is None:
            # Nothing ran (--collect-only, or a usage error): leave no empty run behind.
            shutil.rmtree(session.folder, ignore_errors=True)


def _of_suites(item: Any) -> RunSession | None:
    session: RunSession | None = item.config.stash.get(SESSION, None)
    if session is not None and not set(session.suites).isdisjoint(Path(item.path).parents):
        return session
    return None


# Collection


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Resolve everything that the options name before any file is collected.

    A failure here is one sentence; in pytest_generate_tests it would be an error of every file.
    """
    run = session.config.stash.get(SESSION, None)
    if run is None:
        return
    try:
        run.models()
        run.reach()
        run.known  # noqa: B018
        run.producers  # noqa: B018
        for model in ("", *(model.name for model in run.user_models)):
            run.uses(model)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    session = metafunc.config.stash.get(SESSION, None)
    if session is None or set(session.suites).isdisjoint(Path(metafunc.module.__file__ or "").parents):
        return
    try:
        given = {
            name.strip()
            for mark in metafunc.definition.iter_markers("parametrize")
            for name in (mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0])
        }
        if "method" in metafunc.fixturenames and "method" not in given:
            marker = metafunc.definition.get_closest_marker("methods")
            pairs = session.methods(**(marker.kwargs if marker else {}))
            ids = [f"{model}-{method.id}" for model, method in pairs]
            nothing = [(NONE_CHOSEN, NONE_CHOSEN)]
            metafunc.parametrize(("model", "method"), pairs or nothing, ids=ids or [NONE_CHOSEN])
        elif "model" in metafunc.fixturenames and "model" not in given:
            marker = metafunc.definition.get_closest_marker("models")
            models = session.models(**(marker.kwargs if marker else {}))
            metafunc.parametrize("model", models or [NONE_CHOSEN])
        if "target" in metafunc.fixturenames and "target" not in given:
            marker = metafunc.definition.get_closest_marker("targets")
            found = session.targets(**(marker.kwargs if marker else {}))
            ids = [target.name for target in found]
            metafunc.parametrize("target", found or [NONE_CHOSEN], ids=ids or [NONE_CHOSEN])
        if "producer" in metafunc.fixturenames and "producer" not in given:
            ids = [f"from-{producer.name}" for producer in session.producers]
            metafunc.parametrize("producer", session.producers or [NONE_CHOSEN], ids=ids or [NONE_CHOSEN])
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    session = config.stash.get(SESSION, None)
    if session is None:
        return
    wanted = set(session.options.claims)
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        known = selection.claims_of(item)
        unknown = [claim for claim in known if claim not in all_claims()]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid} names unknown claims {', '.join(unknown)}")
        full = item.get_closest_marker("full") is not None and session.options.tier != "full"
        full = full or selection.left_out(session, item) or selection.skipped_in_quick(session, item)
        unasked = bool(wanted) and not wanted & set(known)
        nothing = any(value is NONE_CHOSEN for value in user_models.parameters(item).values())
        another_share = selection.of_another_share(session.options, item)
        unused = user_models.senseless(session, item) or selection.unused(session, item)
        unfit = full or unasked or nothing or another_share or unused
        (dropped if unfit else kept).append(item)
    if session.lane is not None:
        kept = [item for item in kept if _of_suites(item) and not lanes.measures_time(item)]
    # First runs come first: models that cannot run here are then known before other tests need them.
    kept.sort(key=lambda item: not user_models.is_first_run(item))
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    run = session.config.stash.get(SESSION, None)
    if run is None or session.config.option.collectonly or run.lane is not None:
        return
    cases = [item for item in session.items if _of_suites(item)]
    run.selected = len(cases)
    if not run.selected:
        return
    session.config.pluginmanager.register(Recording(session, run, cases))
    try:
        run.areas = selection.areas_of(filter(_of_suites, session.items))
        run.begin(command=" ".join(["pytest", *session.config.invocation_params.args]))
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error


# Lanes


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run what can run side by side in lanes, and the rest here afterwards."""
    run = session.config.stash.get(SESSION, None)
    errors = session.testsfailed and not session.config.option.continue_on_collection_errors
    if run is None or run.writer is None or errors:
        return None  # pytest's loop; after errors in collection, it says so and runs nothing
    lanes.loop(session, run, [item for item in session.items if _of_suites(item)])
    return True


# Fixtures


@pytest.fixture(scope="session")
def executor(pytestconfig: pytest.Config) -> Executor:
    """Workers, store, models and targets of this run."""
    return pytestconfig.stash[SESSION].executor


@pytest.fixture(scope="session")
def run_session(pytestconfig: pytest.Config) -> RunSession:
    """Options and folder of this run."""
    return pytestconfig.stash[SESSION]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """Collects this check's comparisons; a check without any is an error."""
    case = Case()
    request.node.stash[CASE] = case
    return case


# Execution


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    try:
        user_models.must_be_usable(_of_suites(pyfuncitem), pyfuncitem)
        result = yield
    except NotApplicable as reason:
        raise pytest.skip.Exception(str(reason)) from reason
    except Exception as error:
        # An exception of the check after a failed comparison comes from the same fault:
        # that comparison is the verdict, and "fail" the outcome.
        failed = _of_suites(pyfuncitem) is not None and any(
            not comparison.ok for comparison in pyfuncitem.stash.get(CASE, Case()).comparisons
        )
        if failed and not isinstance(error, WorkerFailure | HarnessError | AssertionError):
            pyfuncitem.stash[CASE].conclude()
        raise
    if _of_suites(pyfuncitem) is not None:
        case = pyfuncitem.stash.get(CASE, None)
        if case is None:
            raise CheckFailed("the check uses no `case`, so it compared nothing")
        case.conclude()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    session = _of_suites(item)
    if session is None or (report.when == "setup" and report.passed):
        return report
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        return report
    if isinstance(error, HarnessError):
        # The harness itself cannot go on (full disk, say): say it once, not once per case.
        item.session.shouldstop = str(error)
        return report
    if report.when == "teardown":
        if report.failed:
            session.problems.append(f"{item.nodeid}: teardown failed: {error}")
        return report
    outcome = classify(error)
    claims = selection.claims_of(item)
    out_of_scope = selection.out_of_scope(session, item, claims)
    user_models.say_where(session, item, item.stash.get(CASE, None))
    warned = session.executor.pool.warned()
    record = record_of(item, report, error, outcome, item.stash.get(CASE, None), claims, out_of_scope, warned)
    known = session.known.find(record.case)
    if (
        known is not None
        and user_models.model_of(session, item)
        and known.departure(outcome, message_of(error))
    ):
        known = None  # an expected failure of reference models may hold for a user model, or not
    if known is not None and outcome != "not-run":
        departure = known.departure(outcome, message_of(error))
        record = with_known(record, known, departure)
        if departure:
            report.outcome = "failed"
            report.longrepr = f"known failure: {departure}\n{record.reason}"
        else:
            report.outcome = "skipped"
            report.wasxfail = known.reason
    elif isinstance(error, WorkerFailure):
        report.longrepr = worker_text(error)
    elif isinstance(error, CheckFailed):
        report.longrepr = str(error)
    setattr(report, RECORD, msgspec.json.encode(record).decode())
    return report


# The end


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
    run = session.config.stash.get(SESSION, None)
    if run is not None and run.lane is not None:
        session.config.workeroutput[lanes.LANE] = msgspec.to_builtins(run.counted())  # type: ignore[attr-defined]
    if run is not None and run.writer is not None:
        if len(run.recorded) >= run.selected:
            if selection.is_whole(session.config, run):
                for pattern in run.known.unmatched():
                    run.problems.append(
                        f"known failure {pattern!r} matches no case: remove it or mend its pattern"
                    )
        elif not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if (run.problems or run.counts.problems) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        try:
            run.finish(int(session.exitstatus))
            result = read_run(run.folder)
            session.config.stash[PAGE] = write_report(result, run.folder / "index.html")
            status = summary.verdict(result).status
            if status != "pass" and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        except HarnessError as error:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            sys.stderr.write(f"\n{error}\n")
    yield


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run = config.stash.get(SESSION, None)
    if run is None or run.writer is None:
        return
    given = getattr(config.option, "benchmark_json", None)
    if given is not None:
        # A path in pytest-benchmark 5.3, an open file before.
        path = Path(given if isinstance(given, str | os.PathLike) else given.name)
        if path.is_file():
            shutil.copy(path, run.folder / "benchmark.json")
    terminalreporter.section("Paddle conformance")
    if PAGE in config.stash:
        sentence = summary.verdict(read_run(run.folder)).sentence
        terminalreporter.write_line(sentence)
        terminalreporter.write_line(f"page: {config.stash[PAGE]}")
    counts = run.counts.plus(run.counted())
    if counts.models:
        terminalreporter.write_line(total(list(counts.models.values())))
    for problem in dict.fromkeys([*counts.problems, *counts.repairs]):
        terminalreporter.write_line(f"note: {problem}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    run = config.stash.get(SESSION, None)
    return [f"harness: tier {run.options.tier}, run folder {run.folder}"] if run is not None else []


# pytest-benchmark


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    run = config.stash.get(SESSION, None)
    if run is not None and run.writer is not None:
        machine_info["environment_under_test"] = run.executor.environment


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    run = config.stash.get(SESSION, None)
    if run is None or run.writer is None:
        return
    result = read_run(run.folder)
    verdict = summary.verdict(result)
    output_json["harness"] = {
        "run": run.run,
        "folder": str(run.folder),
        "tier": run.options.tier,
        "status": verdict.status,
        "verdict": verdict.sentence,
        "outcomes": summary.outcome_counts(result),
    }
