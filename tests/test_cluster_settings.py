"""What `--cluster` takes, and what it says of what it does not take."""

import pytest
from conftest import Cli

from malscan.cluster import settings
from malscan.cluster.settings import ClusterSettings
from malscan.errors import UsageError


@pytest.mark.parametrize(
    ("text", "name", "workers"),
    [
        ("tcp://node7:8786", "tcp://node7:8786", None),
        ("tls://10.0.0.7:8786", "tls://10.0.0.7:8786", None),
        ("local", "local", None),
        ("local:4", "local", 4),
        ("slurm:16", "slurm", 16),
        ("pbs", "pbs", None),
    ],
)
def test_addresses_and_kinds(text: str, name: str, workers: int | None) -> None:
    found = ClusterSettings.parse(text)

    assert (found.name, found.workers, str(found)) == (name, workers, text)


@pytest.mark.parametrize(
    "text", ["", "node7:8786", "tcp://node7", "http://node7:8786", "local:", "local:x", "kube:2"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"tcp://HOST:8786.*local:4"):
        ClusterSettings.parse(text)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--cluster", "local:0"), "--cluster local:0"),
        (("--cluster", "local", "--shard-size", "0"), "--shard-size 0"),
        (("--cluster", "local", "--cluster-timeout", "-1"), "--cluster-timeout -1"),
    ],
)
def test_numbers_out_of_range_are_usage_errors(cli: Cli, options: list[str], word: str) -> None:
    result = cli("scan", ".", "--out", "r.csv", *options)

    assert result.code == 2
    assert word in result.err


def test_a_missing_extra_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: None)

    result = cli("scan", ".", "--out", "r.csv", "--cluster", "local")

    assert result.code == 2
    assert "pip install 'malscan[cluster]'" in result.err


def test_only_folds_are_trained_on_a_cluster(cli: Cli) -> None:
    result = cli("train", ".", "--out", "m", "--cluster", "local")

    assert result.code == 2
    assert "--folds 5" in result.err
