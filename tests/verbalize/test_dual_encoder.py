import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import checkpoints
import tiny_models
from lskd.checkpoints.checkpoint import digest
from lskd.errors import UserError
from lskd.picture import Picture
from lskd.protocols import Tagger
from lskd.types import Concept, Concepts
from lskd.verbalize.dual_encoder import TEXTS, DualEncoder
from lskd.verbalize.labels import Kind, builtin

WRITERS: dict[str, Callable[[Path], Path]] = {
    "clip": checkpoints.write_clip,
    "siglip": checkpoints.write_siglip,
    "siglip2": checkpoints.write_siglip2,
}


@pytest.fixture(scope="module", params=WRITERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WRITERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    folder = tmp_path_factory.mktemp("pictures")
    sizes = [(40, 30), (30, 40), (64, 20), (33, 33), (50, 50)]
    return [tiny_models.picture(folder, *size, seed) for seed, size in enumerate(sizes)]


@dataclass(frozen=True)
class Tagged:
    """What CLIP says of the pictures, and the folder in which it keeps its labels."""

    cache: Path
    rows: list[Concepts]


@pytest.fixture(scope="module")
def tagged(clip: Path, pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Tagged:
    cache = tmp_path_factory.mktemp("tagged")
    return Tagged(cache, DualEncoder(str(clip), cache=str(cache)).tag(pictures))


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder where the labels of all checkpoints are kept."""
    return str(tmp_path_factory.mktemp("labels"))


@cache
def loaded(checkpoint: Path) -> tuple[Any, Any]:
    """Return the model and its processor as a user of transformers would load them."""
    library = tiny_models.transformers
    processor = library.AutoProcessor.from_pretrained(checkpoint)
    # The default depends on whether torchvision is installed.
    processor.image_processor = library.AutoImageProcessor.from_pretrained(
        checkpoint, backend="pil"
    )
    return library.AutoModel.from_pretrained(checkpoint).eval(), processor


def reference(checkpoint: Path, pixels: list[PIL.Image.Image], prompts: list[str]) -> torch.Tensor:
    """Return the probabilities (images, labels) that a plain forward pass of the model gives."""
    model, processor = loaded(checkpoint)
    kind = model.config.model_type
    full = kind != "clip"
    inputs = processor(
        text=prompts,
        images=pixels,
        padding="max_length" if full else True,
        **({"max_length": 64} if full else {}),
        # What SigLIP 2's processor would set otherwise, whatever the checkpoint says.
        **({"patch_size": 8, "max_num_patches": 16} if kind == "siglip2" else {}),
        return_tensors="pt",
    )
    with torch.inference_mode():
        logits = model(**inputs).logits_per_image
    probabilities: torch.Tensor = logits.sigmoid() if full else logits.softmax(dim=-1)
    return probabilities


def test_scores_are_those_of_a_plain_forward_pass(
    checkpoint: Path, pictures: list[Picture], labels: str
) -> None:
    everything = DualEncoder(
        str(checkpoint),
        top_places=10_000,
        top_objects=10_000,
        top_concepts=10_000,
        cache=labels,
    )
    assert isinstance(everything, Tagger)
    said = everything.tag(pictures)
    assert [one.image_id for one in said] == [picture.image.id for picture in pictures]
    kinds: tuple[Kind, ...] = ("places", "objects", "concepts")
    for kind in kinds:
        texts = [label.text for label in builtin(kind)]
        named = [getattr(one, kind) for one in said]
        agrees_with_a_plain_pass(checkpoint, pictures, texts, named)


def test_a_list_longer_than_what_is_embedded_at_once_is_scored_whole(
    clip: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    texts = [f"thing {number}" for number in range(TEXTS + 1)]
    file = tmp_path / "long.txt"
    file.write_text("\n".join(texts))
    everything = DualEncoder(
        str(clip),
        places=str(file),  # the same list is embedded once
        objects=str(file),
        concepts=str(file),
        top_objects=10_000,
        cache=str(tmp_path / "kept"),
    )
    named = [one.objects for one in everything.tag(pictures[:2])]
    agrees_with_a_plain_pass(clip, pictures[:2], texts, named)


def agrees_with_a_plain_pass(
    checkpoint: Path,
    pictures: list[Picture],
    texts: list[str],
    named: Sequence[Sequence[Concept]],
) -> None:
    """Check that each picture has every label, most likely first, with the model's own score."""
    pixels = [picture.pixels for picture in pictures]
    expected = reference(checkpoint, pixels, [f"a photo of {text}" for text in texts])
    for concepts, scores in zip(named, expected, strict=True):
        found = {concept.label: concept.score for concept in concepts}
        assert [concept.score for concept in concepts] == sorted(found.values(), reverse=True)
        assert found.keys() == set(texts)
        torch.testing.assert_close(
            torch.tensor([found[text] for text in texts]), scores, atol=1e-5, rtol=0
        )


def test_two_places_three_objects_and_three_concepts_are_named(
    checkpoint: Path, pictures: list[Picture], labels: str
) -> None:
    for said in DualEncoder(str(checkpoint), cache=labels).tag(pictures):
        assert [len(said.places), len(said.objects), len(said.concepts)] == [2, 3, 3]


def test_the_batch_size_changes_no_label(
    checkpoint: Path, pictures: list[Picture], labels: str
) -> None:
    one = DualEncoder(str(checkpoint), batch_size=1, cache=labels).tag(pictures)
    all_at_once = DualEncoder(str(checkpoint), batch_size=16, cache=labels).tag(pictures)
    for left, right in zip(one, all_at_once, strict=True):
        assert [c.label for c in left.objects] == [c.label for c in right.objects]
        for mine, yours in zip(left.objects, right.objects, strict=True):
            assert mine.score == pytest.approx(yours.score, abs=1e-5)


def test_an_ensemble_is_the_mean_of_unit_features_made_unit_again(
    clip: Path, tmp_path: Path
) -> None:
    templates = ["a photo of {}", "a sketch of {}.", "{} at night"]
    encoder = DualEncoder(str(clip), template=templates, cache=str(tmp_path))
    model, processor = loaded(clip)
    each = []
    for template in templates:
        inputs = processor(text=[template.format("dog")], return_tensors="pt")
        with torch.inference_mode():
            features = model.get_text_features(**inputs).pooler_output
        each.append(features / features.norm(dim=-1, keepdim=True))
    mean = torch.stack(each).mean(dim=0)
    expected = mean / mean.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(encoder.text_features(["dog"]), expected, atol=1e-6, rtol=0)


def test_a_repeated_name_is_said_once_and_takes_no_share(
    clip: Path, pictures: list[Picture], tagged: Tagged, tmp_path: Path
) -> None:
    cache = shutil.copytree(tagged.cache, tmp_path / "cache")
    (tmp_path / "once.txt").write_text("crane\ndog\nboat\n")
    rows = ["crane", "dog", "crane", "boat", "Crane, lifting machine"]
    (tmp_path / "again.txt").write_text(
        "".join(f"{index}\tn0000000{index}\t-1\t{row}\n" for index, row in enumerate(rows))
    )
    once, again = (
        DualEncoder(str(clip), objects=str(tmp_path / name), cache=str(cache)).tag(pictures)
        for name in ("once.txt", "again.txt")
    )
    assert once == again


def test_labels_are_embedded_once_and_read_from_the_cache(
    clip: Path, pictures: list[Picture], tagged: Tagged, tmp_path: Path
) -> None:
    shutil.copytree(tagged.cache, tmp_path, dirs_exist_ok=True)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 3
    assert DualEncoder(str(clip), cache=str(tmp_path)).tag(pictures) == tagged.rows
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    # What lies there is what is used: turned round, it names the least likely labels.
    for path in kept:
        np.save(path, -np.load(path))
    assert DualEncoder(str(clip), cache=str(tmp_path)).tag(pictures) != tagged.rows


def test_a_cut_cache_file_is_made_again(
    clip: Path, pictures: list[Picture], tagged: Tagged, tmp_path: Path
) -> None:
    for path in tagged.cache.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:100])
    assert DualEncoder(str(clip), cache=str(tmp_path)).tag(pictures) == tagged.rows
    assert all(len(np.load(path)) > 50 for path in tmp_path.iterdir())


@pytest.mark.parametrize("change", ["template", "labels", "weights"])
def test_a_changed_template_list_or_model_gets_a_cache_file_of_its_own(
    clip: Path, pictures: list[Picture], tagged: Tagged, tmp_path: Path, change: str
) -> None:
    folder = shutil.copytree(tagged.cache, tmp_path / "cache")
    (tmp_path / "mine.txt").write_text("dog\nboat\n")
    other = shutil.copytree(clip, tmp_path / "other")
    if change == "weights":
        with (other / "model.safetensors").open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            last = stream.read(1)[0]
            stream.seek(-1, os.SEEK_END)
            stream.write(bytes([last ^ 1]))
    DualEncoder(
        str(other),
        objects=str(tmp_path / "mine.txt") if change == "labels" else None,
        template="a drawing of {}" if change == "template" else "a photo of {}",
        cache=str(folder),
    ).tag(pictures)
    assert len(list(folder.iterdir())) == (4 if change == "labels" else 6)


def test_a_cache_that_cannot_be_written_is_told(
    clip: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    encoder = DualEncoder(str(clip), cache=str(tmp_path / "file" / "labels"))
    with pytest.raises(UserError, match=r"cannot write .*; set `cache`"):
        encoder.tag(pictures)


def test_bfloat16_gives_nearly_the_same_scores(
    clip: Path, pictures: list[Picture], tagged: Tagged, tmp_path: Path
) -> None:
    rough = DualEncoder(str(clip), dtype="bfloat16", cache=str(tmp_path)).tag(pictures)
    for left, right in zip(tagged.rows, rough, strict=True):
        assert left.places[0].score == pytest.approx(right.places[0].score, abs=0.1)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"template": "a photo"}, "must have one {}"),
        ({"template": []}, "is empty"),
        ({"dtype": "int8"}, "known are auto, float32"),
        ({"device": "abacus"}, "device = 'abacus' cannot be used"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"places": "none.txt"}, "cannot read none.txt"),
        ({"checkpoint": "./none"}, "there is no such folder"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(clip: Path, keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        DualEncoder(**({"checkpoint": str(clip)} | keys))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_sort_is_told(tmp_path: Path) -> None:
    detr = checkpoints.write_detr(tmp_path)
    with pytest.raises(UserError, match="is a detr model; needed is a dual encoder"):
        DualEncoder(str(detr))


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("config.json", "cannot load the configuration"),
        ("model.safetensors", "cannot load the weights"),
        ("tokenizer.json", "cannot load the tokenizer"),
        ("processor_config.json", "cannot load the image processor"),
    ],
)
@pytest.mark.parametrize("how", ["absent", "cut"])
def test_a_file_that_is_absent_or_cut_off_is_told_in_one_line(
    clip: Path, tmp_path: Path, lost: str, told: str, how: str
) -> None:
    broken = shutil.copytree(clip, tmp_path / "broken")
    if how == "absent":
        (broken / lost).unlink()
    else:
        (broken / lost).write_bytes((broken / lost).read_bytes()[:50])
    with pytest.raises(UserError) as caught:
        DualEncoder(str(broken))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_weights_that_lack_a_layer_are_refused_not_made_up(clip: Path, tmp_path: Path) -> None:
    other = shutil.copytree(clip, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 3
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"lacks 16 weights of a CLIPModel, such as text_model"):
        DualEncoder(str(other))


def test_a_folder_is_identified_by_its_bytes(clip: Path, tmp_path: Path) -> None:
    other = shutil.copytree(clip, tmp_path / "other")
    (other / ".cache").mkdir()
    (other / ".cache" / "lock").write_text("")
    assert digest(str(other)) == digest(str(clip))
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    assert digest(str(other)) != digest(str(clip))


HUB = """
import sys
from lskd.errors import UserError
from lskd.checkpoints.checkpoint import Checkpoint, config_of, digest, image_processor_of
print(digest("someone/tiny"), config_of(Checkpoint("someone/tiny")).model_type)
try:
    digest("someone/absent")
except UserError as error:
    print(error)
if sys.argv[1:]:
    print(type(image_processor_of(Checkpoint("someone/tiny"))).__name__)
"""


# To load an image processor takes twice as long as all the rest.
@pytest.mark.parametrize("words", [[], pytest.param(["whole"], marks=pytest.mark.check)])
def test_a_name_on_the_hub_is_found_in_the_cache_when_offline(
    clip: Path, tmp_path: Path, words: list[str]
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(clip, repository / "snapshots" / commit)
    said = subprocess.run(
        [sys.executable, "-c", HUB, *words],
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, *kind = said.stdout.splitlines()
    assert first == f"{commit} clip"
    assert "someone/absent" in second
    assert "HF_HUB_OFFLINE is set" in second
    assert kind == ["CLIPImageProcessorPil"] * len(words)
    assert said.stderr == ""
