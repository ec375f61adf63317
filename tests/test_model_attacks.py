"""Model files from a stranger: refused with a reason, and nothing runs, is read, or is opened.

One process meets all of them, with ears on what Python opens and starts. What the HDF5 library
opens by itself is heard by the system (inotify) on a file that several of them point to. Attacks
on the layers of a network are in `test_foreign.py`, on the fields of `model.json` in
`test_model.py`.
"""

import ctypes
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import strange_models as strange
from conftest import ROOT
from draw_cells import draw_cell

pytestmark = pytest.mark.slow

LISTENER = r"""
import json, os, re, resource, sys
from pathlib import Path
heard = []
def hear(event, args):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system",
                         "os.fork", "ctypes.", "pickle.", "webbrowser.", "urllib.", "ftplib.")):
        heard.append([event, str(args)[:300]])
    elif event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        heard.append(["open", os.fsdecode(args[0])])
sys.addaudithook(hear)
cells, *models = sys.argv[1:]
from malscan.cli import main
# The first one comes twice: meeting it, Python loads what it needs.
for number, model in enumerate([models[0], *models], -1):
    heard.clear()
    sys.argv = ["malscan", "scan", cells, "--out", f"{number}.csv", "--model", model]
    try:
        main()
    except SystemExit as end:
        code = end.code
    print(json.dumps({"code": code, "heard": heard}), flush=True)
    print("next", file=sys.stderr, flush=True)
# Of this process since it began (what `wait4` tells holds the memory of whoever started it).
own = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)))
"""


@dataclass(frozen=True)
class Attack:
    """One model file: how it is made, and what the message about it says.

    `make` gets a folder of its own, a folder whose appearance means that code has run, and a file
    outside that nobody may read.
    """

    make: Callable[[Path, Path, Path], Path | str]
    reason: str
    code: int = 1


def _linked_member(folder: Path, mark: Path, secret: Path) -> Path:
    info = zipfile.ZipInfo("metadata.json")
    info.external_attr = 0o120777 << 16
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(strange.config()))
        archive.writestr("model.weights.h5", strange.weights())
        archive.writestr(info, str(secret))
    return path


def _many_members(folder: Path, mark: Path, secret: Path) -> Path:
    members = tuple((f"{number}", b"") for number in range(5000))
    return strange.keras_zip(folder / "m.keras", members=members)


def _external(folder: Path, mark: Path, secret: Path) -> Path:
    def change(file: h5py.File) -> None:
        file.create_dataset("x", (4,), "f4", external=[(str(secret), 0, 16)])

    return strange.whole_h5(folder / "m.h5", change)


def _virtual(folder: Path, mark: Path, secret: Path) -> Path:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
        file.create_virtual_dataset("x", layout)

    return strange.whole_h5(folder / "m.h5", change)


def _external_link(folder: Path, mark: Path, secret: Path) -> Path:
    def change(file: h5py.File) -> None:
        file["away"] = h5py.ExternalLink(str(secret), "/x")

    return strange.keras_zip(folder / "m.keras", held=strange.weights(change))


def _huge_block(folder: Path, mark: Path, secret: Path) -> Path:
    """An array of 16 bytes in one block that unpacks to 400 MB."""

    def change(file: h5py.File) -> None:
        shape = {"shape": (4,), "maxshape": (None,), "chunks": (10**8,)}
        array = file.create_dataset("x", dtype="f4", compression="gzip", **shape)
        array.id.write_direct_chunk((0,), _deflated(4 * 10**8))

    return strange.whole_h5(folder / "m.h5", change)


def _swelling_block(folder: Path, mark: Path, secret: Path) -> Path:
    """A block of 4,000 bytes that unpacks to 400 MB."""

    def change(file: h5py.File) -> None:
        array = file.create_dataset("x", (1000,), "f4", chunks=(1000,), compression="gzip")
        array.id.write_direct_chunk((0,), _deflated(4 * 10**8))

    return strange.whole_h5(folder / "m.h5", change)


@cache
def _deflated(size: int) -> bytes:
    packer, block = zlib.compressobj(1), bytes(10**7)
    return b"".join(packer.compress(block) for _ in range(size // 10**7)) + packer.flush()


def _many_arrays(folder: Path, mark: Path, secret: Path) -> Path:
    def change(file: h5py.File) -> None:
        for number in range(30):
            options: dict[str, Any] = {"chunks": (10**6,), "compression": "gzip"}
            file.create_dataset(f"x{number}", (10**7,), "f4", **options)

    return strange.whole_h5(folder / "m.h5", change)


def _swollen_weights(folder: Path, mark: Path, secret: Path) -> Path:
    return strange.keras_zip(folder / "m.keras", held=bytes(2 * 10**8))


def _folder_of_links(name: str) -> Callable[[Path, Path, Path], Path]:
    def make(folder: Path, mark: Path, secret: Path) -> Path:
        path = strange.model_folder(folder / "m", strange.safetensors({}))
        (path / name).unlink()
        (path / name).symlink_to(secret)
        return path

    return make


def _folder_of_pipes(name: str) -> Callable[[Path, Path, Path], Path]:
    def make(folder: Path, mark: Path, secret: Path) -> Path:
        path = strange.model_folder(folder / "m", strange.safetensors({}))
        (path / name).unlink()
        os.mkfifo(path / name)
        return path

    return make


def _folder(arrays: bytes, **facts: Any) -> Callable[[Path, Path, Path], Path]:
    def make(folder: Path, mark: Path, secret: Path) -> Path:
        return strange.model_folder(folder / "m", arrays, lambda found: found.update(facts))

    return make


def _folder_of_pickles(folder: Path, mark: Path, secret: Path) -> Path:
    return strange.model_folder(folder / "m", strange.pickled(mark))


def _saved_model(folder: Path, mark: Path, secret: Path) -> Path:
    (folder / "m").mkdir()
    for name in ("saved_model.pb", "keras_metadata.pb", "__init__.py"):
        (folder / "m" / name).write_text(f"import os; os.mkdir({str(mark)!r})")
    return folder / "m"


def _named(name: str, data: Callable[[Path], bytes]) -> Callable[[Path, Path, Path], Path]:
    def make(folder: Path, mark: Path, secret: Path) -> Path:
        (folder / name).write_bytes(data(mark))
        return folder / name

    return make


def _layer(**entry: Any) -> Callable[[Path, Path, Path], Path]:
    def make(folder: Path, mark: Path, secret: Path) -> Path:
        text = json.dumps(entry).replace("SECRET", str(secret))
        return strange.keras_zip(folder / "m.keras", strange.with_layer(json.loads(text)))

    return make


def _lambda(folder: Path, mark: Path, secret: Path) -> Path:
    entry = {"class_name": "Lambda", "config": {"name": "l", "function": strange.lambda_of(mark)}}
    return strange.keras_zip(folder / "m.keras", strange.with_layer(entry))


def _lambda_in_h5(folder: Path, mark: Path, secret: Path) -> Path:
    facts = strange.config()
    facts["config"]["layers"][1] = {"class_name": "Lambda", "config": strange.lambda_of(mark)}

    def change(file: h5py.File) -> None:
        file.attrs["model_config"] = json.dumps(facts)

    return strange.whole_h5(folder / "m.h5", change)


def _member(name: str) -> Callable[[Path, Path, Path], Path]:
    def make(folder: Path, mark: Path, secret: Path) -> Path:
        return strange.keras_zip(folder / "m.keras", members=((name, b"x"),))

    return make


TENSOR = strange.tensor
HUGE = {"x": TENSOR([2**40, 2**20], 0, 8)}
ATTACKS: dict[str, Attack] = {
    "Lambda layer": Attack(_lambda, "it has a Lambda, which is not among the layers"),
    "Lambda layer in h5": Attack(_lambda_in_h5, "it has a Lambda, which is not among the layers"),
    "TFSMLayer": Attack(
        _layer(class_name="TFSMLayer", config={"name": "t", "filepath": "SECRET"}),
        "it has a TFSMLayer",
    ),
    "vocabulary of a path": Attack(
        _layer(class_name="StringLookup", config={"name": "s", "vocabulary": "SECRET"}),
        "it has a StringLookup",
    ),
    "registered name": Attack(
        _layer(class_name="Flatten", registered_name="os>system", config={"name": "f"}),
        "it names os>system, which is not a part of Keras",
    ),
    "module": Attack(
        _layer(class_name="Flatten", module="subprocess", config={"name": "f"}),
        "it names subprocess, which is not a part of Keras",
    ),
    "zip: parent folder": Attack(_member("../evil.py"), "it holds '../evil.py', a part not known"),
    "zip: absolute": Attack(_member("/tmp/evil.py"), "it holds '/tmp/evil.py', a part not known"),
    "zip: asset": Attack(_member("assets/v.txt"), "it holds 'assets/v.txt', a part not known"),
    "zip: link": Attack(_linked_member, "its metadata.json is a link"),
    "zip: twice": Attack(_member("config.json"), "it holds config.json more than once"),
    "zip: thousands of members": Attack(_many_members, "it holds more parts than a model has"),
    "zip: swelling weights": Attack(
        _swollen_weights, r"200,000,000 bytes unpacked, over the [\d,]+ that its network can need"
    ),
    "HDF5: external data": Attack(_external, "'x' lies in another file"),
    "HDF5: virtual data": Attack(_virtual, "'x' lies in another file"),
    "HDF5: link to another file": Attack(_external_link, "'away' is a link"),
    "HDF5: block larger than its array": Attack(_huge_block, "damaged|takes more memory"),
    "HDF5: block that swells": Attack(_swelling_block, "damaged|takes more memory"),
    "HDF5: many arrays": Attack(_many_arrays, "its arrays are larger than 1 GB"),
    "pickle": Attack(_named("m.pkl", strange.pickled), "or a file ending in .keras, .h5 or .hdf5"),
    "pickle as .h5": Attack(_named("m.h5", strange.pickled), "it is damaged, or no HDF5 file"),
    "pickle as .keras": Attack(_named("m.keras", strange.pickled), "it is damaged, or no .keras"),
    "npy with a pickle": Attack(_named("m.npy", strange.npy_of_objects), "or a file ending in"),
    "pickle as weights": Attack(_folder_of_pickles, "weights.safetensors is damaged"),
    "SavedModel": Attack(_saved_model, "model.json: No such file"),
    "folder: model.json is a link": Attack(_folder_of_links("model.json"), "model.json is a link"),
    "folder: weights are a link": Attack(
        _folder_of_links("weights.safetensors"), "weights.safetensors is a link"
    ),
    "folder: model.json is a pipe": Attack(
        _folder_of_pipes("model.json"), "model.json is not a regular file"
    ),
    "folder: weights are a pipe": Attack(
        _folder_of_pipes("weights.safetensors"), "weights.safetensors is not a regular file"
    ),
    "folder: other weights": Attack(
        _folder(strange.safetensors({}), weights_sha256="0" * 64), "sha256 differs"
    ),
    "folder: parent folder as name": Attack(
        _folder(b"", name="../../evil", network="../evil"), "weights.safetensors is damaged"
    ),
    "folder: name without end": Attack(
        _folder(b"", weights_sha256=None, name="x" * 10**6), "sha256 differs"
    ),
    "safetensors: header without end": Attack(
        _folder(strange.safetensors(b"{}", length=2**62)), "weights.safetensors is damaged"
    ),
    "safetensors: nested header": Attack(
        _folder(strange.safetensors(b'{"a":' * 50_000)), "weights.safetensors is damaged"
    ),
    "safetensors: huge shape": Attack(
        _folder(strange.safetensors(HUGE, bytes(8))), "weights.safetensors is damaged"
    ),
    "safetensors: empty and huge": Attack(
        _folder(strange.safetensors({"x": TENSOR([0, 2**62, 2**62], 0, 0)})),
        "weights.safetensors is damaged",
    ),
    "safetensors: arrays overlap": Attack(
        _folder(strange.safetensors({"x": TENSOR([2], 0, 8), "y": TENSOR([2], 0, 8)}, bytes(8))),
        "weights.safetensors is damaged",
    ),
    "safetensors: outside of the file": Attack(
        _folder(strange.safetensors({"x": TENSOR([10], 40, 80)}, bytes(8))),
        "weights.safetensors is damaged",
    ),
    "safetensors: unknown numbers": Attack(
        _folder(strange.safetensors({"x": TENSOR([2], 0, 4, "F8_E9M9")}, bytes(4))),
        "weights.safetensors is damaged",
    ),
    "address: http": Attack(lambda *_: "http://127.0.0.1:9/m.keras", "no such model", 2),
    "address: https": Attack(lambda *_: "https://localhost/m.h5", "no such model", 2),
    "address: s3": Attack(lambda *_: "s3://bucket/m.keras", "no such model", 2),
    "address: gs": Attack(lambda *_: "gs://bucket/model", "no such model", 2),
    "address: hf": Attack(lambda *_: "hf://owner/model", "no such model", 2),
    "address: file": Attack(lambda *_: "file:///etc/passwd", "no such model", 2),
    "device": Attack(lambda *_: "/dev/zero", "or a file ending in .keras, .h5 or .hdf5"),
}


class Watch:
    """Hears from the system whether a file is opened, by whichever process."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK)
        opened_or_read = 0x20 | 0x01
        assert libc.inotify_add_watch(self._file, os.fsencode(path), opened_or_read) >= 0

    def heard(self) -> bool:
        try:
            return bool(os.read(self._file, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True)
class Met:
    """What happened when malscan met a model file."""

    code: int
    message: str
    heard: list[tuple[str, str]]


@dataclass(frozen=True)
class Encounter:
    """What happened in the whole process."""

    met: dict[str, Met]
    work: Path
    code_ran: bool
    secret_read: bool
    peak: int
    """Most memory that it, or a process of its own, has held, bytes."""


@pytest.fixture(scope="module")
def encounter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encounter]:
    work = tmp_path_factory.mktemp("attacks")
    secret, mark = work / "secret", work / "code-has-run"
    secret.write_text('{"schema": "malscan.model/1", "password": "swordfish"}')
    (work / "cells").mkdir()
    draw_cell(np.random.default_rng(1), True, size=40).save(work / "cells" / "a.png")
    models: list[str] = []
    for number, attack in enumerate(ATTACKS.values()):
        folder = work / f"model-{number}"
        folder.mkdir()
        models.append(str(attack.make(folder, mark, secret)))
    watch = Watch(secret)
    done = subprocess.run(
        [sys.executable, "-c", LISTENER, "cells", *models],
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    _, *facts, peak = [json.loads(line) for line in done.stdout.splitlines()]
    messages = done.stderr.split("next\n")[1:]
    met = {
        name: Met(fact["code"], message, [tuple(one) for one in fact["heard"]])
        for name, fact, message in zip(ATTACKS, facts, messages, strict=False)
    }
    yield Encounter(met, work, mark.exists(), watch.heard(), peak * 1024)
    watch.close()


@pytest.mark.timeout(300)
@pytest.mark.fault("model files that would run code, read files, connect or fill the memory")
@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_refused_in_one_line_that_says_why(name: str, encounter: Encounter) -> None:
    met, attack = encounter.met[name], ATTACKS[name]
    assert met.code == attack.code, met.message
    assert met.message.startswith("malscan: ")
    assert met.message.count("\n") == 1
    assert len(met.message) < 600
    assert re.search(attack.reason, met.message) or attack.reason in met.message
    assert "swordfish" not in met.message


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_started_or_connected_and_nothing_outside_is_opened(
    name: str, encounter: Encounter
) -> None:
    number = list(ATTACKS).index(name)
    own = str(encounter.work / f"model-{number}")
    for event, detail in encounter.met[name].heard:
        if event == "open":
            temporary = tempfile.gettempdir()
            of_python = "/lib/python" in detail or detail.startswith(str(ROOT / "malscan"))
            of_python = of_python or temporary in (detail, str(Path(detail).parent))
            of_system = detail.startswith(("/proc/", "/sys/", "/dev/null"))
            of_report = detail.startswith(str(encounter.work / f".{number}.csv"))
            # Before it locks, filelock asks whether the folder of the report knows locks.
            of_report = of_report or detail == str(encounter.work)
            assert detail.startswith(own) or of_report or of_python or of_system, detail
            assert detail != str(encounter.work / "secret")
        else:
            # The one process that may be started is the check of an HDF5 file.
            assert event.startswith(("subprocess.", "os.posix_spawn", "os.fork")), (event, detail)
            assert event != "subprocess.Popen" or "hdf5_check.py" in detail, detail


def test_no_code_has_run_and_the_file_outside_was_not_read(encounter: Encounter) -> None:
    assert len(encounter.met) == len(ATTACKS)
    assert not encounter.code_ran
    assert not encounter.secret_read
    assert not list(encounter.work.glob("*.csv"))
    assert not Path("/tmp/evil.py").exists()


def test_the_watch_would_have_heard(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros(4)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["away"] = h5py.ExternalLink(str(secret), "/x")
    watch = Watch(secret)
    with h5py.File(tmp_path / "m.h5") as file:
        assert file["away"][0] == 0
    assert watch.heard()
    watch.close()


def test_memory_stays_within_bounds(encounter: Encounter) -> None:
    assert encounter.peak < 0.4 * 10**9


def test_the_payloads_would_run_if_they_were_loaded(tmp_path: Path) -> None:
    import pickle

    pickle.loads(strange.pickled(tmp_path / "mark"))
    assert (tmp_path / "mark").exists()
    assert struct.unpack("<Q", strange.safetensors({})[:8]) == (2,)
