"""Where the data set lies when nobody says where."""

from pathlib import Path

import pytest

from malscan.errors import ExitCode, UsageError
from malscan.place import data_folder, default_cells


def test_the_environment_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALSCAN_DATA", str(tmp_path / "d"))

    assert data_folder() == tmp_path / "d"


@pytest.mark.parametrize("value", [None, ""])
def test_else_it_is_the_users_data_folder(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("MALSCAN_DATA", raising=False)
    else:
        monkeypatch.setenv("MALSCAN_DATA", value)

    assert data_folder() == tmp_path / "malscan"


def test_fetched_cells_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALSCAN_DATA", str(tmp_path))
    (tmp_path / "cell_images").mkdir()

    assert default_cells() == tmp_path / "cell_images"


def test_where_nothing_was_fetched_the_error_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALSCAN_DATA", str(tmp_path))

    with pytest.raises(UsageError, match="Run `malscan fetch` first") as caught:
        default_cells()

    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
