"""Help that fits a screen, with the rest on request, and errors that name the near miss.

An option declared with `hidden=True` is one that everyday work does without: `--help` leaves it
out and says so, `--help-all` and the completion of the shell know it.
"""

import os
import re
from copy import copy
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from malscan.near import did_you_mean, nearest

_NO_CHOICE = re.compile(r"'([^']*)' is not one of (.*)", re.DOTALL)


class Command(TyperCommand):
    """A command with everyday options and others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a command as Typer does, and count what its help leaves out."""
        super().__init__(*args, **kwargs)
        hidden = sum(bool(getattr(param, "hidden", False)) for param in self.params)
        if hidden:
            self.epilog = f"{hidden} more options: malscan {self.name} --help-all"

    def revealed(self) -> "Command":
        """The same command with all options in its help."""
        command = copy(self)
        command.epilog = None
        command.params = [copy(param) for param in self.params]
        for param in command.params:
            param.hidden = False  # type: ignore[attr-defined] # Options and arguments have it.
        return command

    def get_params(self, ctx: Any) -> list[Any]:
        """Arguments and options, in the order of the help."""
        return _flags_without_type(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; what is wrong is told with what was probably meant."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            _name_near_miss(error)
            raise

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What may come next on the command line, also of the options that help leaves out."""
        return super(Command, self.revealed()).shell_complete(ctx, incomplete)


class Group(TyperGroup):
    """The program itself, with its commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options, in the order of the help."""
        return _flags_without_type(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; a path in its place was probably meant to be scanned."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            if os.path.lexists(args[0]):
                _add(error, did_you_mean(f"malscan scan {args[0]}"))
            raise


def _flags_without_type(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _name_near_miss(error: Exception) -> None:
    if found := _NO_CHOICE.search(str(getattr(error, "message", ""))):
        choices = re.findall(r"'([^']*)'", found[2])
        _add(error, did_you_mean(nearest(found[1], choices)))
    elif getattr(error, "possibilities", None):
        # Typer lists all that are near, in the order of the alphabet.
        _add(error, did_you_mean(nearest(error.option_name, error.possibilities)))  # type: ignore[attr-defined]
        error.possibilities = None  # type: ignore[attr-defined]


def _add(error: Any, question: str) -> None:
    error.message = error.message.removeprefix("Value error, ").removesuffix(".") + f".{question}"


def _show_all(ctx: typer.Context, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        assert isinstance(ctx.command, Command)
        typer.echo(ctx.command.revealed().get_help(ctx))
        raise typer.Exit


HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all",
        callback=_show_all,
        is_eager=True,
        expose_value=False,
        help="Show every option and exit.",
    ),
]
