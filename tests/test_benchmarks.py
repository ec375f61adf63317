"""The benchmark scripts run; what they measure is not judged here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from malscan.hardware import has_bfloat16

pytestmark = pytest.mark.slow


def test_throughput_measures_the_ways_on_the_same_images(labelled: Path, tmp_path: Path) -> None:
    script, chart = ROOT / "benchmarks" / "throughput.py", tmp_path / "chart.svg"
    ways = ["notebook", "malscan-embedded-float32", "floor"]
    options = ["--rounds", "1", "--images", "100", "--chart", str(chart), "--ways", *ways]

    done = subprocess.run(
        [sys.executable, str(script), str(labelled), *options],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "100 images, 1 rounds" in done.stdout
    for title in ("notebook: ", "malscan scan: the embedded network, float32", "floor: "):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(title)]
        assert float(line.split()[-5]) > 0
        assert title in chart.read_text()
    assert "a scan takes longer by" in done.stdout


@pytest.mark.parametrize("network", ["baseline", "embedded"])
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_other_runtimes_compute_what_malscan_does(
    runtime: str, network: str, labelled: Path
) -> None:
    """The script ends with an error where one does not."""
    pytest.importorskip(runtime)
    pytest.importorskip("onnx")
    script = ROOT / "benchmarks" / "throughput.py"
    ways = [f"malscan-{network}-float32", f"{runtime}-{network}-float32"]

    options = ["--rounds", "1", "--images", "60", "--ways", *ways]

    subprocess.run(
        [sys.executable, str(script), str(labelled), *options], check=True, capture_output=True
    )


def test_time_and_memory_are_measured_for_each_number_of_images_and_cores(labelled: Path) -> None:
    script = ROOT / "benchmarks" / "scaling.py"

    done = subprocess.run(
        [sys.executable, str(script), str(labelled), "--images", "60", "120", "--cores", "1", "2"],
        capture_output=True,
        text=True,
        check=True,
    )

    measured = [line.split()[:2] for line in done.stdout.splitlines()[1:]]
    assert measured == [["60", "1"], ["60", "2"], ["120", "1"], ["120", "2"]]


def test_training_is_measured_for_each_way(labelled: Path) -> None:
    script = ROOT / "benchmarks" / "training.py"

    done = subprocess.run(
        [sys.executable, str(script), str(labelled), "--rounds", "1", "--images", "100"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "100 images, 1 rounds" in done.stdout
    assert done.stdout.count("median of the rounds' ratios") == 3


@pytest.mark.skipif(not has_bfloat16(), reason="processor without bfloat16")
def test_precisions_are_compared_on_the_cells_of_some_patients(
    labelled: Path, tmp_path: Path
) -> None:
    script, patients = ROOT / "benchmarks" / "precision.py", tmp_path / "patients.txt"
    names = sorted({path.name.partition("P")[0] for path in labelled.rglob("*.png")})
    patients.write_text(names[0])

    done = subprocess.run(
        [sys.executable, str(script), str(labelled), "--patients", str(patients)],
        capture_output=True,
        text=True,
        check=True,
    )

    cells = len(list(labelled.rglob(f"{names[0]}P*.png")))
    assert f"{cells} cells of test patients" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| `compact`")]
    exact, short, largest = (float(cell) for cell in row.split("|")[2:5])
    assert min(exact, short) > 0
    assert 0 < largest < 0.1


def test_a_cluster_is_measured_against_one_machine(labelled: Path) -> None:
    script = ROOT / "benchmarks" / "cluster.py"
    options = ("--images", "300", "--workers", "1", "--rounds", "1")

    done = subprocess.run(
        [sys.executable, str(script), str(labelled), *options],
        capture_output=True,
        text=True,
        check=True,
    )

    measured = [line.split()[:2] for line in done.stdout.splitlines()[1:]]
    assert measured == [["300", "1"]]


def test_damaged_files_are_counted_by_kind_and_none_is_missed() -> None:
    script = ROOT / "benchmarks" / "abuse.py"

    done = subprocess.run(
        [sys.executable, str(script), "--files", "300", "--seed", "5", "--short"],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'examples'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )

    table = {line[:44].strip(): line[44:].split() for line in done.stdout.splitlines()}
    files, refused, scored, missed, _ = map(int, table["TOTAL"])
    assert (files, refused + scored, missed) == (300, 300, 0)
    assert {"PNG", "JPEG", "TIFF", "GIF", "BMP", "WebP", "any format", "undamaged"} <= set(table)


def test_the_notebook_is_run_as_it_was_published_beside_malscan(
    labelled: Path, tmp_path: Path
) -> None:
    script, post = ROOT / "benchmarks" / "side_by_side.py", tmp_path / "post.txt"
    code = (
        "import glob\nfrom PIL import Image\n",
        "for path in sorted(glob.glob('/content/cell_images/*/*.png')):\n"
        "    Image.open(path).load()\nprint('looked at all')\n",
    )
    fences = "".join(f"Then type:\n```python\n{cell}```\n" for cell in ("!wget x.zip\n", *code))
    post.write_text(fences)

    done = subprocess.run(
        [sys.executable, str(script), str(labelled), "--notebook", str(post), "--images", "60"],
        capture_output=True,
        text=True,
        check=True,
    )

    first, _, notebook, whole, cut, *malscan = done.stdout.splitlines()
    assert first.startswith("60 cells of ")
    assert notebook.split()[2] == str(len("".join(code)))
    assert whole.endswith("looked at all")
    assert "truncated" in cut
    exits = [tuple(line.split()[-4:][i] for i in (1, 3)) for line in (notebook, *malscan[::3])]
    assert exits == [("0", "1"), ("0", "3"), ("0", "3")]
