"""Which tests of the suites a run selects, by their marks and parameters."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.core.errors import HarnessError
from harness.core.options import Options
from harness.core.paths import ROOT, is_checkout
from harness.core.types import Area
from harness.plugin import user_models
from harness.plugin.outcomes import area_of, case_id
from harness.plugin.session import LEGACY, RunSession
from harness.targets.target import Target

MARKERS = (
    "area(title, order=0, runtime=False, judges_targets=False): what the page calls a module's checks, and "
    "where; whether they are of one way of running models; whether they say if a target computes right",
    "claims(id, ...): the claims a check decides",
    "models(trained=False, role='conformance', forms=('layer', 'graph', 'deployed'), users=False): which "
    "models a check runs on, and which forms of the user's own; users: these whether trained or not",
    "targets(runtime='', names=(), more=(), models='any', device='', absent=False): which targets a check "
    "runs on",
    "methods(techniques=..., graph='', names=()): which ways to compress which models a check runs on",
    "brief(parameter=(value, ...), ...): the cases of a check that --tier gate keeps, by their parameters; "
    "without any, it keeps none",
    "machine: tells of the machine, so it runs beside the cases of every target that is on one of its own",
    "runs(use, ..., profile=''): for --uses, what a check without a target is about: runtimes, training or "
    "compression; and its profile, if that is not the environment's",
    "full: runs in the full tier only",
    "timing: measures time or memory, so it runs alone, after the others",
)


def claims_of(item: Any) -> tuple[str, ...]:
    """Return the claims that a test decides, each once."""
    named = (claim for marker in item.iter_markers("claims") for claim in marker.args)
    return tuple(dict.fromkeys(named))


def areas_of(items: Iterable[Any]) -> dict[str, Area]:
    """What the tests' modules state of their areas.

    Raises:
        HarnessError: a mark says what no area has.
    """
    found: dict[str, Area] = {}
    for item in items:
        marker = item.get_closest_marker("area")
        if marker is None or area_of(item) in found:
            continue
        stated = dict(zip(Area.__struct_fields__, marker.args, strict=False)) | marker.kwargs
        try:
            found[area_of(item)] = msgspec.convert(stated, Area)
        except msgspec.ValidationError as error:
            raise HarnessError(f"{item.path}: pytest.mark.area: {error}") from error
    return found


def left_out(session: RunSession, item: Any) -> bool:
    """Whether the gate's tier does without the case."""
    marker = item.get_closest_marker("brief")
    if session.options.tier != "gate" or marker is None:
        return False
    if not marker.kwargs:
        return True
    values = {name: getattr(value, "name", value) for name, value in user_models.parameters(item).items()}
    return any(values.get(name) not in kept for name, kept in marker.kwargs.items())


def unused(session: RunSession, item: Any) -> bool:
    """Whether no deployment runs the case: by ``--uses``, or by the model's own ``uses``.

    A model's first run always stays. Legacy IR in a Paddle that has another one is used only by those who
    say so; of reference models everything runs unless ``--uses`` is given.
    """
    model = user_models.model_of(session, item)
    uses = session.uses(model)
    if user_models.is_first_run(item) or not (uses or model):
        return False
    markers = list(item.iter_markers("runs"))
    values = [user_models.parameters(item).get(name) for name in ("target", "method")]
    profiles = {
        *(getattr(value, "profile", "") for value in values),
        *(marker.kwargs.get("profile", "") for marker in markers),
    }
    if LEGACY in profiles and LEGACY not in (*uses, session.executor.profile):
        return True
    named = {name for marker in markers for name in marker.args}
    for target in values:
        if isinstance(target, Target):
            # A runtime's name stands for its targets in float32: a coarser type is another deployment.
            named |= {target.name, *([target.runtime] if target.storage == "float32" else [])}
    return bool(set(uses) - {LEGACY}) and not named & set(uses)


MACHINE = "machine"
"""Mark of the checks that are about the machine, and their name among those of targets."""


def of_another_share(options: Options, item: Any) -> bool:
    """Whether another machine runs the case, by its target."""
    name = getattr(user_models.parameters(item).get("target"), "name", "")
    if not name and item.get_closest_marker(MACHINE):
        name = MACHINE
    return name in options.not_on or (bool(options.only_on) and name not in options.only_on)


def skipped_in_quick(session: RunSession, item: Any) -> bool:
    """Whether the quick tier leaves out the case, because an expected failure says so.

    What is asked for by name runs. The gate's tier has a choice of its own, which is compared with that
    of another release.
    """
    opts = session.options
    if opts.tier != "quick" or opts.methods or opts.models:
        return False
    return session.known.spares(case_id(item))


def out_of_scope(session: RunSession, item: Any, claims: tuple[str, ...]) -> bool:
    """Whether the claims' documents do not describe the test's network or target."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    target, model = parameters.get("target"), parameters.get("model")
    if (
        getattr(target, "options", None)
        or getattr(target, "interpreter", "")
        or any(getattr(parameters.get(name), "profile", "") for name in ("target", "method"))
        or parameters.get("profile")
    ):
        return True
    documents = {claim.split("-")[0] for claim in claims} - {"card"}
    if model is None:
        return False
    described = set(session.executor.models[model].document.split())
    # A claim that this project added is about the networks of all documents.
    return not (documents & described if documents else described)


def is_whole(config: pytest.Config, session: RunSession) -> bool:
    """Whether every check of the tier was asked for, so that an unused expected failure is stale."""
    opts = session.options
    narrowed = (
        opts.models
        or opts.targets
        or opts.uses
        or opts.methods
        or opts.tier == "gate"
        or opts.only_on
        or opts.not_on
        or opts.claims
        or config.option.keyword
        or config.option.markexpr
    )
    whole = list(paths(config)) == list(session.suites)
    return not narrowed and whole and not getattr(config.option, "lf", False)


def paths(config: Any) -> Iterator[Path]:
    """Yield the files and folders given to pytest; with ``--pyargs`` they may be packages or modules."""
    for argument in config.args:
        name = argument.split("::")[0]
        path = Path(config.invocation_params.dir, name)
        if config.option.pyargs:
            path = _of_module(name) or path
        yield path.resolve()


def _of_module(name: str) -> Path | None:
    """The folder of a package, or the file of a module, as pytest finds it for ``--pyargs``; else None."""
    try:
        spec = importlib.util.find_spec(name)
    except (AttributeError, ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


def project(config: pytest.Config) -> tuple[Path, Path]:
    """Where runs are written, and the suites: those of the checkout, or those that are installed."""
    if is_checkout(config.rootpath):
        return config.rootpath, config.rootpath / "suites"
    return config.invocation_params.dir, ROOT / "suites"
