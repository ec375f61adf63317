"""What makes a scan start afresh: all that its probabilities and calls follow from."""

import os
from dataclasses import replace
from typing import Any

import pytest

from malscan.model import EMBEDDED, Model, load_model
from malscan.report.interface import ScanFacts
from malscan.scanning import fingerprint as module
from malscan.scanning.fingerprint import changed, fingerprint

FACTS = ScanFacts(
    threshold=0.5,
    uncertain=None,
    min_cells=2000,
    batch_size=256,
    precision="float32",
    any_size=False,
    summary_only=False,
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(EMBEDDED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 0.4}, ["threshold"]),
        ({"uncertain": (0.3, 0.7)}, ["doubt band"]),
        ({"batch_size": 64}, ["batch size"]),
        ({"precision": "bfloat16"}, ["precision"]),
        ({"any_size": True}, ["size limit"]),
        ({"min_cells": 500}, []),
        ({"summary_only": True}, []),
    ],
)
def test_settings_count_as_far_as_rows_follow_from_them(
    change: dict[str, Any], said: list[str], model: Model
) -> None:
    assert changed(fingerprint(model, FACTS), fingerprint(model, replace(FACTS, **change))) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, ["model"]),
        ({"kernel": "bilinear"}, ["preprocessing"]),
        ({"rescale": 1.0}, ["preprocessing"]),
        ({"class_order": ("uninfected", "parasitized")}, ["preprocessing"]),
    ],
)
def test_the_model_and_how_it_is_fed_count(
    change: dict[str, Any], said: list[str], model: Model
) -> None:
    assert changed(fingerprint(model, FACTS), fingerprint(replace(model, **change), FACTS)) == said


def test_versions_of_decoders_count(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(model, FACTS)
    monkeypatch.setattr(module, "version_of", lambda name: "0")
    decoders = [f"version of {name}" for name in ("isal", "pillow", "simplejpeg")]
    assert changed(before, fingerprint(model, FACTS)) == decoders


def test_what_is_computed_on_counts(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(model, FACTS)
    monkeypatch.setattr(module, "processor_flags", lambda: ["avx2"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(99)))
    monkeypatch.setattr(module, "gpus_to_use", lambda device: ["a GPU"])
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    said = ["device", "oneDNN", "processor", "number of processor cores"]
    assert changed(before, fingerprint(model, FACTS)) == said


def test_results_of_one_machine_and_of_a_cluster_are_not_taken_for_the_same(model: Model) -> None:
    there = fingerprint(model, FACTS, on_cluster=True)
    said = ["device", "oneDNN", "processor", "number of processor cores"]
    assert changed(fingerprint(model, FACTS), there) == said
