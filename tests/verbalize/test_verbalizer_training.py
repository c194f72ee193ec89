"""Recipes are trained on a tiny BLIP-2 of the real class, and what comes out is asked."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import verbalizer_world as world
from safetensors.torch import load_file
from typer.testing import CliRunner

import checkpoints
import house
from lskd import picture
from lskd.cli import app
from lskd.errors import UserError
from lskd.execute import Selection, execute
from lskd.picture import Picture
from lskd.progress import Lines
from lskd.protocols import Captioner, Narrator
from lskd.run import load
from lskd.stage import Model, check
from lskd.training.history import read as losses_of
from lskd.training.order import seed_of
from lskd.types import Box, Image, Narratives, Region, Regions
from lskd.verbalize.training import evaluation, note, rows, work
from lskd.verbalize.training import settings as recipes
from lskd.verbalize.training.mixture import mixed
from lskd.verbalize.training.settings import Kind, Settings, Trainable
from lskd.verbalize.training.task import Eye, VerbalizerTask
from lskd.verbalize.training.trained import TrainedCaptioner, TrainedNarrator, Verbalizer
from lskd.verbalize.training.view import shown
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.note import opened
from lskd.writing.writer import Decoding, Line, Written

SAY: Callable[[str], None] = list[str]().append


@pytest.fixture(scope="module")
def blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_blip2(tmp_path_factory.mktemp("blip2"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    world.build(folder)
    return folder


def read(place: Path, kind: Kind, base: Path, **changes: Any) -> Settings:
    return recipes.read(world.recipe(place, kind, base, **changes), kind)


def pictures(place: Path, count: int = 3) -> list[Picture]:
    found = []
    for path in sorted((place / "coco").iterdir())[:count]:
        found.append(Picture(Image(picture.image_id(path.read_bytes()), str(path), *world.SIZE)))
    return found


def texts(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "evaluation.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def regions(count: int = 3) -> list[list[Region]]:
    x, y, width, height = world.LEFT
    one = Region(4, Box(x, y, x + width, y + height), "block", "", 1.0)
    x, y, width, height = world.RIGHT
    other = Region(9, Box(x, y, x + width, y + height), "block", "", 1.0)
    return [[one, other], [], [other]][:count]


@pytest.fixture(scope="module")
def captioner(place: Path, blip2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a recipe that was trained by its command."""
    out = tmp_path_factory.mktemp("captioner") / "out"
    file = world.recipe(place, "captioner", blip2)
    found = CliRunner().invoke(app, ["captioner", str(file), "--out", str(out), "--log", "plain"])
    assert found.exit_code == 0, found.output
    assert str(out / "captioner") in found.stdout
    assert "cider" in found.stdout and "meteor" in found.stdout
    return out


@pytest.fixture(scope="module")
def narrator(place: Path, blip2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("narrator") / "out"
    clip = checkpoints.write_clip(tmp_path_factory.mktemp("clip"))
    file = world.recipe(place, "narrator", blip2, evaluation={"clip": str(clip)})
    found = CliRunner().invoke(app, ["narrator", str(file), "--out", str(out), "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["folder"] == str(out / "narrator")
    return out


def test_a_captioner_is_taken_by_one_line_of_a_run_file(captioner: Path, place: Path) -> None:
    keys: dict[str, Any] = {"folder": str(captioner / "captioner")}
    model = Model(use="lskd.verbalize.training.trained:TrainedCaptioner", **keys)
    check(Captioner, model, for_work=True)
    found = TrainedCaptioner(**keys)
    assert isinstance(found, Captioner)
    said = found.describe(pictures(place), regions())
    assert [len(own) for own in said] == [2, 0, 1]
    # A region's number and what stands beside it change nothing.
    alone = found.describe(pictures(place)[2:], [[Region(0, *_rest(regions()[2][0]))]])
    assert alone[0] == said[2]
    assert any(phrase for own in said for phrase in own)


def _rest(region: Region) -> Any:
    return region.box, region.label, "", 1.0


def test_a_run_is_described_by_both_trained_verbalizers(
    captioner: Path, narrator: Path, tmp_path: Path
) -> None:
    file = house.build(tmp_path, count=2)
    models = {
        "captioner": ("TrainedCaptioner", captioner / "captioner"),
        "narrator": ("TrainedNarrator", narrator / "narrator"),
    }
    changes = [
        f'models.{role}={{use = "lskd.verbalize.training.trained:{name}", folder = "{folder}"}}'
        for role, (name, folder) in models.items()
    ]
    changes.append(f"images.source={tmp_path / 'pictures'}")
    loaded = load(file, changes, tmp_path / "out")
    for stage in ("images", "narratives", "regions"):
        execute(loaded, Selection(only=stage), Lines("plain"))
    described = house.rows(loaded, Regions)
    assert [len(row.regions) for row in described] == [2, 2]
    assert all(region.description for row in described for region in row.regions)
    assert all(0 < len(row.texts) <= 5 for row in house.rows(loaded, Narratives))


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml")))
def test_a_recipe_that_is_shipped_has_no_mistake(file: Path) -> None:
    kind: Kind = "narrator" if file.stem == "narrator" else "captioner"
    found = recipes.read(file, kind)
    check(Trainable, found.writer)


def test_what_a_captioner_says_is_what_its_writer_writes_of_the_marked_picture(
    captioner: Path, place: Path
) -> None:
    folder = captioner / "captioner"
    about = note.read(folder, "captioner")
    assert about.prompt == "Describe what is inside the coloured box:"
    writer = opened(folder)
    one, region = pictures(place)[0], regions()[0][1]
    marked = shown(one.pixels, region.box, "clear", writer.canvas)
    assert marked.size == writer.canvas(*one.pixels.size)
    (wanted,) = writer.write(
        writer.look([marked]), [Line(0, about.prompt)], Decoding(tokens=about.tokens)
    )
    (said,) = TrainedCaptioner(str(folder)).describe([one], [[region]])
    assert said == (" ".join(wanted.text.split()).rstrip(". "),)


def test_training_changes_the_q_former_alone_and_lowers_the_loss(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    settings = read(
        place, "captioner", blip2, steps=20, learning_rate=0.02, evaluation={"places": 0}
    )
    said: list[str] = []
    made = work.make(settings, "captioner", tmp_path, said.append)
    assert made.figures == () and "not evaluated: evaluation.places is 0" in said
    (file,) = tmp_path.glob("training/*/losses.jsonl")
    losses = [measured.loss for measured in losses_of(file)]
    assert len(losses) == 20
    assert sum(losses[-5:]) < 0.96 * sum(losses[:5])  # 0.87 to 0.92 for five seeds
    trained = load_file(made.folder / "trained.safetensors")
    assert all(
        name.startswith(("query_tokens", "qformer.", "language_projection.")) for name in trained
    )


CHATS: dict[str, Any] = {"use": "lskd.writing.chat:ChatWriter", "rank": 2}


@pytest.mark.parametrize(
    ("write", "more"),
    [
        pytest.param(checkpoints.write_blip2, {}, marks=pytest.mark.check),
        # What this one sees of a picture depends in its last bits on how many are beside it, and of
        # batches of 5 out of 12 places some were seen before: it may not remember them.
        (
            checkpoints.write_idefics3,
            {"writer": CHATS, "batch": 5, "accumulate": 1, "sights_gb": 0.0},
        ),
    ],
)
def test_an_interrupted_training_ends_as_one_that_nobody_disturbed(
    place: Path, tmp_path: Path, write: Callable[[Path], Path], more: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {
        "steps": 4,
        "save_every": 2,
        "log_every": 1,
        "accumulate": 2,
        "evaluation": {"places": 0},
    }
    settings = read(place, "captioner", write(tmp_path / "base"), **(changes | more))

    class Stop(Exception):
        pass

    def stop(text: str) -> None:
        if text.startswith("step 3"):
            raise Stop

    with pytest.raises(Stop):
        work.make(settings, "captioner", tmp_path / "one", stop)
    assert not (tmp_path / "one" / "captioner" / note.FILE).exists()
    said: list[str] = []
    work.make(settings, "captioner", tmp_path / "one", said.append)
    assert "going on after step 2 of 4" in said
    work.make(settings, "captioner", tmp_path / "two", SAY)
    one, two = (
        load_file(file)
        for name in ("one", "two")
        for file in (tmp_path / name / "captioner").glob("*.safetensors")
    )
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_second_command_does_nothing_again_and_other_beams_train_nothing_again(
    captioner: Path, place: Path, blip2: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(captioner, out)
    (losses,) = out.glob("training/*/losses.jsonl")
    before = losses.stat().st_mtime_ns
    figures = (out / "evaluation.json").stat().st_mtime_ns
    said: list[str] = []
    work.make(read(place, "captioner", blip2), "captioner", out, said.append)
    assert any("is in" in line and "already" in line for line in said)
    assert (out / "evaluation.json").stat().st_mtime_ns == figures
    work.make(read(place, "captioner", blip2, beams=2), "captioner", out, said.append)
    assert note.read(out / "captioner").beams == 2
    assert (out / "evaluation.json").stat().st_mtime_ns > figures
    (again,) = out.glob("training/*/losses.jsonl")
    assert again == losses and len(losses_of(losses)) == 3
    assert "going on after step 3 of 3" in said and before <= losses.stat().st_mtime_ns


def test_a_captioner_that_is_there_is_opened_as_its_recipe_loads_its_writer(
    captioner: Path, place: Path, blip2: Path
) -> None:
    keys: dict[str, Any] = {"dtype": "bfloat16", "device": "cpu", "batch": 3}
    writer: Any = work.again(captioner / "captioner", read(place, "captioner", blip2, writer=keys))
    frozen = [weight for weight in writer.module.parameters() if not weight.requires_grad]
    assert {weight.dtype for weight in frozen} == {torch.bfloat16}
    assert writer.parts.batch == 3
    plain: Any = work.again(captioner / "captioner", read(place, "captioner", blip2))
    assert {weight.dtype for weight in plain.module.parameters()} == {torch.float32}
    assert plain.parts.batch == 8


def test_evaluation_is_on_places_whose_pictures_were_never_learnt_from(captioner: Path) -> None:
    told = texts(captioner)
    assert len(told) == 6 and {row["image"][-5] for row in told} == {"6", "7", "8"}
    assert all(len(row["references"]) == 2 for row in told)
    figures = json.loads((captioner / "evaluation.json").read_text())["figures"]
    assert {figure["measure"] for figure in figures} == {"cider", "meteor", "words"}
    assert all(figure["places"] == 6 and figure["pictures"] == 3 for figure in figures)


def test_a_narrator_samples_each_picture_by_itself(narrator: Path, place: Path) -> None:
    found = TrainedNarrator(str(narrator / "narrator"))
    assert isinstance(found, Narrator)
    told = found.narrate(pictures(place), samples=4, temperature=1.1)
    assert all(1 < len(texts) <= 4 and len(set(texts)) == len(texts) for texts in told)
    assert found.narrate(pictures(place)[1:], samples=4, temperature=1.1) == told[1:]
    likeliest = found.narrate(pictures(place), samples=4, temperature=0)
    assert all(len(texts) <= 1 for texts in likeliest)


def test_a_narrator_is_evaluated_by_agreement_diversity_and_fit(narrator: Path) -> None:
    figures = json.loads((narrator / "evaluation.json").read_text())["figures"]
    assert {figure["measure"] for figure in figures} == {
        *("cider", "meteor", "words", "sampled_cider", "distinct_1", "distinct_2"),
        *("self_bleu", "self_cider", "clip_score", "ref_clip_score"),
    }
    told = texts(narrator)
    assert len(told) == 3
    assert all(len(row["samples"]) == 3 and row["box"] is None for row in told)


class Truthful:
    """Writes what the left and the right block of a picture are, also where it samples."""

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def look(self, pictures: Sequence[PIL.Image.Image]) -> list[tuple[str, str]]:
        return [(self.colour(one, world.LEFT), self.colour(one, world.RIGHT)) for one in pictures]

    def colour(self, shown: PIL.Image.Image, block: tuple[int, int, int, int]) -> str:
        x, y, width, height = block
        seen: Any = shown.getpixel((x + width // 2, y + height // 2))
        return min(world.COLOURS, key=lambda name: math.dist(world.COLOURS[name], seen))

    def write(
        self, sights: Sequence[tuple[str, str]], lines: Sequence[Line], decoding: Decoding
    ) -> list[Written]:
        texts = ["A {} block and a {} block.".format(*sights[line.view]) for line in lines]
        return [Written(text, 0.0, "end") for text in texts]


def test_samples_that_are_the_likeliest_text_agree_as_it_does(place: Path, tmp_path: Path) -> None:
    settings = read(place, "narrator", place)
    held_out = rows.prepared(settings.corpora, tmp_path, SAY).held_out
    writer: Any = Truthful()
    verbalizer = Verbalizer(writer, work.about_of(settings, "narrator"))
    told = evaluation.evaluate(verbalizer, held_out, settings.evaluation, seed=0)
    assert len(told) == 3 and all(one.samples == (one.text,) * 3 for one in told)
    assert all(one.scores["cider"] > 0 for one in told)
    assert [one.scores["sampled_cider"] for one in told] == [one.scores["cider"] for one in told]
    single = settings.evaluation.model_copy(update={"places": 1})
    (one,) = evaluation.evaluate(verbalizer, held_out, single, seed=0)
    assert math.isnan(one.scores["cider"]) and math.isnan(one.scores["sampled_cider"])


def test_a_dry_run_tells_what_would_be_learnt_and_trains_nothing(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    file = world.recipe(place, "captioner", blip2)
    options = [str(file), "--out", str(tmp_path), "--dry-run"]
    shown = CliRunner().invoke(app, ["captioner", *options])
    assert shown.exit_code == 0, shown.output
    assert "captioner would be written" in " ".join(shown.stdout.split())
    told = json.loads(CliRunner().invoke(app, ["captioner", *options, "--json"]).stdout)
    assert told["rows"] == 12 and not told["made"]
    (share,) = told["shares"]
    assert (share["share"], share["epochs"]) == (1.0, 1.0)  # 3 steps of 4 rows
    assert share["count"] | {"corpus": "blocks"} == {
        "corpus": "blocks",
        "learnt": 12,
        "pictures": 6,
        "texts": 24,
        "held_out": 6,
        "kept_apart": 0,
        "other": 0,
        "rejected": 0,
    }
    assert not (tmp_path / "captioner").exists() and not (tmp_path / "training").exists()


def test_no_picture_is_learnt_from_that_any_corpus_holds_out(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    region = {"phrase": "a block", "x": 6, "y": 10, "width": 20, "height": 24}
    for number in range(9):
        source = place / "coco" / f"COCO_train2014_{number:012}.jpg"
        (tmp_path / "VG_100K").mkdir(exist_ok=True)
        shutil.copy(source, tmp_path / "VG_100K" / f"{number}.jpg")
    rows_of_vg = [
        {"id": n, "regions": [{"region_id": n, "image_id": n} | region]} for n in range(9)
    ]
    (tmp_path / "regions.json").write_text(json.dumps(rows_of_vg))
    genome = {"format": "visual_genome", "files": str(tmp_path / "regions.json"), "held_out": 0.3}
    settings = read(place, "captioner", blip2, corpora={"genome": genome})
    said: list[str] = []
    found = rows.prepared(settings.corpora, tmp_path / "out", said.append)
    learnt = {places[n].image.id for places in found.learnt.values() for n in range(len(places))}
    held = {places[n].image.id for places in found.held_out.values() for n in range(len(places))}
    assert learnt and held and not learnt & held
    assert len(learnt | held) == 9
    for count in found.counts:
        total = 18 if count.corpus == "blocks" else 9
        assert count.learnt + count.held_out + count.kept_apart == total
    assert any("kept apart, since their pictures are held out" in line for line in said)
    again: list[str] = []
    assert rows.prepared(settings.corpora, tmp_path / "out", again.append).counts == found.counts
    assert len(again) == 2  # nothing is read a second time


def task_of(settings: Settings, folder: Path, **eye: Any) -> VerbalizerTask:
    found = rows.prepared(settings.corpora, folder, SAY)
    writer = Blip2Writer(**settings.writer.keys)
    mixture = mixed([len(places) for places in found.learnt.values()], [None])
    keys: dict[str, Any] = {"style": "clear", "drawn": True, "gigabytes": 1.0, "workers": 2, **eye}
    return VerbalizerTask(writer, found.learnt, mixture, "It is", Eye(writer, **keys))


def test_the_loss_of_rows_is_that_of_their_texts_after_the_prompt(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    task = task_of(read(place, "captioner", blip2), tmp_path)
    generator = torch.Generator().manual_seed(5)
    chosen = [3, 0, 3, 7]
    loss = task.losses(task.model, chosen, generator).total
    import random

    captions = [task.places[0][row] for row in chosen]
    texts = [
        random.Random(seed_of(5, row)).choice(caption.texts)
        for row, caption in zip(chosen, captions, strict=True)
    ]
    writer = task.eye.writer
    seen = [
        shown(picture.load(caption.image), caption.box, "clear", writer.canvas)
        for caption in captions
    ]
    lines = [Line(n, "It is", text) for n, text in enumerate(texts)]
    total, tokens = writer.loss(writer.look(seen), lines)
    torch.testing.assert_close(loss, total / tokens, atol=1e-5, rtol=0)
    assert loss.requires_grad


def test_what_is_kept_in_memory_changes_no_loss(place: Path, blip2: Path, tmp_path: Path) -> None:
    settings = read(place, "captioner", blip2)
    kept, fresh = (task_of(settings, tmp_path, gigabytes=g) for g in (1.0, 0.0))
    for seed, chosen in enumerate(([0, 1, 2], [2, 1, 0, 5], [5, 0])):
        generator = torch.Generator().manual_seed(seed)
        kept.prepare(chosen, generator)
        one = kept.losses(kept.model, chosen, generator).total
        other = fresh.losses(fresh.model, chosen, generator).total
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert kept.eye.pictures([kept.places[0][0]]) == [None]
    assert fresh.eye.pictures([fresh.places[0][0]]) != [None]


def test_a_control_never_sees_which_region_is_meant(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    settings = read(place, "captioner", blip2, steps=1, drawn=False, evaluation={"places": 0})
    blind = task_of(settings, tmp_path, drawn=False)
    left, right = blind.places[0][0], blind.places[0][1]
    assert left.box != right.box and left.image == right.image
    assert blind.eye.view(left) == blind.eye.view(right)
    made = work.make(settings, "captioner", tmp_path, SAY)
    (said,) = TrainedCaptioner(str(made.folder)).describe(pictures(place, 1), regions(1))
    assert said[0] == said[1]


def test_boxes_too_small_to_be_seen_are_left_out_and_told(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    # The writer sees 64 x 48 pixels as 32 x 32: the blocks, 20 x 24, are 10 x 16 there.
    changes: dict[str, Any] = {"evaluation": {"places": 0}, "steps": 1}
    with pytest.raises(UserError, match=r"all places are under 10\.5 pixels .*: lower smallest"):
        work.make(
            read(place, "captioner", blip2, smallest=10.5, **changes), "captioner", tmp_path, SAY
        )
    found = rows.prepared(read(place, "captioner", blip2).corpora, tmp_path, SAY).learnt["blocks"]
    writer = Blip2Writer(str(blip2))
    assert len(found.wider(10.0, writer.canvas)) == len(found) == 12
    assert len(found.wider(10.5, writer.canvas)) == 0
    stories = rows.prepared(read(place, "narrator", blip2).corpora, tmp_path, SAY).learnt
    assert len(stories["stories"].wider(1000.0, writer.canvas)) == 6  # whole pictures stay


def test_texts_without_room_are_left_out_and_prompts_that_are_cut_are_told(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    def made(context: int) -> list[str]:
        said: list[str] = []
        changes: dict[str, Any] = {"evaluation": {"places": 0}, "steps": 1}
        settings = read(place, "captioner", blip2, writer={"context": context}, **changes)
        work.make(settings, "captioner", tmp_path / str(context), said.append)
        return said

    # A token is a letter here, a picture is four, and the prompt has 41.
    assert not any("left out" in line or "beginning" in line for line in made(100))
    assert any("blocks: 12 or more places have a prompt that loses" in line for line in made(40))
    (told,) = [line for line in made(22) if "left out" in line]
    left_out = int(told.split()[1])
    assert 0 < left_out < 12 and "places have no room for a text" in told
    with pytest.raises(UserError, match=r"corpora\.blocks: no text has room beside the picture"):
        made(12)


# An Idefics3 with adapters is trained above, where it is interrupted.
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(checkpoints.write_idefics3, marks=pytest.mark.check),
        checkpoints.write_gemma3,
    ],
)
def test_a_model_that_chats_becomes_a_captioner_by_adapters(
    place: Path, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    checkpoint = write(tmp_path / "base")
    writer = {"use": "lskd.writing.chat:ChatWriter", "checkpoint": str(checkpoint), "rank": 2}
    settings = read(place, "captioner", checkpoint, writer=writer, evaluation={"places": 2})
    made = work.make(settings, "captioner", tmp_path / "out", SAY)
    assert {figure.places for figure in made.figures} == {2}
    said = TrainedCaptioner(str(made.folder)).describe(pictures(place), regions())
    assert [len(own) for own in said] == [2, 0, 1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"stepz": 3}, "there is no setting stepz"),
        ({"steps": 0}, "steps: input should be greater than 0, not 0"),
        ({"warmup": 9}, "warmup = 9: expected 0 to 3"),
        ({"corpora": {"blocks": {"format": "coco", "files": "x"}}}, "corpora.blocks.format"),
        (
            {"corpora": {"b": {"format": "localized_narratives", "files": "x"}}},
            "corpora.b: a captioner does not learn from localized_narratives; it does from refcoco",
        ),
        (
            {"corpora": {"b": {"format": "refcoco", "files": "x", "weight": 2.0}}},
            "corpora.blocks has no weight, but corpora.b has one",
        ),
        (
            {"corpora": {"b": {"format": "refcoco", "files": "x", "evaluate": "train"}}},
            "the split 'train' is both learnt from and evaluated on",
        ),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(
    place: Path, blip2: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as error:
        read(place, "captioner", blip2, **changes)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_changes_on_the_command_line_reach_the_recipe(place: Path, blip2: Path) -> None:
    file = world.recipe(place, "captioner", blip2)
    changes = ["steps=7", "evaluation.places=2", "marking=release", "corpora.blocks.held_out=0.5"]
    found = recipes.read(file, "captioner", changes)
    assert (found.steps, found.evaluation.places, found.marking) == (7, 2, "release")
    assert found.corpora["blocks"].held_out == 0.5
    with pytest.raises(UserError, match="the form is key=value"):
        recipes.read(file, "captioner", ["steps"])
    with pytest.raises(UserError, match="cannot read"):
        recipes.read(place / "none.toml", "captioner")


@pytest.mark.parametrize(
    ("corpus", "told"),
    [
        ({"files": "nowhere.p"}, r"corpora\.blocks: no file nowhere\.p"),
        ({"images": "nowhere"}, r"corpora\.blocks: no folder of images nowhere"),
        ({"train": "testA"}, r"nothing to learn from: 6 places are held out"),
        ({"held_out": 1.0}, r"nothing to learn from: 18 places are held out"),
    ],
)
def test_a_corpus_without_anything_to_learn_is_one_clear_line(
    place: Path, blip2: Path, tmp_path: Path, corpus: dict[str, Any], told: str
) -> None:
    settings = read(place, "captioner", blip2)
    changed = settings.corpora["blocks"].model_copy(
        update={key: (value,) if isinstance(value, str) else value for key, value in corpus.items()}
    )
    with pytest.raises(UserError, match=told):
        rows.prepared({"blocks": changed}, tmp_path, SAY)


def test_pictures_that_are_missing_are_told_as_the_reason(
    place: Path, blip2: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    settings = read(place, "captioner", blip2)
    changed = settings.corpora["blocks"].model_copy(update={"images": (str(tmp_path / "empty"),)})
    with pytest.raises(UserError, match=r"18 were not read, the first .* missing file COCO_train"):
        rows.prepared({"blocks": changed}, tmp_path, SAY)
    # Once they are there, the same recipe finds them.
    shutil.copytree(place / "coco", tmp_path / "empty", dirs_exist_ok=True)
    assert len(rows.prepared({"blocks": changed}, tmp_path, SAY).learnt["blocks"]) == 12


def test_a_folder_that_is_no_verbalizer_or_one_of_another_kind_is_refused(
    captioner: Path, tmp_path: Path
) -> None:
    folder = str(captioner / "captioner")
    with pytest.raises(UserError, match="is a captioner; needed is a narrator"):
        narrates: Any = {"use": "lskd.verbalize.training.trained:TrainedNarrator"}
        check(Narrator, Model(**narrates, **{"folder": folder}))
    with pytest.raises(UserError, match=r"is no trained verbalizer: it has no verbalizer\.toml"):
        TrainedCaptioner(str(tmp_path))
    copied = tmp_path / "copied"
    shutil.copytree(captioner / "captioner", copied)
    (copied / note.FILE).write_text("kind = 3")
    with pytest.raises(UserError, match=r"verbalizer\.toml: .*"):
        TrainedCaptioner(str(copied))
    with pytest.raises(UserError, match="batch_size = 0"):
        TrainedCaptioner(folder, batch_size=0)


def test_a_verbalizer_whose_base_has_moved_is_told_where_it_is(
    captioner: Path, blip2: Path, place: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(blip2, moved)
    folder = str(captioner / "captioner")
    one = TrainedCaptioner(folder).describe(pictures(place), regions())
    assert TrainedCaptioner(folder, str(moved)).describe(pictures(place), regions()) == one
