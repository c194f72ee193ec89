"""Commands of the lab: worlds, runs and their bars, people, and the models that ship with it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lskd import table
from lskd.cli import lab_writers
from lskd.cli.help import AsWritten
from lskd.cli.options import (
    AsJson,
    Changes,
    Log,
    Out,
    RunFile,
    called,
    display,
    on_disk,
    plain_errors,
    printed,
    seeds_of,
)

app = typer.Typer(
    name="lab",
    cls=AsWritten,
    help="A synthetic world whose truth is known, for the whole pipeline. A laboratory, not a "
    "benchmark.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Scenes = Annotated[int, typer.Option(min=8, help="Scenes that the corpus is made from.")]
Tests = Annotated[int, typer.Option(min=4, help="Scenes of the benchmarks, and as many held out.")]
Jobs = Annotated[
    int, typer.Option(min=1, help="Runs at a time, each with its share of the processors.")
]
WorldSeed = Annotated[int, typer.Option(min=0, help="Another one, other scenes.")]
SCENES, TESTS = 2400, 240


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the world is to lie.")],
    scenes: Scenes = SCENES,
    tests: Tests = TESTS,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another world.")] = 0,
    log: Log = "auto",
) -> None:
    """Draw scenes and write the benchmarks about them, in the formats of their authors.

    Example: lskd lab make out/world --scenes 200
    """
    from lskd.lab.course import make_world
    from lskd.lab.world import Numbers

    with plain_errors():
        show = display(log)
        on_disk(folder, "DIR")
        made = make_world(folder, Numbers(scenes, tests, tests), seed, show)
        sys.stdout.write(f"{made.folder}: {len(made.staged)} scenes\n")


@app.command()
def run(
    file: RunFile,
    scenes: Scenes = SCENES,
    tests: Tests = TESTS,
    seed: Annotated[int, typer.Option(min=0, help="The run's seed; the world stays.")] = 0,
    world_seed: WorldSeed = 0,
    changes: Changes = None,
    out: Out = None,
    log: Log = "auto",
) -> None:
    """Go from scenes to the evaluated student: make the world, run, judge, run on.

    The same command again goes on where it was stopped. Example: lskd lab run runs/lab.toml
    """
    from lskd.lab.annotators import Annotators
    from lskd.lab.course import Course, finished, make_world, take
    from lskd.lab.world import Numbers

    with plain_errors():
        show = display(log)
        on_disk(out, "--out")
        home = out or Path("out") / file.stem
        course = Course(file, home, home, seed, tuple(changes or []))
        world = make_world(course.world, Numbers(scenes, tests, tests), world_seed, show)
        done = take(course, world, Annotators(seed=seed), show)
        sys.stdout.write(f"report: {done.folders['report'] / 'report.html'}\n")
        sys.stdout.write(f"the lab: {finished(done, world)}\n")
        student = done.folders["distil"] / "student"
        sys.stdout.write(
            "look, annotate, compare and ask in a browser: "
            f"{called()} studio {home} --student {student}\n"
        )


@app.command()
def bars(
    file: RunFile,
    scenes: Scenes = SCENES,
    tests: Tests = TESTS,
    seeds: Annotated[str, typer.Option(help="Seeds, apart by commas; controls take the first.")] = (
        "0,1,2"
    ),
    world_seed: WorldSeed = 0,
    jobs: Jobs = 1,
    changes: Changes = None,
    out: Out = None,
    as_json: AsJson = False,
    log: Log = "plain",
) -> None:
    """Measure what the lab claims, each with its 95 % interval; exit 1 if a bar is missed.

    Runs of all seeds and controls are made as far as they are missing. Example: lskd lab bars
    runs/lab.toml --jobs 2
    """
    from lskd.cli.tables import print_bars
    from lskd.lab import bars as measured
    from lskd.lab.course import Course, make_world
    from lskd.lab.world import Numbers

    with plain_errors():
        show = display(log)
        numbers = seeds_of(seeds)
        on_disk(out, "--out")
        home = out or Path("out") / file.stem
        course = Course(file, home, home, numbers[0], tuple(changes or []))
        world = make_world(course.world, Numbers(scenes, tests, tests), world_seed, show)
        found = measured.bars(course, numbers, world, show, jobs)
        if as_json:
            printed([table.plain(one) for one in found])
        else:
            print_bars(found)
        if any(one.met is False for one in found):
            raise typer.Exit(1)


@app.command()
def judge(
    file: RunFile,
    world: Annotated[Path, typer.Option(help="The folder of the world.")],
    judgments: Annotated[Path, typer.Option(help="The Parquet file of judgments to write.")],
    errors: Annotated[float, typer.Option(min=0, max=1, help="How often one is wrong.")] = 0.05,
    changes: Changes = None,
    out: Out = None,
) -> None:
    """Let two simulated annotators judge the sample of a run."""
    from lskd.lab import world as worlds
    from lskd.lab.annotators import Annotators
    from lskd.lab.annotators import judge as judged
    from lskd.run import load

    with plain_errors():
        loaded = load(file, changes or [], out)
        found = judged(loaded, worlds.read(world), Annotators(errors=errors), judgments)
        sys.stdout.write(
            f"{judgments}: {found.triples} triples; {found.acceptable:.1%} are acceptable\n"
        )


@app.command()
def people(
    file: RunFile,
    url: Annotated[
        str, typer.Option(help="What `lskd studio` of the same run printed, its token included.")
    ] = "http://127.0.0.1:8600/",
    world: Annotated[
        Path | None, typer.Option(help="The folder of the world; else that of the run.")
    ] = None,
    annotators: Annotated[int, typer.Option(min=1, help="How many judge triples.")] = 4,
    judges: Annotated[
        int, typer.Option(min=1, help="How many compare answers; a pair gets three of them.")
    ] = 4,
    errors: Annotated[float, typer.Option(min=0, max=1, help="How often one is wrong.")] = 0.05,
    each: Annotated[int, typer.Option(min=1, help="How many items one does at most.")] = 150,
    duels: Annotated[int, typer.Option(min=1, help="How many pairs of answers.")] = 100,
    pause: Annotated[float, typer.Option(min=0, help="Seconds that an item takes.")] = 0.0,
    changes: Changes = None,
    out: Out = None,
) -> None:
    """Let simulated people judge and compare at a studio that runs, through its own pages' API.

    They are named "simulated ..." there. Figure 3 and Table 5 come out, in <run>/people.
    Example: lskd studio out/study & lskd lab people out/study
    """
    from lskd.lab import study
    from lskd.lab import world as worlds
    from lskd.lab.annotators import Annotators
    from lskd.lab.course import WORLD
    from lskd.lab.people import Habits
    from lskd.run import load

    with plain_errors():
        loaded = load(file, changes or [], out)
        staff = study.Staff(
            Annotators(count=annotators, errors=errors, seed=loaded.seed),
            Annotators(count=judges, errors=errors, seed=loaded.seed),
            Habits(each=each, pause=pause),
            duels,
        )
        known = worlds.read(world or loaded.own / WORLD)
        found = study.study(url, loaded, known, staff, loaded.own / "people")
        sys.stdout.write(study.told(found))


@app.command()
def pretrain(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the base model is to lie.")],
    start: Annotated[
        Path | None, typer.Option(help="Begin with all weights of another base model.")
    ] = None,
    scenes: Annotated[int | None, typer.Option(min=64, help="Scenes that are seen.")] = None,
    patch_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps in which the tower learns to label patches.")
    ] = None,
    caption_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps in which the Q-Former learns captions.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the first weights and what is drawn.")] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other number of its plan, as match_steps=4000 (pretrain.json names them).",
        ),
    ] = None,
) -> None:
    """Train the lab's base model from nothing, part by part: its tower, then its Q-Former.

    It ships with lskd, so nobody has to. The same command goes on where it was stopped.
    """
    from lskd.lab.pretrain.plan import Plan, changed
    from lskd.lab.pretrain.work import pretrain

    with plain_errors():
        usual = Plan()
        plan = replace(
            usual,
            scenes=scenes or usual.scenes,
            patch_steps=patch_steps or usual.patch_steps,
            caption_steps=caption_steps or usual.caption_steps,
            seed=seed,
        )
        plan = changed(plan, changes or ())
        pretrain(plan, folder, lambda text: print(text, file=sys.stderr), start)
        sys.stdout.write(f"{folder}\n")


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(help="The port on this machine; 0 is any that is free.")
    ] = 8390,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    hallucinations: Annotated[
        float, typer.Option(min=0, max=1, help="The share of triples with something invented.")
    ] = 0.28,
    seed: Annotated[int, typer.Option(help="Another seed, other inventions.")] = 0,
) -> None:
    """Put the simulated teacher behind the OpenAI protocol.

    Then: --set 'models.teacher={use="lskd.chat.teacher:ChatTeacher", model="lskd-lab-teacher",
    base_url="http://127.0.0.1:8390/v1"}'
    """
    from lskd.lab.server import serve as serving
    from lskd.lab.teacher import Habits

    def announced(listening: int) -> None:
        sys.stdout.write(f"http://{host}:{listening}/v1\n")
        sys.stdout.flush()

    with plain_errors():
        serving(Habits(hallucinations, seed), host, port, announced)


app.command()(lab_writers.speaker)
app.command()(lab_writers.spoken)
app.command()(lab_writers.contest)
app.command()(lab_writers.accepted)
app.command()(lab_writers.regions)
