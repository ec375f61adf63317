"""Model folders: what is written is read back, and what is not a whole model is refused."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.model import (
    EMBEDDED,
    ERROR_RATES,
    METADATA,
    WEIGHTS,
    ErrorRates,
    find_model,
    load_model,
    save_model,
)

DESCRIPTION: dict[str, Any] = {
    "name": "tiny",
    "network": "compact",
    "preprocessing": {"size": 64, "kernel": "area", "rescale": 1 / 255},
    "threshold": 0.5,
    "temperature": 1.25,
    "note": "café",
}


def tiny_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    # The second array does not lie in one piece in memory, as a transposed one does not.
    return {
        "dense/kernel": rng.normal(size=[3, 2]).astype(np.float32),
        "dense/bias": np.arange(8, dtype=np.float32)[::2],
    }


def tiny_rates() -> ErrorRates:
    rng = np.random.default_rng(3)
    return ErrorRates(
        thresholds=np.array([0.25, 0.5], np.float32),
        sensitivity=np.array([0.9, 0.8], np.float32),
        false_positive_rate=np.array([0.2, 0.1], np.float32),
        drawn_sensitivity=rng.random([4, 2]).astype(np.float32),
        drawn_false_positive_rate=rng.random([4, 2]).astype(np.float32),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole model."""
    path = tmp_path / "model"
    path.mkdir()
    save_model(path, DESCRIPTION, tiny_weights(), tiny_rates())
    return path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the metadata of a model."""
    metadata = json.loads((folder / METADATA).read_text())
    change(metadata)
    (folder / METADATA).write_text(json.dumps(metadata))


def refusal(folder: Path) -> str:
    """Why a folder is refused; the message always names it and says what to do."""
    with pytest.raises(MalscanError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "malscan train" in message
    assert caught.value.exit_code == ExitCode.FAILED
    return message


class TestRoundTrip:
    def test_weights_come_back_to_the_bit(self, folder: Path) -> None:
        weights = load_model(folder).weights
        assert weights.keys() == tiny_weights().keys()
        for name, array in tiny_weights().items():
            assert weights[name].dtype == np.float32
            np.testing.assert_array_equal(weights[name], array)

    def test_error_rates_come_back_to_the_bit(self, folder: Path) -> None:
        rates = load_model(folder).error_rates
        assert rates is not None
        for field in fields(ErrorRates):
            np.testing.assert_array_equal(
                getattr(rates, field.name), getattr(tiny_rates(), field.name)
            )

    def test_a_model_that_was_never_tested_has_no_error_rates(self, tmp_path: Path) -> None:
        save_model(tmp_path, DESCRIPTION, tiny_weights(), None)
        assert load_model(tmp_path).error_rates is None
        assert not (tmp_path / ERROR_RATES).exists()

    def test_the_description_comes_back(self, folder: Path) -> None:
        model = load_model(folder)
        assert (model.name, model.network, model.kernel) == ("tiny", "compact", "area")
        assert (model.size, model.rescale) == (64, 1 / 255)
        assert (model.threshold, model.temperature) == (0.5, 1.25)
        assert model.metadata.items() >= DESCRIPTION.items()
        assert model.metadata["schema"] == "malscan.model/1"

    @pytest.mark.parametrize("band", [None, (0.3, 0.75), (0.0, 1.0), (0.5, 0.5)])
    def test_the_doubt_band_comes_back(
        self, band: tuple[float, float] | None, tmp_path: Path
    ) -> None:
        save_model(tmp_path, DESCRIPTION | {"uncertain": band}, tiny_weights(), None)
        assert load_model(tmp_path).uncertain == band

    def test_a_model_that_says_nothing_of_doubt_has_no_band(self, folder: Path) -> None:
        assert "uncertain" not in DESCRIPTION
        assert load_model(folder).uncertain is None

    def test_the_identity_is_the_digest_of_the_metadata(self, folder: Path) -> None:
        digest = hashlib.sha256((folder / METADATA).read_bytes()).hexdigest()
        assert load_model(folder).sha256 == digest

    def test_other_weights_give_another_identity(self, folder: Path, tmp_path: Path) -> None:
        other = {name: array + 1 for name, array in tiny_weights().items()}
        save_model(tmp_path, DESCRIPTION, other, tiny_rates())
        assert load_model(folder).sha256 != load_model(tmp_path).sha256


class TestRefusals:
    def test_a_missing_folder_is_wrong_usage(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such model") as caught:
            load_model(tmp_path / "nowhere")
        assert str(tmp_path / "nowhere") in str(caught.value)
        assert caught.value.exit_code == ExitCode.USAGE

    def test_where_the_name_of_a_missing_model_comes_from_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MALSCAN_MODEL", str(tmp_path / "old"))
        with pytest.raises(UsageError, match=r"old \(named by MALSCAN_MODEL\)"):
            load_model(find_model(None))

    def test_a_folder_without_metadata(self, tmp_path: Path) -> None:
        assert "model.json: No such file" in refusal(tmp_path)

    def test_a_file_in_place_of_the_folder(self, folder: Path) -> None:
        assert "model.json: Not a directory" in refusal(folder / WEIGHTS)

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b'{"schema": "malscan.model/1",', id="cut off"),
            pytest.param(b"\xff\xfe\x00", id="no text"),
            pytest.param(b"[" * 100_000, id="nested too deep"),
        ],
    )
    def test_metadata_that_is_not_json(self, content: bytes, folder: Path) -> None:
        (folder / METADATA).write_bytes(content)
        assert "model.json is not valid JSON" in refusal(folder)

    @pytest.mark.parametrize("content", ["[]", "{}", '{"schema": "malscan.model/2"}', "null"])
    def test_metadata_of_another_schema(self, content: str, folder: Path) -> None:
        (folder / METADATA).write_text(content)
        assert "does not say schema malscan.model/1" in refusal(folder)

    @pytest.mark.parametrize(
        "key",
        [
            *("name", "network", "preprocessing", "threshold", "temperature"),
            *("weights_sha256", "error_rates_sha256"),
        ],
    )
    def test_metadata_that_lacks_a_key(self, key: str, folder: Path) -> None:
        edit(folder, lambda metadata: metadata.pop(key))
        assert key in refusal(folder)

    @pytest.mark.parametrize("key", ["size", "kernel", "rescale"])
    def test_metadata_that_lacks_a_key_of_the_preprocessing(self, key: str, folder: Path) -> None:
        edit(folder, lambda metadata: metadata["preprocessing"].pop(key))
        assert key in refusal(folder)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("name", 5),
            ("name", None),
            ("network", ["compact"]),
            ("preprocessing", []),
            ("threshold", None),
            ("threshold", "high"),
            ("threshold", float("nan")),
            ("threshold", 7),
            ("threshold", -0.1),
            pytest.param("threshold", 10**400, id="threshold-enormous"),
            ("uncertain", 0.5),
            ("uncertain", [0.5]),
            ("uncertain", [0.2, 0.5, 0.8]),
            ("uncertain", [0.8, 0.2]),
            ("uncertain", [-0.1, 0.5]),
            ("uncertain", [0.5, 1.1]),
            ("uncertain", [0.5, None]),
            ("uncertain", ["0.2", "0.8"]),
            ("uncertain", "ab"),
            ("uncertain", [0.5, float("nan")]),
            ("temperature", "warm"),
            ("temperature", 0),
            ("temperature", -1),
            ("temperature", float("inf")),
        ],
    )
    def test_metadata_with_a_value_that_cannot_be(
        self, key: str, value: object, folder: Path
    ) -> None:
        edit(folder, lambda metadata: metadata.update({key: value}))
        assert "model.json lacks or garbles" in refusal(folder)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("size", None),
            ("size", 64.5),
            ("size", -64),
            ("size", 0),
            ("size", float("inf")),
            ("kernel", 3),
            ("rescale", "small"),
            ("rescale", float("nan")),
            ("rescale", 0),
        ],
    )
    def test_preprocessing_with_a_value_that_cannot_be(
        self, key: str, value: object, folder: Path
    ) -> None:
        edit(folder, lambda metadata: metadata["preprocessing"].update({key: value}))
        assert "model.json lacks or garbles" in refusal(folder)

    @pytest.mark.parametrize("name", [WEIGHTS, ERROR_RATES])
    def test_arrays_that_are_not_there(self, name: str, folder: Path) -> None:
        (folder / name).unlink()
        assert f"{name}: No such file" in refusal(folder)

    @pytest.mark.parametrize("name", [WEIGHTS, ERROR_RATES])
    def test_arrays_that_another_model_came_with(self, name: str, folder: Path) -> None:
        raw = bytearray((folder / name).read_bytes())
        raw[-1] ^= 1
        (folder / name).write_bytes(raw)
        assert f"{name} is not the file that model.json was written for" in refusal(folder)

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda raw: raw[:-4], id="cut off"),
            pytest.param(lambda raw: b"", id="empty"),
            pytest.param(lambda raw: b"\xff" * 64, id="no header"),
        ],
    )
    def test_arrays_that_are_damaged_and_yet_have_the_right_digest(
        self, damage: Callable[[bytes], bytes], folder: Path
    ) -> None:
        raw = damage((folder / WEIGHTS).read_bytes())
        (folder / WEIGHTS).write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        edit(folder, lambda metadata: metadata.update(weights_sha256=digest))
        assert f"{WEIGHTS} is damaged" in refusal(folder)

    def test_error_rates_that_are_other_arrays(self, folder: Path) -> None:
        raw = (folder / WEIGHTS).read_bytes()
        (folder / ERROR_RATES).write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        edit(folder, lambda metadata: metadata.update(error_rates_sha256=digest))
        assert "not a malscan model" in refusal(folder)

    @pytest.mark.parametrize("name", [METADATA, WEIGHTS])
    def test_links_and_pipes_in_place_of_files(self, name: str, folder: Path) -> None:
        (folder / name).rename(folder / "elsewhere")
        (folder / name).symlink_to("elsewhere")
        assert f"{name} is a link, and a model must hold its files itself" in refusal(folder)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert f"{name} is not a regular file" in refusal(folder)

    def test_links_are_taken_in_the_package_alone(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / METADATA).rename(folder / "store")
        (folder / METADATA).symlink_to("store")
        monkeypatch.setattr("malscan.model.EMBEDDED", folder)
        assert load_model(folder).name == "tiny"

    def test_a_file_that_is_too_large(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("malscan.model.MAX_ARRAYS_BYTES", 20)
        assert f"{WEIGHTS} is larger than" in refusal(folder)

    @pytest.mark.parametrize("name", ["x" * 201, "half a \ud83d"])
    def test_a_name_that_no_report_could_hold(self, name: str, folder: Path) -> None:
        edit(folder, lambda metadata: metadata.update(name=name))
        message = refusal(folder)
        assert "model.json lacks or garbles" in message
        assert len(message) < 500

    def test_error_rates_that_are_no_fractions(self, folder: Path) -> None:
        raw = safetensors.numpy.save(
            {
                field.name: getattr(tiny_rates(), field.name).astype(np.int64)
                for field in fields(ErrorRates)
            }
        )
        (folder / ERROR_RATES).write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        edit(folder, lambda metadata: metadata.update(error_rates_sha256=digest))
        assert "error rates" in refusal(folder)


class TestFindModel:
    def test_the_one_given_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MALSCAN_MODEL", "from-the-environment")
        assert find_model(Path("given")) == Path("given")

    def test_the_variable_comes_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MALSCAN_MODEL", "from-the-environment")
        assert find_model(None) == Path("from-the-environment")

    def test_the_variable_knows_the_embedded_one_by_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MALSCAN_MODEL", "embedded")
        assert find_model(None) == EMBEDDED

    @pytest.mark.parametrize("value", [None, ""])
    def test_the_embedded_one_comes_last(
        self, value: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MALSCAN_MODEL", raising=False)
        if value is not None:
            monkeypatch.setenv("MALSCAN_MODEL", value)
        assert find_model(None) == EMBEDDED
