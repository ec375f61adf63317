"""A network that is built fast, for what is not about networks."""

from typing import Any

from malscan.networks import NETWORKS, Maker, Network


def tiny_network(name: str) -> Network:
    """One to take the place of the network of that name, with its input."""

    def architecture(make: Maker, x: Any) -> Any:
        x = make.convolution(x, 4, "stem", kernel=8, strides=8)
        return make.probabilities(make.dropout(make.mean_and_maximum(x), 0.2))

    return Network(name, NETWORKS[name].preprocessing, architecture)
