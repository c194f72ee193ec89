"""The lab's gold files: read back by the benchmarks' readers, and true of the scenes."""

import json
import random
import re
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.annotations.coco import Coco
from lskd.evaluate.benchmark import Options
from lskd.evaluate.benchmarks import BENCHMARKS
from lskd.lab import gold
from lskd.lab.combinations import is_held_out
from lskd.lab.drawing import render
from lskd.lab.gold import coco, snli_ve, whole
from lskd.lab.gold.regions import apart, numbered
from lskd.lab.knowledge import ASKS, INFERRED, QUESTIONS
from lskd.lab.scene import Scene, draw, sight
from lskd.lab.vocabulary import words
from lskd.lab.words import answer, phrase, rationale
from lskd.lab.world import Staged, World, stage
from lskd.types import Item

SCENES, HELD, SEED = 24, 10, 7
LOCALISED = ("vcr", "sherlock", "visualcomet")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    staged = [stage(folder, SEED, "test", number) for number in range(SCENES)]
    staged += [stage(folder, SEED, "held", number) for number in range(HELD)]
    staged += [stage(folder, SEED, "train", number) for number in range(3)]
    return World(folder, SEED, tuple(staged))


@pytest.fixture(scope="module")
def counts(world: World) -> tuple[gold.Counts, ...]:
    return gold.write_all(world)


@pytest.fixture(scope="module")
def items(world: World, counts: tuple[gold.Counts, ...]) -> Mapping[tuple[str, str], list[Item]]:
    """Return the items of each benchmark and split; no row may be a fault."""
    assert len(counts) == 2
    made: dict[tuple[str, str], list[Item]] = {}
    for benchmark in BENCHMARKS:
        for split in gold.SPLITS:
            folder = world.folder / gold.FOLDER / split / benchmark.name
            found = benchmark.read(folder, Options())
            assert found.faults == ()
            made[benchmark.name, split] = list(found.items)
    return made


def entity_of(staged: Staged, item: Item, region_id: int) -> int:
    """Return the entity whose box a region has; two of one box would be no scene of ours."""
    return staged.boxes.index(item.regions[region_id].box)


def ask_of(item: Item) -> str:
    """Return what a question of VCR asks, by its wording."""
    for ask, wording in QUESTIONS.items():
        before, _, after = re.escape(wording).partition(re.escape("{}"))
        if re.fullmatch(before + r"\[\d+\]" + after, item.question.replace(" ?", "?")):
            return ask
    raise AssertionError(item.question)


def plain(text: str) -> str:
    return re.sub(r" ([.,?])", r"\1", text)


def test_all_six_are_read_back_with_as_many_questions_as_were_counted(
    items: Mapping[tuple[str, str], list[Item]], counts: tuple[gold.Counts, ...]
) -> None:
    for split, counted in zip(gold.SPLITS, counts, strict=True):
        for benchmark in BENCHMARKS:
            tasks = 2 if benchmark.name == "vcr" else 1
            assert len(items[benchmark.name, split]) == tasks * getattr(counted, benchmark.name)
            assert items[benchmark.name, split]


def test_pictures_keep_the_ids_of_the_world(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    for (_, split), found in items.items():
        for item in found:
            staged = world.by_id[item.image_id]
            assert staged.split == split
            assert (item.width, item.height) == (staged.scene.width, staged.scene.height)


def test_every_choice_of_vcr_is_the_right_answer_about_a_region_of_the_image(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    for split in gold.SPLITS:
        for item in items["vcr", split]:
            staged = world.by_id[item.image_id]
            scene, everyone = staged.scene, range(len(staged.boxes))
            asked = entity_of(staged, item, item.pointed[0])
            ask = next(ask for ask in ASKS if ask == ask_of(item))
            name = f"[{item.pointed[0]}]"
            own = {
                "answer": {n: f"{answer(scene, n, ask)}." for n in everyone},
                "rationale": {n: rationale(scene, n, name) for n in everyone},
            }[item.task]
            said = [plain(choice) for choice in item.choices]
            assert said[item.right[0]] == own[asked]
            assert len(set(said)) == 4
            assert set(said) <= set(own.values())
            assert item.pointed == (item.pointed[0],)


def test_vcr_asks_all_four_regions_over_the_same_choices(
    items: Mapping[tuple[str, str], list[Item]],
) -> None:
    answers = [item for item in items["vcr", "test"] if item.task == "answer"]
    sets = {
        key: list(group)
        for key, group in groupby(answers, key=lambda i: (i.image_id, *sorted(i.choices)))
    }
    assert len(sets) * 4 == len(answers)
    for (_, *choices), group in sets.items():
        assert sorted(item.choices[item.right[0]] for item in group) == choices


def test_the_first_questions_are_of_as_many_scenes_as_there_can_be_and_of_all_kinds(
    items: Mapping[tuple[str, str], list[Item]],
) -> None:
    answers = [item for item in items["vcr", "test"] if item.task == "answer"]
    scenes = {item.image_id for item in answers}
    first = answers[: 4 * len(scenes)]  # a set of four of each
    assert {item.image_id for item in first} == scenes
    assert {ask_of(item) for item in first} == set(ASKS)
    events = items["visualcomet", "test"]
    scenes = {item.image_id for item in events}
    first = events[: 3 * len(scenes)]  # the three relations of an event of each
    assert [item.image_id for item in first[::3]] == [item.image_id for item in first[2::3]]
    assert {item.image_id for item in first} == scenes


def test_numbers_of_regions_and_places_of_choices_say_nothing(
    items: Mapping[tuple[str, str], list[Item]],
) -> None:
    answers = [item for item in items["vcr", "test"] if item.task == "answer"]
    places = Counter(item.right[0] for item in answers)
    assert all(abs(places[place] / len(answers) - 0.25) < 0.1 for place in range(4))
    persons = [
        region.id / (len(item.regions) - 1)
        for item in answers
        for region in item.regions
        if region.label == "person"
    ]
    assert abs(float(np.mean(persons)) - 0.5) < 0.12  # of a few pictures
    drawn = (Staged(f"test/{seed:06}.png", "test", "", draw(seed), ()) for seed in range(400))
    every = [
        place / (len(one.order) - 1)
        for one in (numbered(staged, SEED) for staged in drawn)
        for place, entity in enumerate(one.order)
        if one.scene.entities[entity].is_person
    ]
    assert abs(float(np.mean(every)) - 0.5) < 0.03


def test_sherlock_gives_each_of_five_regions_its_own_two_of_the_same_ten(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    per_image: dict[str, list[Item]] = {}
    for item in items["sherlock", "test"]:
        per_image.setdefault(item.image_id, []).append(item)
        staged = world.by_id[item.image_id]
        (region,) = item.regions
        own = {answer(staged.scene, staged.boxes.index(region.box), ask) for ask in INFERRED}
        first, second = item.ratings
        assert [rating == 3 for rating in first] == [choice in own for choice in item.choices]
        assert set(first) == {1.0, 3.0}
        assert all(abs(a - b) in (0, 1) for a, b in zip(first, second, strict=True))
    for group in per_image.values():
        assert len(group) == 5
        assert len({tuple(sorted(item.choices)) for item in group}) == 1
        rated = Counter(
            choice
            for item in group
            for choice, rating in zip(item.choices, item.ratings[0], strict=True)
            if rating == 3
        )
        assert set(rated.values()) == {1}
        assert len(rated) == 10


def test_sherlocks_second_person_strays_at_the_stated_rate(
    items: Mapping[tuple[str, str], list[Item]],
) -> None:
    pairs = [pair for i in items["sherlock", "test"] for pair in zip(*i.ratings, strict=True)]
    assert len(pairs) > 600
    assert abs(sum(a != b for a, b in pairs) / len(pairs) - 0.05) < 0.025


def test_visualcomets_events_tell_the_place_alone_and_only_the_first_candidate_is_true(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    asks = {"intent": "why", "before": "before", "after": "next"}
    for item in items["visualcomet", "test"]:
        staged = world.by_id[item.image_id]
        (region,) = item.pointed
        asked = entity_of(staged, item, region)
        assert staged.scene.entities[asked].is_person
        place = staged.scene.place
        assert re.fullmatch(rf"\[{region}\] is at an? {place}", item.question)
        own = [answer(staged.scene, asked, ask) for ask in INFERRED]
        right = answer(staged.scene, asked, next(a for a in INFERRED if a == asks[item.kind]))
        assert item.choices[0].endswith(f" {re.sub('^(to|will) ', '', right)}")
        assert item.right == (0,)
        assert len(item.choices) == 50 == len(set(item.choices))
        # No other choice is any answer about this person.
        tails = [re.sub(r"^(to|will) ", "", text) for text in own]
        assert not any(choice.endswith(f" {tail}") for choice in item.choices[1:] for tail in tails)


def test_visualcomet_offers_all_inferences_about_other_people_of_the_image(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    for item in items["visualcomet", "test"]:
        staged = world.by_id[item.image_id]
        scene = staged.scene
        asked = entity_of(staged, item, item.pointed[0])
        for number, entity in enumerate(scene.entities):
            if entity.is_person and sight(scene, number) != sight(scene, asked):
                for ask in INFERRED:
                    tail = re.sub(r"^(to|will) ", "", answer(scene, number, ask))
                    assert any(choice.endswith(tail) for choice in item.choices[1:])


def test_held_localised_items_are_about_held_out_combinations_only(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    for name in LOCALISED:
        for item in items[name, "held"]:
            staged = world.by_id[item.image_id]
            asked = entity_of(staged, item, item.pointed[0])
            assert is_held_out(staged.scene, asked)
        for item in items[name, "test"]:
            scene = world.by_id[item.image_id].scene
            assert not any(is_held_out(scene, number) for number in range(len(scene.entities)))


def true_of(scene: Scene, question: str, choice: str) -> bool:
    """Return whether a choice answers a question about a whole picture, by its entities."""
    entities = scene.entities
    if question == "Where is this?":
        return choice.split()[-1] == scene.place
    if question.startswith("How many people"):
        return whole.NUMBERS.index(choice) + 1 == sum(entity.is_person for entity in entities)
    if found := re.fullmatch(r"Which colour is the (?:coat of the )?(.+)\?", question):
        return {entity.colour for entity in entities if entity.kind == found[1]} == {choice}
    if found := re.fullmatch(r"(?:Who|What|Which thing) is ((?:on|in) the \w+)\?", question):
        return any(
            phrase(entity) == choice and found[1] in whole.sides(scene, number)
            for number, entity in enumerate(entities)
        )
    found = re.fullmatch(r"Who (holds|rides|sits on) (.+)\?", question)
    assert found, question
    return any(
        phrase(entity) == choice
        and entity.act == found[1]
        and entity.target is not None
        and phrase(entities[entity.target]) == found[2]
        for entity in entities
    )


@pytest.mark.parametrize("name", ["aokvqa", "visual7w"])
def test_questions_about_whole_pictures_have_just_one_true_choice(
    name: str, world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    for split in gold.SPLITS:
        for item in items[name, split]:
            scene = world.by_id[item.image_id].scene
            assert len(set(item.choices)) == 4
            truth = [true_of(scene, item.question, choice) for choice in item.choices]
            assert truth == [place in item.right for place in range(4)], item
            assert item.regions == ()


def test_visual7w_asks_what_where_who_and_how_many(
    items: Mapping[tuple[str, str], list[Item]],
) -> None:
    assert {item.kind for item in items["visual7w", "test"]} == {"what", "where", "who", "how"}


def test_sentences_of_snli_ve_are_balanced_and_each_is_once_true_and_once_false(
    world: World, items: Mapping[tuple[str, str], list[Item]]
) -> None:
    by_label: dict[str, list[str]] = {
        label: [] for label in ("entailment", "contradiction", "neutral")
    }
    for item in items["snli_ve", "test"]:
        label = item.choices[item.right[0]]
        scene = world.by_id[item.image_id].scene
        sentence = item.question.removeprefix("Does the image describe ").removesuffix("?")
        by_label[label].append(sentence)
        assert (sentence in snli_ve.certain(scene)) == (label == "entailment")
        assert (sentence in snli_ve.possible(scene)) == (label == "entailment")
    assert len({len(sentences) for sentences in by_label.values()}) == 1
    assert Counter(by_label["entailment"]) == Counter(by_label["contradiction"])
    assert not set(by_label["neutral"]) & set(by_label["entailment"])


def test_open_sentences_are_not_what_the_world_knows_of_anybody_in_the_scene(world: World) -> None:
    for staged in world.of("test"):
        scene = staged.scene
        told = {
            (phrase(entity), answer(scene, n, "before").rsplit(" ", 3)[0])
            for n, entity in enumerate(scene.entities)
        }
        for sentence in snli_ve.open_sentences(scene):
            what, _, before = re.split(r" (who|that) (?=[a-z]+ )", sentence, maxsplit=1)
            # Of two that look alike each may have what the other has not.
            if [phrase(entity) for entity in scene.entities].count(what) == 1:
                assert (what, before) not in told
                assert (what, f"it {before}") not in told


def test_no_word_of_the_gold_files_is_missing_from_the_vocabulary(
    items: Mapping[tuple[str, str], list[Item]],
) -> None:
    known = set(words())
    texts = {
        text
        for found in items.values()
        for item in found
        for text in (
            item.question,
            item.given or "",
            *item.choices,
            *(region.label for region in item.regions),
        )
    }
    used = {
        word for text in texts for word in re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", text.lower())
    }
    assert used - known == set()


def test_equal_seeds_give_equal_bytes_and_another_seed_gives_others(
    world: World, counts: tuple[gold.Counts, ...], tmp_path: Path
) -> None:
    scenes = world.of("held")
    again = gold.write_split(tmp_path / "again", world.folder, scenes, SEED)
    other = gold.write_split(tmp_path / "other", world.folder, scenes, SEED + 1)
    assert again == counts[1]
    first = contents(world.folder / gold.FOLDER / "held")
    assert contents(tmp_path / "again") == first
    assert contents(tmp_path / "other")["vcr/val.jsonl"] != first["vcr/val.jsonl"]
    assert other.vcr == again.vcr


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_earlier_attempt_is_written_over(world: World, tmp_path: Path) -> None:
    scenes = world.of("held")[:3]
    first = gold.write_split(tmp_path, world.folder, scenes, SEED)
    before = contents(tmp_path)
    (tmp_path / "vcr" / "val.jsonl").write_text("broken")
    assert gold.write_split(tmp_path, world.folder, scenes, SEED) == first
    assert contents(tmp_path) == before


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=20)
def test_entities_set_apart_share_no_answer(seed: int, count: int) -> None:
    scene = draw(seed)
    staged = Staged("test/000000.png", "test", "", scene, ())
    chosen = apart(staged, INFERRED, count, random.Random(seed))
    distinct = len({sight(scene, number) for number in range(len(scene.entities))})
    assert (chosen is None) == (distinct < count)
    if chosen is not None:
        said = [answer(scene, number, ask) for number in chosen for ask in INFERRED]
        assert len(set(said)) == len(INFERRED) * count


def test_instances_of_the_training_scenes_are_read_without_refusals(
    world: World, counts: tuple[gold.Counts, ...]
) -> None:
    assert counts
    value = json.loads((world.folder / "train" / "instances.json").read_text())
    parser = Coco()
    parser.take_images(value["images"])
    parser.take_categories(value["categories"])
    parser.take_annotations(value["annotations"])
    entries, strays = parser.entries()
    assert strays == []
    for staged, entry in zip(world.of("train"), entries, strict=True):
        assert (world.folder / "train" / entry.name).is_file()
        assert tuple(place.box for place in entry.places) == staged.boxes
        assert [place.text for place in entry.places] == [e.kind for e in staged.scene.entities]


def test_instances_can_have_runs_instead_of_polygons(world: World, tmp_path: Path) -> None:
    scenes = world.of("train")[:1]
    assert coco.write(tmp_path / "runs.json", scenes, "runs") == len(scenes[0].boxes)
    found = json.loads((tmp_path / "runs.json").read_text())["annotations"]
    for mask, instance in zip(render(scenes[0].scene).masks, found, strict=True):
        kept = instance["segmentation"]
        flat = np.repeat(np.arange(len(kept["counts"])) % 2 == 1, kept["counts"])
        np.testing.assert_array_equal(flat.reshape(kept["size"], order="F"), mask)
        assert instance["area"] == mask.sum()
