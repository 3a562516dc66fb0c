"""The commands' options, made of the fields of the structs that a command takes."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
import typer

from harness.core.errors import HarnessError, UsageError
from harness.core.option_parsing import Field, Struct, changed, fields, taken_by
from harness.core.options import JobOptions, Options
from harness.jobs.backend import BackendName, Settings, must_be_installed, parsed_labels, parsed_resources

Extra = Annotated[list[str] | None, typer.Argument(metavar="[-- PYTEST ARGUMENTS]", show_default=False)]
Html = Annotated[str, typer.Option("--html", metavar="FILE", help="The page (default: in the folder).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def takes_options(function: Callable[..., None]) -> Callable[..., None]:
    """A command for typer: in place of each struct among the parameters, the options that it has of it.

    A parameter's default is what the options have unless they are given. Paths become absolute.
    """
    command = function.__name__.strip("_").replace("_", "-")
    own = inspect.signature(function).parameters
    hints = get_type_hints(function, include_extras=True)
    structs: dict[str, msgspec.Struct] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if hints[name] in (Options, JobOptions):
            empty = parameter.default is parameter.empty
            structs[name] = hints[name]() if empty else parameter.default
            parameters += [_parameter(field, structs[name]) for field in taken_by(command, hints[name])]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY))

    @functools.wraps(function)
    def run(**values: Any) -> None:
        made = {}
        for name, struct in structs.items():
            names = {field.name for field in taken_by(command, type(struct))}
            made[name] = _absolute(changed(struct, {field: values.pop(field) for field in names}))
        function(**values, **made)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameter(field: Field, struct: msgspec.Struct) -> inspect.Parameter:
    """A field as typer has a parameter."""
    default, option = getattr(struct, field.name), field.option
    kind: Any = Literal[field.choices] if field.choices else field.type
    if option.repeated:
        kind, default = list[str], list(default)
    elif field.several:
        default = ",".join(default)
    info = typer.Option(
        field.flag,
        metavar=option.metavar or None,
        help=f"{option.help[0].upper()}{option.help[1:]}.",
        show_default=option.shown or bool(default),
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind if default is not None else kind | None, info],
    )


def _absolute(options: Struct) -> Struct:
    """The options with absolute paths, which mean the same in a process that starts elsewhere."""
    found: dict[str, Any] = {}
    for field in fields(type(options)):
        value = getattr(options, field.name)
        if value and field.option.path:
            found[field.name] = _path(value) if isinstance(value, str) else tuple(map(_path, value))
    if isinstance(options, Options) and options.dataset not in ("auto", "packaged", "paddle"):
        found["dataset"] = _path(options.dataset)
    return msgspec.structs.replace(options, **found)


def _path(text: str) -> str:
    return str(Path(text).absolute())


def completed(options: Options, extra: Sequence[str] | None) -> tuple[Options, tuple[str, ...]]:
    """Options as the pytest arguments behind ``--`` change them, models found, and the other arguments.

    Raises:
        UsageError: an argument has no value or a wrong one, or there is no such model.
    """
    rest: list[str] = []
    if extra:
        from harness.plugin.options import with_arguments

        options, rest = with_arguments(options, extra, lambda line: print(line, file=sys.stderr))
        options = _absolute(options)
    if options.add_model:
        from harness.models import specification

        try:
            for text in options.add_model:
                specification.parse(text)
            models = tuple(map(specification.absolute, options.add_model))
        except HarnessError as error:
            raise UsageError(str(error)) from error
        options = msgspec.structs.replace(options, add_model=models)
    return options, tuple(rest)


def settings_of(jobs: JobOptions, own: Sequence[str] = ()) -> Settings:
    """What the options of jobs ask for. ``own``: models of the user's own.

    Raises:
        UsageError: an option cannot be meant, or what the backend needs is not installed.
    """
    on_ray = jobs.backend == "ray"
    if on_ray and own:
        raise UsageError("models of your own stay on this machine: leave out --backend ray, or --add-model")
    if not on_ray and jobs.address:
        raise UsageError("--address is a Ray cluster's: give --backend ray with it")
    if jobs.backend is None and (jobs.resources or jobs.labels):
        raise UsageError("--resources and --labels choose among machines: give --backend ray with them")
    engine = BackendName(jobs.backend or "local")
    must_be_installed(engine)
    resources, labels = parsed_resources(jobs.resources), parsed_labels(jobs.labels)
    return Settings(engine, jobs.address, jobs.at_once, resources, labels)
