from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import checkpoints
import tiny_models
from lskd.errors import UserError
from lskd.picture import Picture
from lskd.protocols import Proposal, Proposer
from lskd.verbalize.detector import ObjectDetector, ZeroShotDetector

WORDS = ["cat", "dog", "remote control", "bee gees", "ox"]
DETECTORS: dict[str, Callable[[Path], Path]] = {
    "detr": checkpoints.write_detr,
    "rt_detr_v2": checkpoints.write_rt_detr_v2,
}
PIXEL = 0.01  # pixels of rounding that a Swin with random weights makes of float32
ZERO_SHOT: dict[str, Callable[[Path], Path]] = {
    "owlv2": checkpoints.write_owlv2,
    "grounding_dino": checkpoints.write_grounding_dino,
}


@pytest.fixture(scope="module", params=DETECTORS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return DETECTORS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=ZERO_SHOT)
def zero_shot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ZERO_SHOT[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_grounding_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    folder = tmp_path_factory.mktemp("pictures")
    sizes = [(160, 120), (120, 160), (200, 90), (160, 120)]
    return [tiny_models.picture(folder, *size, seed) for seed, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def everything(trained: Path, pictures: list[Picture]) -> list[list[Proposal]]:
    """Return all that a detector sees, in all pictures at once."""
    return ObjectDetector(str(trained), threshold=0, batch_size=8).propose(pictures)


def numbers(proposals: list[Proposal]) -> torch.Tensor:
    """Return (n, 5): the corners in pixels and the score."""
    return torch.tensor([(*one.box, one.score) for one in proposals]).reshape(-1, 5)


def clipped(result: dict[str, Any], picture: Picture) -> torch.Tensor:
    """Return (n, 5) of a plain result, clipped to the picture, best first."""
    width, height = picture.pixels.size
    boxes = result["boxes"]
    boxes = torch.stack(
        [boxes[:, side].clamp(0, width if side % 2 == 0 else height) for side in range(4)], dim=1
    )
    rows = torch.cat([boxes, result["scores"][:, None]], dim=1)
    rows = rows[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    return rows[rows[:, 4].argsort(descending=True)]


def test_boxes_are_those_of_a_plain_use_of_the_model(
    trained: Path, pictures: list[Picture]
) -> None:
    detector = ObjectDetector(str(trained), threshold=0.2)
    assert isinstance(detector, Proposer)
    library = tiny_models.transformers
    model = library.AutoModelForObjectDetection.from_pretrained(trained).eval()
    processor = library.AutoImageProcessor.from_pretrained(trained, backend="pil")
    found = detector.propose(pictures)
    assert sum(map(len, found)) > len(pictures)
    for picture, proposals in zip(pictures, found, strict=True):
        inputs = processor(images=picture.pixels, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**inputs)
        (result,) = processor.post_process_object_detection(
            outputs, threshold=0.2, target_sizes=[picture.pixels.size[::-1]]
        )
        expected = clipped(result, picture)
        torch.testing.assert_close(numbers(proposals), expected, atol=1e-3, rtol=0)
        assert {one.label for one in proposals} <= {"person", "dog", "cup"}


def test_boxes_lie_inside_the_picture_and_come_best_first(
    everything: list[list[Proposal]], pictures: list[Picture]
) -> None:
    for picture, proposals in zip(pictures, everything, strict=True):
        assert proposals
        scores = [one.score for one in proposals]
        assert scores == sorted(scores, reverse=True)
        for box in (one.box for one in proposals):
            assert 0 <= box.x0 < box.x1 <= picture.image.width
            assert 0 <= box.y0 < box.y1 <= picture.image.height


def test_only_scores_above_the_threshold_are_proposed(
    trained: Path, everything: list[list[Proposal]], pictures: list[Picture]
) -> None:
    scores = sorted(one.score for proposals in everything for one in proposals)
    middle = scores[len(scores) // 2]
    some = ObjectDetector(str(trained), threshold=middle).propose(pictures)
    kept = sorted(one.score for proposals in some for one in proposals)
    assert kept == pytest.approx([score for score in scores if score > middle], abs=1e-6)


def test_the_pictures_beside_it_change_nothing_of_a_picture(
    trained: Path, everything: list[list[Proposal]], pictures: list[Picture]
) -> None:
    alone = ObjectDetector(str(trained), threshold=0, batch_size=1).propose(pictures)
    for left, right in zip(alone, everything, strict=True):
        assert [one.label for one in left] == [one.label for one in right]
        torch.testing.assert_close(numbers(left), numbers(right), atol=1e-3, rtol=0)


def test_zero_shot_boxes_are_those_of_a_plain_use_of_the_model(
    zero_shot: Path, pictures: list[Picture]
) -> None:
    detector = ZeroShotDetector(str(zero_shot), WORDS, threshold=0.3)
    assert isinstance(detector, Proposer)
    library = tiny_models.transformers
    model = library.AutoModelForZeroShotObjectDetection.from_pretrained(zero_shot).eval()
    processor = library.AutoProcessor.from_pretrained(zero_shot)
    processor.image_processor = library.AutoImageProcessor.from_pretrained(zero_shot, backend="pil")
    # OWLv2 reads texts of full length.
    full = {"padding": "max_length", "max_length": 16} if "owl" in model.config.model_type else {}
    found = detector.propose(pictures)
    assert sum(map(len, found)) > len(pictures)
    for picture, proposals in zip(pictures, found, strict=True):
        inputs = processor(images=[picture.pixels], text=[WORDS], return_tensors="pt", **full)
        with torch.inference_mode():
            outputs = model(**inputs)
        (result,) = processor.post_process_grounded_object_detection(
            outputs,
            threshold=0.3,
            target_sizes=[picture.pixels.size[::-1]],
            text_labels=[WORDS],
        )
        expected = clipped(result, picture)
        torch.testing.assert_close(numbers(proposals), expected, atol=PIXEL, rtol=0)
        assert {one.label for one in proposals} <= set(WORDS)
        if model.config.model_type == "owlv2":
            assert {one.label for one in proposals} <= set(result["text_labels"])


def test_zero_shot_results_do_not_depend_on_the_batch(
    zero_shot: Path, pictures: list[Picture]
) -> None:
    alone = ZeroShotDetector(str(zero_shot), WORDS, batch_size=1).propose(pictures)
    together = ZeroShotDetector(str(zero_shot), WORDS, batch_size=8).propose(pictures)
    for left, right in zip(alone, together, strict=True):
        assert [one.label for one in left] == [one.label for one in right]
        torch.testing.assert_close(numbers(left), numbers(right), atol=PIXEL, rtol=0)


def test_each_token_of_grounding_dino_means_the_word_it_is_part_of(dino: Path) -> None:
    detector = ZeroShotDetector(str(dino), ["cat", "remote control", "Mr. ox"])
    (query,) = detector.queries
    tokenizer = tiny_models.transformers.AutoTokenizer.from_pretrained(dino)
    tokens = tokenizer.convert_ids_to_tokens(query.inputs["input_ids"][0])
    named = [f"{token}={query.names[index]}" for index, token in enumerate(tokens)]
    assert " ".join(named) == (
        "[CLS]=cat cat=cat .=cat remote=remote control control=remote control .=remote control "
        "m=Mr. ox ##r=Mr. ox o=Mr. ox ##x=Mr. ox .=Mr. ox [SEP]=Mr. ox"
    )


def test_more_words_than_grounding_dino_can_read_are_looked_for_in_passes(
    dino: Path, pictures: list[Picture]
) -> None:
    words = ["cat", "dog", *(letter * 3 for letter in "abcdefgh")]
    detector = ZeroShotDetector(str(dino), words, threshold=0)
    limit = detector.model.config.max_text_len
    assert len(detector.queries) > 1
    assert all(query.inputs["input_ids"].shape[1] <= limit for query in detector.queries)
    assert {name for query in detector.queries for name in query.names.values()} == set(words)
    first = [word for word in words if word in detector.queries[0].names.values()]
    part = ZeroShotDetector(str(dino), first, threshold=0).propose(pictures)
    for some, everything in zip(part, detector.propose(pictures), strict=True):
        assert set(some) < set(everything)


def test_a_word_that_is_too_long_for_the_model_is_told(dino: Path) -> None:
    with pytest.raises(UserError, match=r"label 'zzzz.*' is too long for the model"):
        ZeroShotDetector(str(dino), ["cat", "z" * 30])


def test_words_come_from_a_label_file_and_repeat_nothing(zero_shot: Path, tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("/m/01,Cat\n/m/02,Ox\n/m/03,cat\n")
    detector = ZeroShotDetector(str(zero_shot), str(tmp_path / "words.csv"))
    assert {name for query in detector.queries for name in query.names.values()} == {"Cat", "Ox"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"labels": []}, "labels = [] is empty"),
        ({"labels": [" "]}, "labels = [] is empty"),
        ({"threshold": 1.0}, "threshold = 1.0 must be at least 0 and below 1"),
        ({"batch_size": 0}, "batch_size = 0 must be 1 or more"),
        ({"template": "a {} and a {}"}, "must have one {}"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(dino: Path, keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        ZeroShotDetector(**({"checkpoint": str(dino), "labels": WORDS} | keys))
    assert told in str(caught.value)


def test_a_checkpoint_of_another_sort_is_told(trained: Path, dino: Path) -> None:
    with pytest.raises(UserError, match="is a grounding-dino model; needed is an object detector"):
        ObjectDetector(str(dino))
    with pytest.raises(UserError, match=r"detr.* model; needed is a zero-shot object detector"):
        ZeroShotDetector(str(trained), WORDS)
