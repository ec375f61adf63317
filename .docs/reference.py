"""Write the reference of all commands and options, from the program itself.

Used as `python .docs/reference.py > .docs/reference.md`.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from enum import Enum
from inspect import cleandoc
from typing import Any

import typer

from malscan.cli.app import app
from malscan.cli.help import Command

HEAD = """\
# Commands and options

Made by `python .docs/reference.py > .docs/reference.md`; a test holds it up to date.
`malscan COMMAND --help` shows what everyday work needs of this, `--help-all` shows all of it.
"""


def reference() -> Iterator[str]:
    """The lines of the reference, in Markdown."""
    yield HEAD
    program: Any = typer.main.get_command(app)
    yield "- `malscan --version`: versions of malscan, TensorFlow and the embedded model"
    yield "- `malscan --install-completion`, `malscan --show-completion`: completion for your shell"
    for name, command in program.commands.items():
        yield from _command(name, command)


def _command(name: str, command: Command) -> Iterator[str]:
    context: Any = command.make_context(name, [], resilient_parsing=True)
    panels: dict[str, list[Any]] = defaultdict(list)
    for param in command.revealed().get_params(context):
        argument = param.param_type_name == "argument"
        panels["Arguments" if argument else param.rich_help_panel or "Options"].append(param)
    yield f"\n## malscan {name}\n"
    yield from _prose(cleandoc(command.help or ""))
    for title, params in panels.items():
        yield f"\n**{title}**\n"
        yield "| name | value | default | meaning |\n|---|---|---|---|"
        for param in params:
            cells = (_names(param), _value(param, context), _default(param), param.help or "")
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _prose(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        first, *rest = paragraph.split("\n")
        if first == "Examples:":
            yield "\n```sh\n" + "\n".join(map(str.strip, rest)) + "\n```"
        else:
            yield ("\n" if number else "") + paragraph


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{param.metavar}`"
    names = ", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])
    return f"{names} (required)" if param.required else names


def _value(param: Any, context: Any) -> str:
    if param.param_type_name == "argument" or param.metavar == "":
        return ""
    choices = "|".join(item.value for item in param.shell_complete(context, ""))
    value = param.metavar or choices
    return f"`{value}`"


def _default(param: Any) -> str:
    if isinstance(param.show_default, str):
        return param.show_default
    default = param.default
    if default is None or (default is False and not param.secondary_opts):
        return ""
    if isinstance(default, bool):
        return f"`{(param.opts if default else param.secondary_opts)[0]}`"
    return f"`{default.value if isinstance(default, Enum) else default}`"


if __name__ == "__main__":
    sys.stdout.write("\n".join(reference()) + "\n")
