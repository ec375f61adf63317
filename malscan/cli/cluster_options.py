"""Options on clusters that scan and train share."""

from typing import Annotated

import typer

_CLUSTER = "Beyond one machine (extra: cluster)"

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Dask scheduler tcp://HOST:PORT; or local, slurm, pbs, sge, lsf, with :N workers.",
        rich_help_panel=_CLUSTER,
        hidden=True,
    ),
]
ClusterTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Give up if no scheduler, or no worker, is there for so long.",
        rich_help_panel=_CLUSTER,
        hidden=True,
    ),
]
ShardSize = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Images to send to a worker at once.",
        rich_help_panel=_CLUSTER,
        hidden=True,
    ),
]
