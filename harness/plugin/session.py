"""One run: its folder, its executor, its records."""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

import harness
from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.checks import expected_failures
from harness.checks.claims import claims
from harness.core.choices import Limits
from harness.core.clock import now
from harness.core.errors import HarnessError
from harness.core.extensions import added, extensions
from harness.core.files import made_folder, write_whole
from harness.core.options import Options
from harness.core.paths import reports
from harness.core.types import Area, Record, RunFooter, RunHeader
from harness.environments import managed
from harness.execution.executor import Executor, Producer
from harness.models.catalogue import TECHNIQUES, MethodInfo
from harness.models.first_run import OWN_TOTAL, total
from harness.models.specification import FORMS, UserModel, parse, unique
from harness.plugin.counts import Counts
from harness.plugin.options import choose, producer_of
from harness.pool.templates import Templates
from harness.pool.workers import WorkerFailure, WorkerPool
from harness.records import sources
from harness.records.files import RecordWriter
from harness.targets import target as targets
from harness.targets.target import Target

ARTIFACTS = "artifacts.json"
"""Keys of the store's entries that a finished run made or used."""
ONLY_OWN = "none"
"""Value of ``--models`` for no reference model and all user models."""
LEGACY = "legacy-ir"
OTHER_USES = ("training", "compression", LEGACY)
"""What ``--uses`` can name beside runtimes."""
CONTROLLER_PACKAGES = ("pytest", "pytest-benchmark", "hypothesis", "numpy", "execnet", "scipy", "msgspec")


class RunSession:
    """One pytest run over the suites: options, folder, executor, record writer.

    The executor is made on first use, so that ``--help`` and ``--collect-only`` of nothing start no
    worker. Nothing is written before :meth:`begin`.
    """

    def __init__(
        self, options: Options, root: Path, suites: Path, lane: Mapping[str, str] | None = None
    ) -> None:
        self.options = options
        self.lane = lane
        """What the controller gave this process, if it is a lane; a lane writes no record."""
        self.root = root
        self.suites = (suites, *added("suites"))
        """The project's suites, and those of extensions."""
        self.started = time.time()
        self.problems: list[str] = []
        self.recorded: set[str] = set()
        self.memo: dict[str, Any] = {}
        """What one check computed and others of the run want too."""
        self.areas: dict[str, Area] = {}
        """What the collected test modules state of their areas."""
        self.selected = 0
        self.writer: RecordWriter | None = None
        choose("claim", options.claims, list(claims()))
        self.counts = Counts()
        """What the lanes made and met."""
        self.folder = Path(lane["folder"]) if lane else self._make_folder()

    @property
    def run(self) -> str:
        return self.folder.name

    def _make_folder(self) -> Path:
        if self.options.folder:
            folder = Path(self.options.folder).resolve()
            if (folder / "records.jsonl").exists():
                raise HarnessError(f"{folder} already holds a run: name another folder with --folder")
        else:
            stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
            folder = reports(self.root) / f"{stamp}-{os.getpid()}"
        return made_folder(folder, "the run folder")

    @functools.cached_property
    def templates(self) -> Templates:
        """What all workers of the run are forked from, those of its lanes too."""
        return Templates()

    @functools.cached_property
    def executor(self) -> Executor:
        """Workers, store and models of this run.

        Raises:
            HarnessError: no Paddle in the chosen interpreter, an unwritable store, a missing dataset.
        """
        return self.open_executor(self.options.python, self.options.paddle_profile, "logs")

    def open_executor(self, python: str, profile: str, logs: str) -> Executor:
        """Open an executor of that interpreter and profile; its workers log into the run's folder ``logs``.

        Raises:
            HarnessError: as :attr:`executor`.
        """
        managed.use(Path(python).parent.parent)
        store = Store(self.options.store_folder)
        digits, dataset = locate(self.options.dataset, store)
        files = tuple(map(Path, self.options.targets_file))
        limits = Limits(self.options.model_timeout, self.options.model_memory)
        folder = self.folder / logs / (self.lane["name"] if self.lane else "")
        pool = WorkerPool(folder, python, self.options.call_timeout, profile, self.templates)
        try:
            builder = ArtifactBuilder(
                pool, store, digits, dataset, self.user_models, limits, self.options.retry_failed
            )
            return Executor(builder, targets.load(files))
        except HarnessError:
            pool.close()
            raise
        except WorkerFailure as error:
            pool.close()
            raise HarnessError(
                f"Paddle does not work in {python} ({error.failure.type}: "
                f"{error.failure.message.splitlines()[0]}): install the project's paddle extra there, or "
                "name another interpreter with --python; `harness doctor` says more"
            ) from error

    @functools.cached_property
    def producers(self) -> tuple[Producer, ...]:
        """The environments whose files are loaded here, in the order in which they were named.

        If one is the environment under test, it shares the run's executor.

        Raises:
            HarnessError: two have one name, an interpreter is missing, or Paddle does not work there.
        """
        found: dict[str, Producer] = {}
        for text in self.options.producers:
            name, python, profile = producer_of(text)
            if name in found:
                raise HarnessError(f"--producer names {name} twice: give each environment a name of its own")
            own = (python, profile) == (self.options.python, self.options.paddle_profile)
            executor = self.executor if own else self.open_executor(python, profile, f"logs/from-{name}")
            found[name] = Producer(name, executor)
        return tuple(found.values())

    @functools.cached_property
    def known(self) -> expected_failures.ExpectedFailures:
        """The expected failures that apply to this release and profile."""
        entries = [
            e for suites in self.suites for e in expected_failures.load(suites / "known_failures.toml")
        ]
        executor, options = self.executor, self.options
        # What is named brings cases of the full tier along, and so what is known of them.
        named = options.models or options.methods or options.targets
        tier = "full" if named else options.tier
        return expected_failures.ExpectedFailures(
            entries, executor.paddle, executor.profile, tier, executor.environment["cpu"]["flags"]
        )

    @functools.cached_property
    def user_models(self) -> tuple[UserModel, ...]:
        """The models that ``--add-model`` names.

        Raises:
            HarnessError: a file is missing, or two models have one name.
        """
        found = [model for text in self.options.add_model for model in parse(text)]
        return tuple(unique(found))

    def uses(self, model: str = "") -> tuple[str, ...]:
        """Return what a model is used for: its own ``uses``, or those of the run; empty for everything.

        Raises:
            HarnessError: one of them is no runtime, no target, and none of :data:`OTHER_USES`.
        """
        if model not in self._uses:
            own = next((one.uses for one in self.user_models if one.name == model), ())
            wanted = own or self.options.uses
            self._uses[model] = tuple(choose("use", wanted, self._known_uses)) if wanted else ()
        return self._uses[model]

    @functools.cached_property
    def _uses(self) -> dict[str, tuple[str, ...]]:
        return {}

    @functools.cached_property
    def _known_uses(self) -> list[str]:
        catalog = self.executor.pool.call("runtimes.catalog")
        names = [*(runtime["name"] for runtime in catalog), *OTHER_USES, *self.executor.targets]
        return list(dict.fromkeys(names))

    @property
    def only_users(self) -> bool:
        """Whether ``--models`` names user models and no reference model."""
        names = {ONLY_OWN, *(model.name for model in self.user_models)}
        return bool(self.options.models) and names.issuperset(self.options.models)

    def models(
        self,
        trained: bool = False,
        role: str = "conformance",
        forms: Sequence[str] = FORMS,
        users: bool = False,
    ) -> list[str]:
        """Return the names of the chosen models of this tier with that role.

        ``trained``: only trained ones, and with ``users`` the user's too, trained or not. ``role``:
        ``"user"`` for user models, ``"any"``, or a reference model's. User models have the role
        ``"conformance"`` as well; ``forms`` narrows them.
        """
        wanted = self.options.models
        if ONLY_OWN in wanted:
            if not self.user_models:
                raise HarnessError(f"--models {ONLY_OWN} leaves no model: name your own with --add-model")
            wanted = (*(n for n in wanted if n != ONLY_OWN), *(model.name for model in self.user_models))
        chosen = choose("model", wanted, list(self.executor.models))
        tiers = ("quick", "full") if self.options.tier == "full" or self.options.models else ("quick",)
        infos = (self.executor.models[name] for name in chosen)
        return [
            info.name
            for info in infos
            if info.tier in tiers
            and (info.trained or not trained or (users and info.form))
            and (role in ("any", info.role) or (role == "user" and info.form))
            and (not info.form or info.form in forms)
        ]

    def methods(
        self, techniques: Sequence[str] = TECHNIQUES, graph: str = "", names: Sequence[str] = ()
    ) -> list[tuple[str, MethodInfo]]:
        """Return the chosen models, each with every compression method that this tier has for it.

        ``techniques``, ``graph`` and ``names`` narrow that (``harness/models/catalogue.py``). Where models
        are named by option, a method's models of the full tier are included.
        """
        # A method names its models, those for latency among them.
        chosen = self.models(role="any")
        wanted = choose("method", self.options.methods, list(self.executor.builder.methods))
        whole = self.options.tier == "full" or self.options.models
        return [
            (model, method)
            for method in (self.executor.builder.methods[name] for name in wanted)
            if method.technique in techniques
            and graph in ("", method.graph)
            and (not names or method.name in names)
            if whole or not (method.alike and method.profile) or method.id in self.options.methods
            for model in [*method.models, *(method.full if whole else ())]
            if model in chosen
        ]

    def reach(self) -> dict[str, Any]:
        """Return descriptions of the chosen targets' other interpreters, by the targets' names.

        Raises:
            HarnessError: one cannot be reached, or has no Paddle. It was asked for, so nothing is run.
        """
        return {target.name: self.executor.where(target) for target in self._chosen() if target.interpreter}

    def targets(
        self,
        runtime: str | tuple[str, ...] = "",
        names: tuple[str, ...] = (),
        models: str = "any",
        device: Literal["", "cpu", "other"] = "",
        absent: bool = False,
        more: tuple[str, ...] = (),
    ) -> list[Target]:
        """Return the chosen targets, of some runtimes, on a CPU or not, or by name if a check asks for that.

        ``names`` narrows those of the harness: a target of the user's own, or of an extension, is among
        them whatever its name.
        ``models="quantized"``: those that are for quantized models only, which no other check gets.
        ``more``: beside ``names`` in the full tier, or where targets are named.
        ``absent``: also those for custom devices where Paddle reports none.
        """
        if names and (self.options.tier == "full" or self.options.targets):
            names = (*names, *more)
        return [
            target
            for target in self._chosen()
            if target.models == models
            and (not runtime or target.runtime in ((runtime,) if isinstance(runtime, str) else runtime))
            and (not names or target.name in names or target.name in self._user_targets)
            and (absent or target.device != targets.ANY_CUSTOM)
            and (not device or (target.device == "cpu") == (device == "cpu"))
        ]

    @functools.cached_property
    def _user_targets(self) -> set[str]:
        return {*targets.of_extensions(), *targets.read(map(Path, self.options.targets_file))}

    def _chosen(self) -> list[Target]:
        chosen = choose("target", self.options.targets, list(self.executor.targets))
        tiers = ("quick", "full") if self.options.tier == "full" or self.options.targets else ("quick",)
        return [target for target in map(self.executor.targets.__getitem__, chosen) if target.tier in tiers]

    # The record file

    def begin(self, command: str) -> None:
        """Write the header; from here on every finished case is on disk."""
        executor = self.executor
        self.writer = RecordWriter(self.folder / "records.jsonl")
        self.writer.write(
            RunHeader(
                run=self.run,
                started=now(),
                tier=self.options.tier,
                command=command,
                selected=self.selected,
                options=msgspec.to_builtins(self.options),
                environment={
                    **executor.environment,
                    "dataset": executor.builder.dataset,
                    **self._forms(),
                    **self._other_environments(),
                },
                harness={
                    "version": harness.__version__,
                    "source": sources.digest(self.root),
                    "python": platform.python_version(),
                    "platform": platform.platform(),
                    "interpreter": sys.executable,
                    "packages": {name: metadata.version(name) for name in CONTROLLER_PACKAGES},
                    **({"extensions": [e.distribution for e in extensions()]} if extensions() else {}),
                },
                claims=claims(),
                areas=self.areas,
            )
        )
        self._point_latest()

    def _forms(self) -> dict[str, Any]:
        forms = {model.name: model.form for model in self.user_models}
        return {"user_models": forms} if forms else {}

    def _other_environments(self) -> dict[str, Any]:
        found = {
            target: {name: value for name, value in where.items() if name != "installed"}
            for target, where in self.reach().items()
        }
        return {"elsewhere": found} if found else {}

    def _point_latest(self) -> None:
        if self.folder.parent != self.root / "reports":
            return
        latest = self.folder.parent / "latest"
        link = self.folder.parent / f".latest-{os.getpid()}"
        link.symlink_to(self.folder.name)
        os.replace(link, latest)

    def record(self, record: Record) -> None:
        """Append one record."""
        assert self.writer is not None
        self.known.find(record.case)  # counts what a lane found
        self.writer.write(record)
        self.recorded.add(record.case)

    def finish(self, exit_status: int) -> None:
        """Write the footer, unless cases are missing: then the run stays incomplete."""
        if self.writer is None:
            return
        if len(self.recorded) >= self.selected:
            counts = self.counts.plus(self.counted())
            keys = sorted(set(counts.artifacts))
            write_whole(self.folder / ARTIFACTS, msgspec.json.encode(keys), "the list of artifacts")
            self.writer.write(
                RunFooter(
                    finished=now(),
                    duration_s=time.time() - self.started,
                    exit_status=exit_status,
                    collected=self.selected,
                    problems=tuple(dict.fromkeys(counts.problems)),
                    load={
                        "load1": os.getloadavg()[0],
                        "artifacts made": counts.made,
                        "artifacts reused": counts.reused,
                        "store repairs": list(counts.repairs),
                        "workers replaced": counts.replaced,
                        **({OWN_TOTAL: total(list(counts.models.values()))} if counts.models else {}),
                    },
                )
            )
        self.writer.close()

    def counted(self) -> Counts:
        """What this process made and met."""
        executor = self.executor
        store, done = executor.builder.store, executor.builder.first_runs.done
        return Counts(
            problems=tuple(self.problems),
            made=store.made,
            reused=store.reused,
            repairs=tuple(store.repairs),
            replaced=executor.pool.replaced,
            artifacts=tuple(sorted({key for one in self._executors() for key in one.builder.store.used})),
            models={run.model: run.kind if run.refusal else "" for run in done},
        )

    def add_lane(self, counts: Any) -> None:
        """Add what a lane counted, in plain values."""
        self.counts = self.counts.plus(msgspec.convert(counts, Counts))

    def close(self) -> None:
        """End the workers."""
        for executor in self._executors():
            executor.pool.close()
        if "templates" in self.__dict__:
            self.templates.close()

    def _executors(self) -> list[Executor]:
        """Return the executors that were opened, each once."""
        executors = [self.executor] if "executor" in self.__dict__ else []
        executors += [producer.executor for producer in self.__dict__.get("producers", ())]
        return list(dict.fromkeys(executors))
