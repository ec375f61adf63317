"""Counts what tests marked `fault` try, and shows it as the table that README holds.

A test says what it tries by `@pytest.mark.fault("what")`, and how often by
`record_property("tried", count)`, else once. With `--fault-table` the table is printed at the end.
"""

from dataclasses import dataclass

import pytest

COLUMNS = ("what was tried", "how often", "what was lost")
NOTHING = "nothing"


@dataclass
class Fault:
    """What became of the tests of one fault."""

    tried: int = 0
    failed: int = 0
    skipped: int = 0


class _Table:
    """Listens to reports of tests, also to those of workers."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = dict(report.user_properties)
        if "fault" not in known:
            return
        fault = self._faults.setdefault(str(known["fault"]), Fault())
        fault.failed += report.failed
        fault.skipped += report.skipped
        if report.when == "call" and not report.skipped:
            fault.tried += int(str(known.get("tried", 1)))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("faults")
        for line in table(self._faults):
            terminalreporter.write_line(line)


def table(faults: dict[str, Fault]) -> list[str]:
    """The lines of a Markdown table."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|---|---:|---|"]
    for what, fault in sorted(faults.items()):
        lost = f"{fault.failed} tests failed" if fault.failed else NOTHING
        if not fault.tried:
            lost = "not tried here"
        rows.append(f"| {what} | {fault.tried:,} | {lost} |")
    return rows


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("malscan")
    group.addoption(
        "--fault-table", action="store_true", help="Print what tests marked `fault` tried."
    )
    group.addoption(
        "--kills", type=int, default=5, metavar="N", help="Kills of each command (slow tier)."
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fault-table") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Table())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("fault")
        if mark is not None:
            item.user_properties.append(("fault", mark.args[0]))
