"""What a machine can compute with, found out from the files where Linux tells it."""

from pathlib import Path

import pytest

from malscan import hardware
from malscan.hardware import (
    gpus_to_use,
    has_bfloat16,
    has_fast_bfloat16,
    processor_flags,
    visible_gpus,
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose files lie in this folder: without GPUs, and with a plain processor."""
    monkeypatch.setattr(hardware, "_PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.setattr(hardware, "_NVIDIA", tmp_path / "gpus")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    set_flags(tmp_path, "avx2 avx512f")
    return tmp_path


def set_flags(machine: Path, flags: str, vendor: str = "GenuineIntel") -> None:
    (machine / "cpuinfo").write_text(
        f"vendor_id\t: {vendor}\nmodel name : X\nflags\t\t: {flags}\nbugs : bf16\n"
    )


def add_gpu(machine: Path, address: str, model: str) -> None:
    folder = machine / "gpus" / address
    folder.mkdir(parents=True)
    (folder / "information").write_text(f"Model: \t\t {model}\nIRQ: 1\n")


@pytest.mark.parametrize(
    ("flags", "vendor", "there", "fast"),
    [
        ("avx2 avx512f", "AuthenticAMD", False, False),
        ("avx2 avx512_bf16", "GenuineIntel", True, False),
        ("avx2 avx512_bf16", "AuthenticAMD", True, True),
        ("amx_bf16 amx_tile avx512_bf16", "GenuineIntel", True, True),
    ],
)
def test_bfloat16_is_looked_for_among_the_flags_and_fast_on_some_processors_alone(
    flags: str, vendor: str, there: bool, fast: bool, machine: Path
) -> None:
    set_flags(machine, flags, vendor)
    assert processor_flags() == flags.split()
    assert (has_bfloat16(), has_fast_bfloat16()) == (there, fast)


def test_a_system_that_does_not_tell_has_nothing(machine: Path) -> None:
    (machine / "cpuinfo").unlink()
    assert processor_flags() == []
    assert not has_bfloat16()
    assert not has_fast_bfloat16()


class TestGpus:
    def test_they_are_counted_and_named_as_the_driver_lists_them(self, machine: Path) -> None:
        assert visible_gpus() == []
        add_gpu(machine, "0000:0a:00.0", "Fake A")
        add_gpu(machine, "0000:0b:00.0", "Fake B")
        assert visible_gpus() == ["0", "1"]
        assert gpus_to_use("auto") == ["Fake A", "Fake B"]
        assert gpus_to_use("cpu") == []

    def test_those_hidden_by_the_environment_are_left_out(
        self, machine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_gpu(machine, "0000:0a:00.0", "Fake A")
        add_gpu(machine, "0000:0b:00.0", "Fake B")
        for value, numbers, models in (
            ("1", ["1"], ["Fake B"]),
            ("-1", [], []),
            ("GPU-12ab", ["GPU-12ab"], ["GPU-12ab"]),
            ("7", ["7"], ["7"]),
        ):
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
            assert visible_gpus() == numbers
            assert gpus_to_use("gpu") == models
