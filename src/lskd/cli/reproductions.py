"""The command that runs the paper, table by table, in the lab."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lskd.cli.lab import SCENES, TESTS, Jobs, Scenes, Tests, WorldSeed
from lskd.cli.options import Changes, Log, Out, display, on_disk, plain_errors, seeds_of


def reproduce(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder of run files of the lab: runs/lab.")
    ],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One seed, and only what needs no training beyond the lab's."),
    ] = False,
    seeds: Annotated[str, typer.Option(help="Seeds, apart by commas; --quick takes the first.")] = (
        "0,1,2"
    ),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="One experiment, as table2; as often as you like."),
    ] = None,
    scenes: Scenes = SCENES,
    tests: Tests = TESTS,
    world_seed: WorldSeed = 0,
    jobs: Jobs = 2,
    changes: Changes = None,
    out: Out = None,
    log: Log = "plain",
) -> None:
    """Run the paper's tables and figures in the lab, and write a report beside its own numbers.

    What is there already, of `lskd lab run` or `lskd lab bars`, is not made again, and the same
    command goes on where it was stopped. Each claim gets a plain sentence: agrees in direction,
    does not, or cannot be told; what follows from how the lab is made is never called agreement.

    Example: lskd reproduce runs/lab --quick
    """
    from lskd.lab.world import Numbers
    from lskd.reproduce.work import Wanted
    from lskd.reproduce.work import reproduce as reproduced

    with plain_errors():
        show = display(log)
        on_disk(out, "--out")
        wanted = Wanted(
            folder=folder,
            home=out or Path("out") / folder.name,
            numbers=Numbers(scenes, tests, tests),
            seeds=seeds_of(seeds),
            quick=quick,
            only=tuple(only or ()),
            changes=tuple(changes or ()),
            jobs=jobs,
            world_seed=world_seed,
        )
        sys.stdout.write(f"report: {reproduced(wanted, show)}\n")
