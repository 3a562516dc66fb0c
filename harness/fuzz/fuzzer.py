"""Search in rounds of Hypothesis; each runs until it finds something new, which it then shrinks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase
from hypothesis.errors import HypothesisException

from harness.core.generation import reproducible
from harness.fuzz.builder import Network
from harness.fuzz.examine import examine, stages_for, stages_of
from harness.fuzz.findings import Finding, Notebook, explains
from harness.fuzz.known import explained, lasts, unsteady
from harness.fuzz.localise import first_operator, guilty_passes
from harness.fuzz.reduce import reduce
from harness.fuzz.strategies import networks
from harness.fuzz.verdict import Failure, Verdict, folded
from harness.pool.workers import WorkerPool

ROUND = 400
"""Most networks of one round."""
SHRINKING_S = 40.0
FRESH_AFTER = 500
"""Networks after which a worker is replaced, so that a network's side effects reach few others."""


class Enough(KeyboardInterrupt):
    """Ends a round: the time is up, or shrinking took long enough. Hypothesis does not catch it."""


class Found(AssertionError):
    """The failure that a round searches for and shrinks."""


@dataclass
class Tally:
    """Counts of what was tried so far."""

    networks: int = 0
    executions: int = 0
    """All executions: networks, and those for shrinking and localising."""
    compared: int = 0
    meaningless: int = 0
    again: int = 0
    """Networks that showed only known findings."""
    known: Counter[str] = field(default_factory=Counter)
    """Number of networks by the known finding that they showed."""
    unconverted: Counter[str] = field(default_factory=Counter)
    """Networks that a converter refused, by message; not judged."""
    refused: Counter[str] = field(default_factory=Counter)
    """Networks that the oracle refused, by message; not judged."""
    differed: list[str] = field(default_factory=list)
    """Networks, as data, that two processes judged differently, with both verdicts."""
    unsteady: Counter[str] = field(default_factory=Counter)
    """Networks judged differently because a known fault's answers differ from run to run."""
    operators: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)
    searching_s: float = 0.0

    @property
    def per_minute(self) -> float:
        """Networks per minute of searching, without shrinking and localising."""
        return 60 * self.networks / self.searching_s if self.searching_s else 0.0


class Fuzzer:
    """Fuzzes one release.

    Args:
        pool: workers of the release.
        notebook: store of findings and seeds.
        focus: one of :data:`harness.fuzz.judge.FOCUS`, or ``""`` for every stage that is not expensive.
        twice: workers that judge every network a second time.
        stop: set this to end; a failure being shrunk is kept as small as it is then.
        say: called with every new finding.
    """

    def __init__(
        self,
        release: str,
        pool: WorkerPool,
        notebook: Notebook,
        focus: str = "",
        stop: threading.Event | None = None,
        say: Callable[[Finding], None] = lambda finding: None,
        shrinking_s: float = SHRINKING_S,
        twice: WorkerPool | None = None,
    ) -> None:
        self.release = release
        self.pool = pool
        self.notebook = notebook
        self.stages: Sequence[str] = stages_of(focus)
        self.stop = stop or threading.Event()
        self.say = say
        self.shrinking_s = shrinking_s
        self.twice = twice
        self.tally = Tally()
        self.end = float("inf")
        self._round = _Round()

    def hunt(self, minutes: float, seed: int, most: int = 0) -> list[Finding]:
        """Search for that long, or until ``most`` networks were tried; return the new findings."""
        new: list[Finding] = []
        self.end = time.monotonic() + 60 * minutes
        while not self._over and (not most or self.tally.networks < most):
            self.notebook.used(seed)
            self._round = _Round(seed=seed)
            examples = min(ROUND, most - self.tally.networks) if most else ROUND
            self._search(seed, examples)
            if self._round.best is not None:
                finding = self._localised(self._round)
                if self.notebook.fold(finding):
                    new.append(finding)
                    self.say(finding)
                else:
                    self.tally.again += 1
            seed += 1
        self.notebook.close()
        return new

    @property
    def _over(self) -> bool:
        return self.stop.is_set() or time.monotonic() > self.end

    def _search(self, seed: int, examples: int) -> None:
        kept: ExampleDatabase = DirectoryBasedExampleDatabase(self.notebook.folder / "examples")

        @seeded(seed)
        @settings(
            max_examples=examples, deadline=None, database=kept, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
        )  # fmt: skip
        @given(networks())
        def look(network: Network) -> None:
            self._look(network)

        # Flaky: a failing network passed when it was tried again. Keep the smallest that failed.
        with reproducible(), contextlib.suppress(Found, Enough, HypothesisException, ExceptionGroup):
            look()

    def _look(self, network: Network) -> None:
        this = self._round
        if self.stop.is_set() or (self._over and this.key is None):
            raise Enough
        if this.key is not None and time.monotonic() - this.since > self.shrinking_s:
            raise Enough
        began = time.monotonic()
        verdict = examine(self.pool, network, self.stages)
        self._count(network, verdict, began)
        if self.twice is not None and this.key is None:
            again = examine(self.twice, network, self.stages)
            if again.told != verdict.told:
                self._differs(network, verdict, again)
        if lasts(network):
            for pool in (self.pool, self.twice):
                if pool is not None:
                    pool.discard()
        if verdict.first is None or verdict.first.stage == "oracle":
            return
        if this.key is None:
            same = self._unknown(network, verdict)
            if same is None:
                self.tally.again += 1
                return
            this.key, this.since = same.key, time.monotonic()
        else:
            same = self._still(network, verdict, this.key)
            if same is None:
                return
        size = (len(network["nodes"]), len(repr(network)))
        if this.best is None or size < this.size:
            this.best, this.failure, this.size = network, same, size
        raise Found(str(this.key))

    def _differs(self, network: Network, one: Verdict, other: Verdict) -> None:
        """Count a network that two processes judged differently, because of Paddle or of the fuzzer.

        It is Paddle if only predictor stages differ and the network has the trigger of such a fault.
        """
        kinds = [set(each.told[1]) for each in (one, other)]
        stages = {stage for _, stage, _ in kinds[0] ^ kinds[1]}
        name = unsteady(network) if all(s.startswith(("predictor", "folded")) for s in stages) else ""
        if name and one.meaningless == other.meaningless:
            self.tally.unsteady[name] += 1
        else:
            self.tally.differed.append(f"{network!r}: {one.told}, then {other.told}")

    def _count(self, network: Network, verdict: Verdict, began: float) -> None:
        tally = self.tally
        tally.executions += 1
        tally.compared += verdict.compared
        if tally.executions % FRESH_AFTER == 0:
            self.pool.discard()
        elif self.twice is not None and tally.executions % FRESH_AFTER == FRESH_AFTER // 2:
            self.twice.discard()
        if self._round.key is None:
            tally.networks += 1
            tally.searching_s += time.monotonic() - began
            tally.operators.update(node["op"] for node in network["nodes"])
            tally.meaningless += bool(verdict.meaningless)
            if verdict.refused:
                tally.unconverted[folded(verdict.refused)] += 1
            if verdict.first is not None and verdict.first.stage == "oracle":
                tally.refused[verdict.first.message] += 1

    def _unknown(self, network: Network, verdict: Verdict) -> Failure | None:
        """Return the failure of the simplest stage that no known finding explains."""
        names = explained(self.pool, network, verdict.failures)
        self.tally.known.update(set(names.values()))
        for failure in verdict.ranked:
            if failure.key not in names and not self._is_known(network, failure):
                return failure
        return None

    def _still(self, network: Network, verdict: Verdict, key: tuple[str, str, str]) -> Failure | None:
        """Return the failure being shrunk, unless a known fault causes the same in this network."""
        same = [failure for failure in verdict.failures if failure.key == key]
        return same[0] if same and not explained(self.pool, network, same[:1]) else None

    def _is_known(self, network: Network, failure: Failure) -> bool:
        same = [
            (n, known) for n, known in enumerate(self.notebook.findings) if known.failure.key == failure.key
        ]
        if not same:
            return False
        nearby = first_operator(self.pool, network, failure)[1] if failure.outcome == "fail" else ()
        for place, known in same:
            if explains(known, failure, nearby):
                self.notebook.again(place)
                return True
        return False

    def _localised(self, this: _Round) -> Finding:
        assert this.best is not None
        assert this.failure is not None
        end = time.monotonic() + self.shrinking_s
        stages = stages_for(this.failure.stage)

        def fails(network: Network) -> bool:
            if time.monotonic() > end or self.stop.is_set():
                return False
            self.tally.executions += 1
            assert this.key is not None
            found = self._still(network, examine(self.pool, network, stages), this.key)
            this.failure = found or this.failure
            return found is not None

        network = reduce(this.best, fails)
        operator = first_operator(self.pool, network, this.failure)[0]
        passes = guilty_passes(self.pool, network, this.failure)
        return Finding(self.release, this.failure, network, operator, passes, this.seed)


@dataclass
class _Round:
    """The failure of a round, once it has one, and the smallest network that shows it."""

    seed: int = 0
    key: tuple[str, str, str] | None = None
    since: float = 0.0
    best: Network | None = None
    failure: Failure | None = None
    size: tuple[int, int] = (0, 0)
