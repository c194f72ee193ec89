"""Houses in which weights are trained: by a run, and by the recipe of a captioner.

All weights are so small that a stage takes a second. What is undisturbed is made in `broken`, too,
and moved to `calm` then: tables name the folders that weights lie in.
"""

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

import generative_students
import house
from faults.machine import House, Result
from forked import TESTS
from lskd.run import load

RUN = ("run", "small.toml")
RECIPE = ("captioner", "said/captioner.toml")
# What tells of times and of what went wrong.
LOGS = {".lock", "trace.jsonl", "shards.jsonl", "beginning.json"}

CRITIC = (
    'judge = { use = "models:Judge" }\n'
    'critic = { use = "lskd.critique.trained:TrainedCritic", folder = "broken/critic/model" }'
)
STUDENTS = """
[distil]
weights = "base"
image = 28
tokens = 48
steps = 4
batch = 4
save_every = 2
precision = "float32"
workers = 1
views = 1
swaps = 0.5
swap_critic = "judge"

[generative]
student = { use = "lskd.writing.blip2:Blip2Writer", checkpoint = "writer", device = "cpu" }
steps = 4
batch = 4
save_every = 2
precision = "float32"
workers = 1
views = 1
tokens = 6
"""


def build(folder: Path) -> House:
    """Write pictures, weights, a benchmark, a run file and judgments; run it undisturbed."""
    people, colours = neighbour("critique/test_critic_run"), neighbour("critique/colour_world")
    house.build(folder)
    colours.write_base(folder / "base")
    generative_students.write_base(folder / "writer")
    world = neighbour("evaluate/evaluate_world")
    world.put_aokvqa(folder / "data" / "aokvqa")
    bare = house.TOML.replace('critic = { use = "models:Judge" }', CRITIC)
    critic = people.STAGES_OF_PEOPLE.format(side=colours.SIDE)
    text = bare.replace("threshold = 0.8", "keep = 0.5") + critic + STUDENTS
    text += world.BASE_AND_STUDENT.format(student="broken/distil/student")
    (folder / "small.toml").write_text(text)
    made = House(folder)
    well(made, *RUN, "--until", "sample")
    with contextlib.chdir(folder):
        people.judge(load(Path("small.toml"), (), Path("broken")), "first")
    well(made, *RUN, "--until", "evaluate")
    (folder / "broken").rename(folder / "calm")
    return made


def build_captioner(folder: Path) -> House:
    """Write what people said of pictures, weights and a recipe, and train it undisturbed."""
    world = neighbour("verbalize/verbalizer_world")
    world.build(folder / "said")
    base = generative_students.write_base(folder / "writer")
    world.recipe(folder / "said", "captioner", base, steps=4, save_every=2)
    made = House(folder)
    well(made, *RECIPE)
    (folder / "broken").rename(folder / "calm")
    return made


def command(home: House, *words: str) -> Result:
    """Give a command whose folder is `broken`."""
    return home.lskd(*words, "--out", "broken", "--log", "plain")


def well(home: House, *words: str) -> Result:
    """Give a command, which has to end well."""
    ended = command(home, *words)
    assert ended.exit_code == 0, ended.said
    return ended


def kept(home: House, out: str) -> dict[str, bytes]:
    """Return tables, weights, notes, losses and figures by their place; checkpoints by that alone.

    Where a training was gone on with, torch packs the same numbers of a checkpoint otherwise.
    """
    folder = home.folder / out
    return {
        str(file.relative_to(folder)): b"" if file.suffix == ".pt" else file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in LOGS
    }


def neighbour(place: str) -> Any:
    """Return a module of another folder of tests."""
    folder, name = place.split("/")
    if str(TESTS / folder) not in sys.path:
        sys.path.append(str(TESTS / folder))
    return importlib.import_module(name)
