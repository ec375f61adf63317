"""What to compute on: told apart by name, refused with advice where it is not there."""

from typing import Any

import keras
import pytest
import tensorflow as tf

from malscan import devices
from malscan.devices import computing_in, devices_in_words, training_precision, use_device
from malscan.errors import MalscanError
from malscan.settings import Precision


class FakeConfig:
    """Stands for `tf.config` of a machine with some GPUs."""

    def __init__(
        self, gpus: int, *, started: bool = False, capability: tuple[int, int] = (9, 0)
    ) -> None:
        self.found = [f"gpu{number}" for number in range(gpus)]
        self.visible = list(self.found)
        self.growing: list[str] = []
        self.tf32 = True
        self.capability = capability
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

    def enable_tensor_float_32_execution(self, enabled: bool) -> None:
        self.tf32 = enabled

    def get_device_details(self, gpu: str) -> dict[str, Any]:
        assert gpu in self.visible
        return {"device_name": f"Fake {gpu}", "compute_capability": self.capability}


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
    assert not config.tf32, "float32 would have 10 bits"


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


def test_what_is_computed_on_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, 2)
    use_device("gpu:1")
    assert devices_in_words().endswith(" cores and Fake gpu1")


@pytest.mark.parametrize(
    ("asked", "gpus", "fast", "wide", "used"),
    [
        ("auto", 0, False, True, "float32"),
        ("auto", 0, True, True, "bfloat16"),
        ("auto", 0, True, False, "float32"),
        ("auto", 1, False, True, "bfloat16"),
        ("float32", 1, True, True, "float32"),
        ("bfloat16", 0, False, False, "bfloat16"),
        ("float16", 1, False, False, "float16"),
    ],
)
def test_what_a_training_computes_in_follows_from_wish_network_and_machine(
    asked: str,
    gpus: int,
    fast: bool,
    wide: bool,
    used: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(monkeypatch, gpus)
    monkeypatch.setattr(devices, "has_fast_bfloat16", lambda: fast)
    assert training_precision(Precision(asked), wide=wide) == used


def test_a_training_on_a_gpu_without_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(monkeypatch, 1, capability=(7, 5))
    assert training_precision(Precision.AUTO, wide=True) == "float32"


class TestComputingIn:
    def test_it_holds_inside_and_is_put_back_even_after_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(devices, "has_bfloat16", lambda: True)
        before = keras.config.dtype_policy().name
        with pytest.raises(KeyError), computing_in(Precision.BFLOAT16) as policy:
            assert policy == "mixed_bfloat16"
            assert keras.layers.Dense(1).compute_dtype == "bfloat16"
            raise KeyError
        assert keras.config.dtype_policy().name == before

    @pytest.mark.parametrize(
        ("precision", "gpus", "capability", "native", "policy"),
        [
            ("float32", 0, (0, 0), False, "float32"),
            ("bfloat16", 0, (0, 0), True, "mixed_bfloat16"),
            ("bfloat16", 1, (8, 0), False, "mixed_bfloat16"),
            ("float16", 1, (7, 0), False, "mixed_float16"),
        ],
    )
    def test_it_takes_what_is_there(
        self,
        precision: str,
        gpus: int,
        capability: tuple[int, int],
        native: bool,
        policy: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fake(monkeypatch, gpus, capability=capability)
        monkeypatch.setattr(devices, "has_bfloat16", lambda: native)
        with computing_in(Precision(precision)) as found:
            assert found == policy

    @pytest.mark.parametrize(
        ("precision", "gpus", "capability", "native", "message"),
        [
            ("float16", 0, (0, 0), True, r"float16 needs a GPU\. Give float32"),
            ("bfloat16", 0, (0, 0), False, r"processor does not have it .* Give auto or float32"),
            ("bfloat16", 1, (7, 5), True, r"GPU does not have it .* Give float32 or float16"),
        ],
    )
    def test_it_refuses_what_is_not_there_with_advice(
        self,
        precision: str,
        gpus: int,
        capability: tuple[int, int],
        native: bool,
        message: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fake(monkeypatch, gpus, capability=capability)
        monkeypatch.setattr(devices, "has_bfloat16", lambda: native)
        with pytest.raises(MalscanError, match=message), computing_in(Precision(precision)):
            pass
