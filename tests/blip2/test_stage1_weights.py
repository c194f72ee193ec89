"""Checkpoints of LAVIS, of the release and of Hugging Face are read and written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_blip2 import shake, tiny_size
from torch import Tensor
from transformers import Blip2ForImageTextRetrieval

import checkpoints
from lskd.blip2 import files, weights
from lskd.blip2.stage1 import Critic, Stage1, new_critic, new_student
from lskd.blip2.text import collate
from lskd.errors import UserError

Kind = Literal["eva", "clip"]
TEXTS = collate([(2, 11, 12, 3), (2, 14, 3)])
PIXELS = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(3))


def judged(model: Stage1 | Critic) -> Tensor:
    with torch.no_grad():
        memory = model.eval().backbone.remember(model.backbone.features(PIXELS))
        return model.judge(memory, TEXTS).match


def lavis_file(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({"model": tensors, "epoch": 3}, path)
    return path


def lavis_tensors(model: Stage1 | Critic, folder: Path) -> dict[str, Tensor]:
    weights.save(model, folder / "whole.pth")
    return files.read(folder / "whole.pth")


@pytest.mark.parametrize("kind", ["eva", "clip"])
@pytest.mark.parametrize("name", ["model.pth", "folder"])
def test_what_is_written_is_read_again(tmp_path: Path, kind: Kind, name: str) -> None:
    student, critic = shake(new_student(tiny_size(kind))), shake(new_critic(tiny_size(kind)))
    models: tuple[Stage1 | Critic, ...] = (student, critic)
    for number, model in enumerate(models):
        path = tmp_path / f"{number}{name}"
        weights.save(model, path)
        size = files.read_size(path) if path.is_dir() else tiny_size(kind)
        again = new_student(size) if isinstance(model, Stage1) else new_critic(size)
        assert weights.load(again, path) == weights.Loaded((), (), ())
        torch.testing.assert_close(judged(again), judged(model), atol=1e-5, rtol=1e-5)


def test_the_names_of_a_written_file_are_those_of_lavis(tmp_path: Path) -> None:
    golden = load_file(Path(__file__).parents[1] / "golden" / "blip2" / "tiny_weights.safetensors")
    ours = lavis_tensors(new_student(tiny_size()), tmp_path)
    once = {name for name in ours if ".1." not in name and ".2." not in name}
    theirs = {name for name in golden if ".1." not in name}
    assert once == theirs - {"Qformer.bert.embeddings.position_ids"}


@pytest.mark.parametrize("kind", ["eva", "clip"])
def test_a_pretrained_file_takes_its_frozen_tower_from_another(tmp_path: Path, kind: Kind) -> None:
    student = shake(new_student(tiny_size(kind)))
    tensors = lavis_tensors(student, tmp_path)
    tower = {n.removeprefix("visual_encoder."): t for n, t in tensors.items() if "visual_" in n}
    trained = {name: t for name, t in tensors.items() if "visual_encoder." not in name}
    path = lavis_file(tmp_path / "pretrained.pth", trained)
    last = "blocks.39.norm1.weight" if kind == "eva" else "transformer.resblocks.23.ln_1.weight"
    extra = {"norm.weight": torch.zeros(24), "head.bias": torch.zeros(9), last: torch.zeros(24)}
    torch.save({n: t.half() for n, t in (tower | extra).items()}, tmp_path / "tower.pth")

    again = new_student(tiny_size(kind))
    loaded = weights.load(again, path, frozen=tmp_path / "tower.pth")
    assert loaded == weights.Loaded((), (), ())
    torch.testing.assert_close(judged(again), judged(student), atol=0.02, rtol=0.02)
    with pytest.raises(UserError, match=r"the vision tower is not in this file.*frozen") as raised:
        weights.load(new_student(tiny_size(kind)), path)
    assert "\n" not in str(raised.value)


def test_the_release_critic_is_read_with_its_word_embeddings_under_the_tied_name(
    tmp_path: Path,
) -> None:
    critic = shake(new_critic(tiny_size()))
    tensors = lavis_tensors(critic, tmp_path)
    # Its language head was frozen, and with it the word embeddings, which that head is tied to:
    # such parameters are dropped, but their second names stay.
    words = tensors.pop("Qformer.bert.embeddings.word_embeddings.weight")
    assert torch.equal(tensors["Qformer.cls.predictions.decoder.weight"], words)
    tensors["Qformer.cls.predictions.decoder.bias"] = torch.zeros(40)
    tensors["Qformer.bert.embeddings.position_ids"] = torch.arange(24)[None]
    again = new_critic(tiny_size())
    loaded = weights.load(again, lavis_file(tmp_path / "critic.pth", tensors))
    assert loaded.unused == ("Qformer.cls.predictions.decoder.bias",)
    torch.testing.assert_close(judged(again), judged(critic), atol=1e-5, rtol=1e-5)


def test_a_critic_starts_from_a_student_with_fresh_ratings(tmp_path: Path) -> None:
    student = shake(new_student(tiny_size()))
    weights.save(student, tmp_path / "student.pth")
    critic = new_critic(tiny_size())
    with pytest.raises(UserError, match=r"8 missing \(qa_head.0.weight, .* and 4 more\)"):
        weights.load(critic, tmp_path / "student.pth")
    loaded = weights.load(critic, tmp_path / "student.pth", fresh=("qa", "rationale"))
    assert len(loaded.fresh) == 8 and "vision_proj.weight" in loaded.unused
    torch.testing.assert_close(judged(critic), judged(student), atol=1e-5, rtol=1e-5)


def test_a_student_that_starts_from_a_critic_compares_in_the_width_of_blip_2(
    tmp_path: Path,
) -> None:
    critic = shake(new_critic(tiny_size()))
    weights.save(critic, tmp_path / "critic")
    size = files.read_size(tmp_path / "critic")
    student = new_student(size)
    loaded = weights.load(student, tmp_path / "critic", fresh=("contrast", "language"))
    assert "contrast.text.weight" in loaded.fresh
    assert size.embedding == student.contrast.text.out_features == 256
    torch.testing.assert_close(judged(student), judged(critic), atol=1e-5, rtol=1e-5)


def test_a_part_that_a_model_lacks_cannot_be_fresh(tmp_path: Path) -> None:
    weights.save(new_student(tiny_size()), tmp_path / "student.pth")
    with pytest.raises(
        UserError, match="no part 'qa' to leave fresh; parts: backbone, contrast, language"
    ):
        weights.load(new_student(tiny_size()), tmp_path / "student.pth", fresh=("qa",))


def test_one_line_names_missing_and_unexpected_tensors_and_nothing_is_copied(
    tmp_path: Path,
) -> None:
    tensors = lavis_tensors(shake(new_student(tiny_size())), tmp_path)
    del tensors["itm_head.weight"], tensors["query_tokens"]
    tensors["t5_proj.weight"] = torch.zeros(3)
    student = new_student(tiny_size())
    before = judged(student)
    with pytest.raises(UserError) as raised:
        weights.load(student, lavis_file(tmp_path / "odd.pth", tensors))
    said = str(raised.value)
    assert "2 missing (query_tokens, itm_head.weight)" in said
    assert "1 unexpected (t5_proj.weight)" in said and "\n" not in said
    assert torch.equal(judged(student), before)


def test_a_checkpoint_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    weights.save(new_student(tiny_size(queries=5)), tmp_path / "five.pth")
    with pytest.raises(UserError, match=r"query_tokens is 1 x 5 x 16 and not 1 x 3 x 16.*size"):
        weights.load(new_student(tiny_size(queries=3)), tmp_path / "five.pth")


@pytest.mark.parametrize("kind", ["eva", "clip"])
@pytest.mark.parametrize("name", ["small.pth", "small"])
def test_position_embeddings_grow_with_the_image(tmp_path: Path, kind: Kind, name: str) -> None:
    weights.save(shake(new_student(tiny_size(kind))), tmp_path / name)
    larger = new_student(tiny_size(kind, image=44))
    loaded = weights.load(larger, tmp_path / name)
    assert len(loaded.resized) == 1 and "position_embedding" in loaded.resized[0]
    with torch.no_grad():
        assert larger.backbone.features(torch.randn(1, 3, 44, 44)).shape == (1, 10, 24)


def test_transformers_reads_a_written_folder(tmp_path: Path) -> None:
    student = shake(new_student(tiny_size(), "eager"))
    weights.save(student, tmp_path / "student")
    theirs = Blip2ForImageTextRetrieval.from_pretrained(tmp_path / "student")
    theirs.train(False)
    theirs.vision_model.post_layernorm.eps = 1e-5  # as in LAVIS, and here
    with torch.no_grad():
        said = theirs(PIXELS, TEXTS.ids, TEXTS.mask, use_image_text_matching_head=True)
    torch.testing.assert_close(said.logits_per_image, judged(student), atol=1e-4, rtol=1e-4)


def test_a_folder_that_transformers_wrote_is_read(tmp_path: Path) -> None:
    weights.save(shake(new_student(tiny_size())), tmp_path / "student")
    theirs = Blip2ForImageTextRetrieval.from_pretrained(tmp_path / "student")
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    size = files.read_size(tmp_path / "theirs")
    assert size == tiny_size()
    with pytest.raises(UserError, match=r"6 missing \(temp, language_head"):
        weights.load(new_student(size), tmp_path / "theirs")
    fresh = ("contrast.temperature", "language")  # what transformers' class has no place for
    loaded = weights.load(new_student(size), tmp_path / "theirs", fresh=fresh)
    assert len(loaded.fresh) == 6 and loaded.unused == ()


def test_a_file_of_trained_weights_alone_is_completed_by_one_that_has_the_tower(
    tmp_path: Path,
) -> None:
    student = shake(new_student(tiny_size()))
    weights.save(student, tmp_path / "whole.pth")
    checkpoints.write_without_tower(tmp_path / "trained.pth", tmp_path / "whole.pth")
    again = new_student(tiny_size())
    with pytest.raises(UserError, match="visual_encoder"):
        weights.load(again, tmp_path / "trained.pth")
    weights.load(again, tmp_path / "trained.pth", frozen=tmp_path / "whole.pth")
    torch.testing.assert_close(judged(again), judged(student), atol=1e-5, rtol=1e-5)


def test_a_broken_absent_or_foreign_file_is_one_clear_line(tmp_path: Path) -> None:
    student = new_student(tiny_size())
    weights.save(student, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:5000])
    (tmp_path / "text.pth").write_text("hello")
    torch.save({"model": {"step": 3}}, tmp_path / "numbers.pth")
    torch.save(student, tmp_path / "code.pth")  # a pickled class, which could run anything
    (tmp_path / "empty").mkdir()
    for name in ("absent.pth", "cut.pth", "text.pth", "numbers.pth", "code.pth", "empty"):
        with pytest.raises(UserError, match=name) as raised:
            weights.load(student, tmp_path / name)
        assert "\n" not in str(raised.value)


def test_a_configuration_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(UserError, match="does not describe a BLIP-2"):
        files.read_size(tmp_path)
    with pytest.raises(UserError, match=r"cannot read .*config.json"):
        files.read_size(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        '{"model_type": "blip-2", "vision_config": 3}',
        '{"model_type": "blip-2", "vision_config": {"image_size": "large"}}',
        '{"model_type": "blip-2", "qformer_config": "base"}',
        '{"model_type": "blip-2", "qformer_config": {"hidden_size": [1]}}',
    ],
)
def test_a_configuration_that_makes_no_sense_is_one_clear_line(tmp_path: Path, said: str) -> None:
    (tmp_path / "config.json").write_text(said)
    with pytest.raises(UserError, match=r"config\.json") as raised:
        files.read_size(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("said", ["[" * 100_000, "[]", "{}", '{"weight_map": ["a.safetensors"]}'])
def test_an_index_that_makes_no_sense_is_one_clear_line(tmp_path: Path, said: str) -> None:
    (tmp_path / files.INDEX).write_text(said)
    with pytest.raises(UserError, match=r"cannot read .*model\.safetensors\.index\.json") as raised:
        files.read(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*model\.pth"):
        weights.save(new_student(tiny_size()), tmp_path / "file" / "model.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_sizes_of_larger_images_come_from_a_smaller_folder(tmp_path: Path) -> None:
    weights.save(new_student(tiny_size("clip")), tmp_path / "student")
    size = files.read_size(tmp_path / "student")
    assert replace(size, vision=replace(size.vision, image=44)) == tiny_size("clip", image=44)


def test_a_tensor_file_without_configuration_is_read_as_lavis(tmp_path: Path) -> None:
    student = shake(new_student(tiny_size()))
    tensors = {n: t.clone() for n, t in lavis_tensors(student, tmp_path).items()}
    save_file(tensors, tmp_path / "lavis.safetensors")
    again = new_student(tiny_size())
    weights.load(again, tmp_path / "lavis.safetensors")
    torch.testing.assert_close(judged(again), judged(student), atol=1e-5, rtol=1e-5)
