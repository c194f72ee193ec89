"""Commands of the lab on models that write: its speaker, answers of students, captioners."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lskd import table
from lskd.cli.options import AsJson, Changes, Log, Out, RunFile, display, plain_errors, printed


def speaker(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the speaker is to lie.")],
    base: Annotated[Path, typer.Option(help="The base model whose tower it has.")] = Path(
        "src/lskd/lab/base"
    ),
    scenes: Annotated[int | None, typer.Option(min=16, help="Scenes that are seen.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps in which it learns to answer.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the first weights and what is drawn.")] = 0,
) -> None:
    """Teach the lab's speaker: an InternVL of the base's tower, with a language model from nothing.

    It ships with lskd, so nobody has to. It learns to answer about whole scenes, and things by
    where they stand; `[generative]` goes on from there. The same command goes on where it stopped.
    """
    from lskd.lab.pretrain.speaker_work import Plan
    from lskd.lab.pretrain.speaker_work import speaker as taught

    with plain_errors():
        usual = Plan()
        plan = replace(usual, scenes=scenes or usual.scenes, steps=steps or usual.steps, seed=seed)
        taught(plan, base, folder, lambda text: print(text, file=sys.stderr, flush=True))
        sys.stdout.write(f"{folder}\n")


def spoken(
    file: RunFile,
    world: Annotated[Path, typer.Option(help="The folder of the world.")] = Path("out/lab/world"),
    changes: Changes = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Ask a run's generative student and its base, and judge by the true world what they answer.

    They are asked about regions by number, and about whole pictures, of scenes that they never saw.
    Exit 1 if a bar is missed. Example: lskd lab spoken runs/lab/generative.toml
    """
    from lskd.cli.tables import print_bars
    from lskd.lab import spoken as answered
    from lskd.lab import world as worlds
    from lskd.run import load
    from lskd.storage import mirror

    with plain_errors():
        run = load(file, changes or [], out)
        student = mirror.brought(run.folders["generative"] / "student")
        found = list(answered.bars(student, worlds.read(world)))
        if as_json:
            printed([table.plain(one) for one in found])
        else:
            print_bars(found)
        if any(one.met is False for one in found):
            raise typer.Exit(1)


def contest(
    files: Annotated[
        list[Path], typer.Argument(help="Files of answers: teacher.jsonl and a student's.")
    ],
    url: Annotated[
        str, typer.Option(help="What `lskd studio` of their pictures printed, its token included.")
    ] = "http://127.0.0.1:8600/",
    world: Annotated[Path, typer.Option(help="The folder of the world.")] = Path("out/lab/world"),
    judges: Annotated[int, typer.Option(min=1, help="A pair gets three of them.")] = 4,
    errors: Annotated[float, typer.Option(min=0, max=1, help="How often one is wrong.")] = 0.05,
    duels: Annotated[int, typer.Option(min=1, help="How many pairs of answers.")] = 100,
    seed: Annotated[int, typer.Option(help="Decides which pairs, and how judges err.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where Table 5 is to lie.")] = Path("out/contest"),
) -> None:
    """Let simulated judges compare two systems' answers at a studio that runs: Table 5's form.

    Example: lskd lab contest out/asked/answers/teacher.jsonl out/asked/answers/student.jsonl
    """
    from lskd.lab import contest as held
    from lskd.lab import world as worlds
    from lskd.lab.annotators import Annotators
    from lskd.lab.people import Crew, Habits

    with plain_errors():
        people = Annotators(count=judges, errors=errors, seed=seed)
        crew = Crew(people, Habits(), worlds.read(world))
        sys.stdout.write(held.told(held.contest(url, files, crew, duels, folder, seed)))


def accepted(
    files: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs or their folders.")],
    world: Annotated[Path, typer.Option(help="The folder of the world.")] = Path("out/lab/world"),
) -> None:
    """Tell how many of some runs' triples are acceptable by the true world, with 95 % intervals.

    Example: lskd lab accepted out/captioner-corpus out/undrawn-corpus
    """
    from lskd.lab import measures
    from lskd.lab import world as worlds
    from lskd.run import load

    with plain_errors():
        known = worlds.read(world)
        for file in files:
            found = measures.acceptable(load(file), known)
            told = f"{found.value:.1f} % ({found.low:.1f} to {found.high:.1f})"
            sys.stdout.write(f"{file}: {told} of the triples are acceptable\n")


def regions(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the corpus is to lie.")],
    scenes: Annotated[
        int, typer.Option(min=4, help="Scenes, none of them of the lab's run.")
    ] = 1200,
    seed: Annotated[int, typer.Option(min=1, help="Another seed, other scenes.")] = 1,
    log: Log = "auto",
) -> None:
    """Draw other scenes and describe their regions, in Visual Genome's files, for a captioner.

    Example: lskd lab regions out/captions; lskd captioner recipes/lab/captioner.toml
    """
    from lskd.lab.course import make_world
    from lskd.lab.gold import visual_genome
    from lskd.lab.world import Numbers

    with plain_errors():
        show = display(log)
        world = make_world(folder / "world", Numbers(scenes, 0, 0), seed, show)
        count = visual_genome.write(folder / "regions", world.folder, world.of("train"))
        sys.stdout.write(f"{folder / 'regions'}: {count} regions\n")
