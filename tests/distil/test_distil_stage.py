"""The stage: what it makes, what it leaves out and says why, and what another setting changes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import toys
from pydantic import ValidationError

from lskd.blip2 import files, weights
from lskd.blip2.stage1 import new_student
from lskd.distil.note import read
from lskd.distil.student import Student
from lskd.distil.work import fingerprint_of
from lskd.errors import UserError
from lskd.types import Box


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return files.read(folder / "distil" / "student")


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def losses(root: Path) -> list[dict[str, float]]:
    (file,) = root.glob("distil/training/*/losses.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_student_is_made_and_needs_nothing_of_its_run(tmp_path: Path) -> None:
    house = toys.house(tmp_path / "run")
    said: list[str] = []
    assert house.distil(said, swaps=0.5, steps=3) == []
    assert any(line.startswith("step 3 of 3: loss") for line in said)
    moved = (house.folder / "student").rename(tmp_path / "student")
    (house.root / "base").rename(tmp_path / "elsewhere")
    about = read(moved)
    assert (about.marking, about.image, about.tokens, about.seed) == ("clear", 56, 48, 0)
    assert about.use == "lskd.distil.student:Student" and about.base.endswith("base")
    first = toys.examples(tmp_path / "new", 1, seed=9)[0]
    with PIL.Image.open(first.path) as pixels:
        scores = Student(moved).rank(pixels, first.regions, first.question, ["[0] is red.", "Blue"])
    assert len(scores) == 2 and all(0 <= score <= 1 for score in scores)


def test_the_tower_is_frozen_and_the_rest_is_trained(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    before = files.read(tmp_path / "base")
    house.distil(train_ln_vision=False, steps=2)
    after = tensors(tmp_path)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not [name for name in changed if name.startswith("vision_model.")]
    house.distil(train_ln_vision=True, steps=2)
    assert not torch.equal(
        before["vision_model.post_layernorm.weight"],
        tensors(tmp_path)["vision_model.post_layernorm.weight"],
    )


def test_a_student_stops_a_share_short_of_what_was_trained(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    base = files.read(tmp_path / "base")
    house.distil(steps=3, learning_rate=1e-2)
    trained = tensors(tmp_path)
    house.distil(steps=3, learning_rate=1e-2, base_share=0.25)
    found = tensors(tmp_path)
    assert found.keys() == trained.keys() == base.keys()
    moved = [name for name in base if not torch.equal(base[name], trained[name])]
    assert moved
    for name, weight in found.items():
        expected = 0.25 * base[name] + 0.75 * trained[name] if name in moved else base[name]
        torch.testing.assert_close(weight, expected, atol=1e-6, rtol=0)


def test_a_tower_that_is_trained_changes(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    house.distil(train_vision=True, recompute=True, steps=2)
    name = "vision_model.embeddings.patch_embedding.weight"
    assert not torch.equal(files.read(tmp_path / "base")[name], tensors(tmp_path)[name])


def test_names_of_the_release_are_read(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    model = toys.student()
    weights.save(model, tmp_path / "release.pth")
    given = files.read(tmp_path / "release.pth")
    tower = {name: t for name, t in given.items() if name.startswith("visual_encoder.")}
    rest = {name: t for name, t in given.items() if name not in tower}
    assert "Qformer.bert.encoder.layer.0.crossattention.self.key.weight" in rest
    torch.save({"model": rest, "iters": 10000}, tmp_path / "release.pth")
    torch.save({"model": tower}, tmp_path / "tower.pth")
    house.distil(
        weights=str(tmp_path / "release.pth"),
        frozen=str(tmp_path / "tower.pth"),
        size=str(tmp_path / "base"),
        vocabulary=str(tmp_path / "base" / "vocab.txt"),
        steps=2,
    )
    from_file = tensors(tmp_path)
    assert read(tmp_path / "distil" / "student").base.endswith("release.pth")
    house.distil(steps=2)  # the base folder holds the same weights
    assert equal(tensors(tmp_path), from_file)


def test_a_picture_that_is_gone_is_a_reject_and_the_rest_goes_on(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    rows = toys.examples(tmp_path / "pictures", 4)
    gone, changed = Path(rows[0].path), Path(rows[3].path)
    gone.unlink()
    PIL.Image.new("RGB", (56, 56)).save(changed)
    strange = replace(rows[6], id="strange", question="What is [7]?")
    outside = replace(rows[6].regions[0], box=Box(900, 900, 950, 950))
    hidden = replace(
        rows[6],
        id="hidden",
        regions=(outside,),
        question="[0]?",
        answer="",
        rationale="",
        region_ids=(0,),
    )
    house.fill([*rows[:6], strange, hidden], rows[6:])
    said: list[str] = []
    rejects = house.distil(said, steps=2)
    reasons = {reject.source: reject.reason for reject in rejects}
    assert len(reasons) == 8
    assert reasons[rows[0].id] == "its image cannot be read: No such file or directory"
    assert reasons[rows[3].id] == "its image has changed since it was first read"
    assert reasons["strange"] == "names region [7], which it has not got"
    assert reasons["hidden"] == "names region [0], which lies outside of the picture"
    assert "8 examples cannot be trained on: see the stage's rejects" in said
    assert losses(tmp_path)[-1]["step"] == 2


def test_no_example_is_one_clear_line(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    with pytest.raises(UserError, match="none of the 12 examples is of the split 'test'"):
        house.distil(split="test")
    house.fill([])
    with pytest.raises(UserError, match="there are no examples to train on: lower corpus"):
        house.distil()


def test_if_every_picture_is_gone_the_first_reason_is_told(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    for file in (tmp_path / "pictures").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"12 of 12 were left out.* cannot be read: No such file"):
        house.distil()


def test_one_row_at_a_time_works(tmp_path: Path) -> None:
    toys.house(tmp_path, pictures=1).distil(batch=1, swaps=1.0, steps=3)
    assert len(losses(tmp_path)) == 3
    assert all(row["itm"] > 0 and row["itc"] == 0 for row in losses(tmp_path))


def test_swapped_texts_change_what_is_learnt(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    house.distil(steps=2)
    without = tensors(tmp_path)
    house.distil(swaps=1.0, steps=2)
    assert not equal(tensors(tmp_path), without)


def test_a_finished_student_is_not_trained_again_and_new_examples_train_a_new_one(
    tmp_path: Path,
) -> None:
    house = toys.house(tmp_path)
    house.distil(steps=2)
    note = house.folder / "student" / "student.toml"
    before = note.stat().st_mtime_ns
    house.distil(log_every=1, workers=2, steps=2)
    assert note.stat().st_mtime_ns == before
    house.fill(toys.examples(tmp_path / "pictures", 3))
    house.distil(steps=2)
    assert note.stat().st_mtime_ns != before
    assert len(list((house.folder / "training").iterdir())) == 2


def test_long_texts_are_counted(tmp_path: Path) -> None:
    said: list[str] = []
    toys.house(tmp_path).distil(said, tokens=20, steps=1)
    assert any("examples are longer than `tokens`" in line for line in said)


def test_a_student_is_another_where_what_its_swap_critic_reads_has_changed(tmp_path: Path) -> None:
    house, diary = toys.house(tmp_path), tmp_path / "diary"
    critic = {"use": "critics:ColourBlind", "diary": str(diary)}
    settings = toys.settings(tmp_path, swaps=1.0, swap_critic=critic)
    diary.write_text("one")
    first = fingerprint_of(settings, 0, house.tables)
    assert fingerprint_of(settings, 0, house.tables) == first
    diary.write_text("another")
    assert fingerprint_of(settings, 0, house.tables) != first


def test_a_rationale_that_is_never_said_makes_no_text_too_long(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    for rationales, longer in ((0.5, 12), (0.0, 0)):
        said: list[str] = []
        house.distil(said, tokens=24, rationales=rationales, steps=1)
        told = [line.split()[0] for line in said if "are longer than `tokens`" in line]
        assert told == ([str(longer)] if longer else [])


def test_a_fixed_set_of_views_is_seen_once(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    said: list[str] = []
    house.distil(said, views=2, steps=1)
    (told,) = [line for line in said if line.startswith("features of")]
    told_of = re.fullmatch(r"features of (\d+) views take .+ GB in (.+); \1 views are .+", told)
    assert told_of is not None
    # Plain views are shared: 4 pictures have one each, and 8 examples by id at most two.
    assert 8 < int(told_of[1]) <= 20
    assert (Path(told_of[2]) / "keys").stat().st_size == 16 * int(told_of[1])
    house.distil(said, views=2, steps=2)
    assert said[-1] != told and [x for x in said if x.endswith("; 0 views are to be seen")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"views": 2, "train_vision": True}, "views = 2 keeps what a frozen tower saw"),
        ({"swap_critic": {"use": "critics:Judge"}}, "swap_critic has nothing to judge"),
        ({"answer_text": "{question}"}, "answer_text = '{question}': expected each of"),
        ({"answer_text": "{question} {0}"}, "answer_text"),
        ({"warmup": 9}, "warmup = 9: expected 0 to 6, all steps"),
        ({"views": 0}, "views"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        toys.settings(tmp_path, **changes)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": "nowhere.pth"}, "no vocabulary at nowhere.pth: set vocabulary in"),
        ({"vocabulary": "nowhere.txt"}, "no vocabulary at nowhere.txt"),
        ({"size": "vit_h"}, "size = 'vit_h': expected vit_g, vit_l, or a folder"),
        ({"tokens": 128}, "tokens = 128; the model reads at most 48"),
    ],
)
def test_a_base_that_cannot_be_is_one_clear_line(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told) as raised:
        toys.house(tmp_path).distil(**changes)
    assert "\n" not in str(raised.value)


def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    with (tmp_path / "base" / "vocab.txt").open("a") as opened:
        opened.write("more\n")
    with pytest.raises(UserError, match=r"entries, .* the model has"):
        house.distil()


def test_bfloat16_trains_with_and_without_the_cache(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    for views in ("fresh", 2):
        house.distil(precision="bf16", views=views, swaps=0.5, steps=2)
    made = [file.read_text().splitlines() for file in house.folder.glob("training/*/losses.jsonl")]
    assert [len(lines) for lines in made] == [2, 2]
    assert {tensor.dtype for tensor in tensors(tmp_path).values()} == {torch.float32}


def test_a_picture_that_goes_while_it_trains_stops_it_and_its_return_goes_on(
    tmp_path: Path,
) -> None:
    house = toys.house(tmp_path, pictures=2)
    house.distil(steps=2, save_every=1)
    (house.folder / "student" / "student.toml").unlink()
    for checkpoint in house.folder.glob("training/*/checkpoints/00000002.pt"):
        checkpoint.unlink()
    lost = min((tmp_path / "pictures").iterdir())
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(UserError, match=f"cannot read {lost}: No such file"):
        house.distil(steps=2, save_every=1)
    lost.write_bytes(kept)
    said: list[str] = []
    house.distil(said, steps=2, save_every=1)
    assert "going on after step 1 of 2" in said


def test_larger_pictures_resize_the_position_embeddings(tmp_path: Path) -> None:
    toys.house(tmp_path).distil(image=70, steps=2)
    assert read(tmp_path / "distil" / "student").image == 70
    again = new_student(files.read_size(tmp_path / "distil" / "student"))
    assert weights.load(again, tmp_path / "distil" / "student").resized == ()
