"""Commands that are imported when they are called, since some need what takes a second to import.

Former names of commands and of their options are replaced here, with a line on standard error for each.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from harness.core.option_parsing import current, notice
from harness.core.options import FORMER_COMMANDS


class LazyGroup(TyperGroup):
    """A group that imports some of its commands when needed, as click's documentation recommends.

    ``lazy``: name of the command -> ``module:function``, or ``module:app`` for a group.
    """

    lazy: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *self.lazy]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = FORMER_COMMANDS.get(args[0], args[0])
        given, said = current(name, args[1:])
        for line in ([notice(args[0], name)] if name != args[0] else []) + said:
            print(line, file=sys.stderr)
        return super().resolve_command(ctx, [name, *given])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.lazy[cmd_name].partition(":")
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            found = alone
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command
