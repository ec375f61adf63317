"""The place of a training: checked, locked, with a folder for what must outlive a crash."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tensorflow as tf

from malscan.atomic import locked
from malscan.devices import use_device
from malscan.errors import MalscanError, StoppedError
from malscan.model import METADATA
from malscan.own_record import is_own_record
from malscan.training.settings import Machine, TrainSettings

FOLDS_RECORD = "cross_validation.json"
"""What tells a folder of a cross-validation from any other folder."""


@contextmanager
def workplace(settings: TrainSettings) -> Iterator[Path]:
    """Hold the place of a model, and give the folder for state until it is there.

    The folder `.NAME.malscan` beside the model goes when the model has come; if the training
    does not come to its end, it stays for the next run.

    Raises:
        LockedError: another training writes the same model.
        StoppedError: the training was asked to stop.
        MalscanError: an existing model without `force`, a folder that cannot be written, or
            no such device.
    """
    out = Path(os.path.realpath(settings.out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MalscanError(f"cannot make the folder of {out}: {error.strerror}") from None
    with locked([settings.out]):
        _check_target(settings, out)
        if settings.cluster is None:
            use_machine(settings.machine)
        state = out.with_name(f".{out.name}.malscan")
        try:
            state.mkdir(exist_ok=True)
        except OSError as error:
            raise MalscanError(f"cannot write beside {out}: {error.strerror}") from None
        try:
            yield state
        except StoppedError as stop:
            kept = "finished epochs are kept, and the same command goes on after them"
            raise StoppedError(stop.exit_code, f"{stop}; {kept}") from None
        finally:
            drop_caches(state)
            # Empty: nothing was finished yet that a next run could use.
            with suppress(OSError):
                state.rmdir()
        shutil.rmtree(state, ignore_errors=True)


def drop_caches(state: Path) -> None:
    """Free the disk of decoded images; what a next run goes on from stays."""
    for cache in state.rglob("*.cache"):
        cache.unlink()


def use_machine(machine: Machine) -> None:
    """Let this process train as the settings say.

    Raises:
        MalscanError: there is no such device.
    """
    use_device(machine.device)
    if machine.deterministic:
        tf.config.experimental.enable_op_determinism()


def _check_target(settings: TrainSettings, out: Path) -> None:
    """Refuse, before hours of work, a target that must not or cannot be replaced."""
    for path in (out, settings.save_h5):
        if path is not None and path.exists() and not settings.force:
            raise MalscanError(f"{path} exists already. Name another, or give --force.")
    if not out.exists():
        return
    if not (is_own_record(out / METADATA, "model") or is_own_record(out / FOLDS_RECORD, "folds")):
        raise MalscanError(
            f"{settings.out} is no model, and --force replaces only models. Name another folder."
        )
    if Path(os.path.realpath(settings.data.data)).is_relative_to(out):
        raise MalscanError(f"{settings.out} holds the training data. Name another folder.")
