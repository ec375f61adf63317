"""The pictures of CONTRIBUTING are what the imports are: rows, arrows, and no circle."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "malscan"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def picture(name: str) -> list[str]:
    found = re.search(rf"<!-- {name} -->\n```text\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert found, f"CONTRIBUTING.md has no picture {name}"
    return found[1].splitlines()


def name_of(path: Path) -> str:
    """The name of a module below `malscan`, such as `report/csv`; of a package its folder."""
    relative = path.relative_to(PACKAGE).with_suffix("")
    return str(relative.parent if relative.name == "__init__" else relative).replace(
        ".", "__init__"
    )


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """Modules of malscan that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "malscan":
                whole = "/".join(parts[1:])
                yield whole if whole in modules() else "/".join(parts[1:-1]) or "__init__"


@cache
def graph() -> dict[str, set[str]]:
    return {name: set(imported(path)) - {name} for name, path in modules().items()}


def rows() -> list[list[str]]:
    """The rows from the top; a name that ends with a slash is a folder."""
    return [line.split()[1:] for line in picture("rows")]


def row_of(module: str) -> int:
    """The row of a module, counted from the top."""
    for number, row in enumerate(rows()):
        if module in row:
            return number
    for number, row in enumerate(rows()):
        if f"{module.split('/')[0]}/" in row:
            return number
    raise AssertionError(f"{module} stands in no row of CONTRIBUTING.md: give it a place there")


def arrows() -> list[tuple[str, str]]:
    """Pairs of names, of which the first imports the second."""
    pairs = []
    for line in picture("arrows"):
        names, heads = line.split()[::2], line.split()[1::2]
        for left, head, right in zip(names, heads, names[1:], strict=False):
            pairs.append((left, right) if head.endswith("►") else (right, left))
    return pairs


def belongs(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}/")


def test_no_two_modules_import_each_other() -> None:
    assert len(list(TopologicalSorter(graph()).static_order())) == len(modules()) > 100


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_from_its_row_and_below(module: str) -> None:
    above = {name for name in graph()[module] if row_of(name) < row_of(module)}
    assert not above, f"{module} imports upward: {above}"


def test_the_rows_name_only_what_is_there() -> None:
    named = [name for row in rows() for name in row]
    assert len(set(named)) == len(named)
    for name in named:
        assert name in modules() or (PACKAGE / name).is_dir(), name


@pytest.mark.parametrize(("importing", "imported_one"), arrows())
def test_each_arrow_is_an_import(importing: str, imported_one: str) -> None:
    found = {
        (module, other)
        for module, others in graph().items()
        for other in others
        if belongs(module, importing) and belongs(other, imported_one)
    }
    assert found
