"""What to compute on: told apart by name, refused with advice where it is not there."""

from typing import Any

import keras
import pytest
import tensorflow as tf

from malscan import devices
from malscan.devices import computes_bfloat16, dtype_policy, training_policy, use_device
from malscan.errors import MalscanError
from malscan.settings import Precision


class FakeConfig:
    """Stands for `tf.config` of a machine with some GPUs."""

    def __init__(self, gpus: int, *, started: bool = False) -> None:
        self.found = [f"gpu{number}" for number in range(gpus)]
        self.visible = list(self.found)
        self.growing: list[str] = []
        self.started = started
        self.experimental = self

    def list_physical_devices(self, kind: str) -> list[str]:
        assert kind == "GPU"
        return self.found

    def get_visible_devices(self, kind: str) -> list[str]:
        assert kind == "GPU"
        return self.visible

    def set_visible_devices(self, chosen: list[str], kind: str) -> None:
        assert kind == "GPU"
        if self.started:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.visible = chosen

    def set_memory_growth(self, gpu: str, enable: bool) -> None:
        assert enable
        self.growing.append(gpu)


def fake(monkeypatch: pytest.MonkeyPatch, gpus: int, **facts: Any) -> FakeConfig:
    config = FakeConfig(gpus, **facts)
    monkeypatch.setattr(tf, "config", config)
    return config


@pytest.mark.parametrize(
    ("device", "gpus", "name", "visible"),
    [
        ("auto", 0, "CPU", []),
        ("auto", 2, "GPU:0", ["gpu0"]),
        ("cpu", 2, "CPU", []),
        ("gpu", 2, "GPU:0", ["gpu0"]),
        ("gpu:1", 2, "GPU:1", ["gpu1"]),
    ],
)
def test_tensorflow_sees_only_what_was_asked_for(
    device: str, gpus: int, name: str, visible: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fake(monkeypatch, gpus)
    assert use_device(device) == name
    assert config.visible == config.growing == visible


@pytest.mark.parametrize(("device", "gpus"), [("gpu", 0), ("gpu:0", 0), ("gpu:2", 2)])
def test_a_gpu_that_is_not_there_is_told_with_advice(
    device: str, gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, gpus)
    with pytest.raises(MalscanError, match=rf"--device {device}: .* {gpus} GPUs .*--device cpu"):
        use_device(device)


def test_a_process_that_has_computed_can_go_on_with_the_same_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = fake(monkeypatch, 1, started=True)
    assert use_device("auto") == "GPU:0"
    with pytest.raises(MalscanError, match="has computed on another device already"):
        use_device("cpu")
    assert config.visible == ["gpu0"]


class TestPolicy:
    @pytest.mark.parametrize(
        ("asked", "gpus", "native", "wide", "policy"),
        [
            ("auto", 0, False, True, "float32"),
            ("auto", 0, True, True, "mixed_bfloat16"),
            ("auto", 0, True, False, "float32"),
            ("auto", 1, False, True, "mixed_bfloat16"),
            ("float32", 1, True, True, "float32"),
            ("bfloat16", 0, False, False, "mixed_bfloat16"),
            ("float16", 1, False, False, "mixed_float16"),
        ],
    )
    def test_it_follows_from_wish_network_and_machine(
        self,
        asked: str,
        gpus: int,
        native: bool,
        wide: bool,
        policy: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fake(monkeypatch, gpus)
        monkeypatch.setattr(devices, "computes_bfloat16", lambda: native)
        assert training_policy(Precision(asked), wide=wide) == policy

    def test_float16_needs_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fake(monkeypatch, 0)
        with pytest.raises(MalscanError, match=r"--precision float16 needs a GPU\. Give float32"):
            training_policy(Precision.FLOAT16, wide=True)

    def test_it_holds_inside_and_is_put_back_even_after_an_error(self) -> None:
        before = keras.config.dtype_policy().name
        with pytest.raises(KeyError), dtype_policy("mixed_bfloat16"):
            assert keras.layers.Dense(1).compute_dtype == "bfloat16"
            raise KeyError
        assert keras.config.dtype_policy().name == before


def test_matrix_units_are_looked_for_where_linux_lists_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for content, found in (("flags: amx_bf16 amx_tile", True), ("flags: avx2", False)):
        (tmp_path / "cpuinfo").write_text(content)
        monkeypatch.setattr(devices, "Path", lambda path: tmp_path / "cpuinfo")
        assert computes_bfloat16() is found
    monkeypatch.setattr(devices, "Path", lambda path: tmp_path / "nothing")
    assert computes_bfloat16() is False
