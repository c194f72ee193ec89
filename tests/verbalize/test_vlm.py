import importlib.util
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import checkpoints
import tiny_models
from lskd.checkpoints.family import Asker
from lskd.errors import UserError
from lskd.marking import mark
from lskd.picture import Picture
from lskd.protocols import Answerer, Captioner, Narrator
from lskd.types import Box, Region
from lskd.verbalize.replies import whole_sentences
from lskd.verbalize.vlm import Sampler, VisionLanguageModel
from lskd.writing.decode import nucleus


def write_blip2_t5(folder: Path) -> Path:
    return checkpoints.write_blip2(folder, "t5")


WRITERS: dict[str, Callable[[Path], Path]] = {
    "blip2": checkpoints.write_blip2,
    "blip2_t5": write_blip2_t5,
    "instructblip": checkpoints.write_instructblip,
    "idefics3": checkpoints.write_idefics3,
    "florence2": checkpoints.write_florence2,
}
SHORT: dict[str, Any] = {"narrative_tokens": 6, "region_tokens": 4, "answer_tokens": 4}
QUESTIONS = ["Why?", "What is the person on the left holding?", "Is it cold there", "", "Who?"]


@pytest.fixture(scope="module", params=WRITERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WRITERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> VisionLanguageModel:
    """Return a model of each family, loaded once."""
    return VisionLanguageModel(str(checkpoint), style="release", batch_size=2, **SHORT)


@pytest.fixture(scope="module")
def idefics3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_idefics3(tmp_path_factory.mktemp("idefics3"))


@pytest.fixture(scope="module")
def blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_blip2(tmp_path_factory.mktemp("blip2"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    folder = tmp_path_factory.mktemp("pictures")
    sizes = [(160, 120), (120, 160), (90, 90), (200, 90), (160, 120)]
    return [tiny_models.picture(folder, *size, seed) for seed, size in enumerate(sizes)]


REGIONS = [
    [Region(0, Box(5, 5, 60, 60), "dog", "", 0.9), Region(3, Box(70, 40, 110, 90), "cup", "", 0.5)],
    [],
    [Region(1, Box(10, 20, 80, 85), "person", "", 0.8)],
]


@cache
def loaded(checkpoint: Path) -> tuple[Any, Any]:
    """Return the model and its processor as a user of transformers would load them."""
    library = tiny_models.transformers
    processor = library.AutoProcessor.from_pretrained(checkpoint)
    # The default depends on whether torchvision is installed.
    processor.image_processor = library.AutoImageProcessor.from_pretrained(
        checkpoint, backend="pil"
    )
    return library.AutoModelForImageTextToText.from_pretrained(checkpoint).eval(), processor


def plain(checkpoint: Path, picture: Any, words: str, tokens: int) -> str:
    """Return what the model says greedily, asked as its documentation asks, one at a time."""
    model, processor = loaded(checkpoint)
    if processor.chat_template:
        content = [{"type": "image", "image": picture}, {"type": "text", "text": words}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    else:
        inputs = processor(images=picture, text=words, return_tensors="pt")
    with torch.inference_mode():
        rows = model.generate(**inputs, max_new_tokens=tokens, do_sample=False, num_beams=1)
    start = 0
    if model.config.model_type in ("blip-2", "instructblip", "idefics3"):
        text = model.config.get_text_config()
        start = 0 if text.is_encoder_decoder else inputs["input_ids"].shape[1]
    said = processor.tokenizer.decode(rows[0, start:], skip_special_tokens=True)
    kept = "".join(one if one.isprintable() else " " for one in said)
    return " ".join(kept.split())


def asked(checkpoint: Path, form: dict[str, str], task: str, question: str = "") -> str:
    """Return the words that the documentation of a model's family gives for a task."""
    kind = json.loads((checkpoint / "config.json").read_text())["model_type"]
    own = Path(__file__).parents[2] / "src/lskd/verbalize/prompts" / f"vlm_{task}.txt"
    words = form.get(kind, own.read_text().strip())
    return words.replace("$question", question)


def test_a_narrative_at_temperature_0_is_what_the_model_says_greedily(
    model: VisionLanguageModel, checkpoint: Path, pictures: list[Picture]
) -> None:
    assert isinstance(model, Narrator)
    words = asked(checkpoint, {"blip-2": "", "florence2": "<MORE_DETAILED_CAPTION>"}, "narrative")
    found = model.narrate(pictures, samples=5, temperature=0)
    expected = [plain(checkpoint, one.pixels, words, SHORT["narrative_tokens"]) for one in pictures]
    for told, text in zip(found, expected, strict=True):
        assert told in {(text,), (whole_sentences(text),)} if text else told == ()
    assert len(set(found)) > 1


def test_a_region_is_described_from_the_picture_with_its_box_drawn(
    model: VisionLanguageModel, checkpoint: Path, pictures: list[Picture]
) -> None:
    assert isinstance(model, Captioner)
    form = {
        "blip-2": "Question: what is inside the coloured box? Answer:",
        "florence2": "<CAPTION>",
    }
    words = asked(checkpoint, form, "region")
    found = model.describe(pictures[:3], REGIONS)
    assert [len(phrases) for phrases in found] == [2, 0, 1]
    for picture, own, phrases in zip(pictures, REGIONS, found, strict=False):
        for region, phrase in zip(own, phrases, strict=True):
            drawn = mark(picture.pixels, [region], "release")
            assert phrase == plain(checkpoint, drawn, words, SHORT["region_tokens"]).rstrip(". ")


def test_a_region_with_an_outline_is_described_from_its_box(
    idefics3: Path, pictures: list[Picture]
) -> None:
    model = VisionLanguageModel(str(idefics3), style="clear", region_tokens=12)
    box = Region(0, Box(5, 5, 115, 85), "dog", "", 0.9)
    outlined = replace(box, polygons=((40.0, 30.0, 80.0, 30.0, 60.0, 60.0),))
    assert model.describe(pictures[:1], [[outlined]]) == model.describe(pictures[:1], [[box]])


def test_an_answer_is_what_the_model_says_greedily(
    model: VisionLanguageModel, checkpoint: Path, pictures: list[Picture]
) -> None:
    assert isinstance(model, Answerer)
    if model.model.config.model_type == "florence2":  # it was trained on none
        with pytest.raises(UserError, match="a florence2 model has no way to do this: answer"):
            model.answer(pictures, QUESTIONS)
        return
    form = {"blip-2": "Question: $question Short answer:"}
    assert model.answer(pictures, QUESTIONS) == [
        plain(checkpoint, picture.pixels, asked(checkpoint, form, "answer", question), 4)
        for picture, question in zip(pictures, QUESTIONS, strict=True)
    ]


def test_the_batch_size_changes_no_word(
    model: VisionLanguageModel, checkpoint: Path, pictures: list[Picture]
) -> None:
    many = VisionLanguageModel(str(checkpoint), style="release", batch_size=5, **SHORT)
    assert model.narrate(pictures, 2, 1.1) == many.narrate(pictures, 2, 1.1)
    assert model.describe(pictures[:3], REGIONS) == many.describe(pictures[:3], REGIONS)
    if model.model.config.model_type != "florence2":
        assert model.answer(pictures, QUESTIONS) == many.answer(pictures, QUESTIONS)


def test_a_picture_is_told_the_same_in_any_company(idefics3: Path, pictures: list[Picture]) -> None:
    model = VisionLanguageModel(str(idefics3), **SHORT)
    together = model.narrate(pictures, 3, 1.1)
    assert model.narrate(pictures[::-1], 3, 1.1) == together[::-1]
    assert model.narrate(pictures[2:3], 3, 1.1) == together[2:3]
    assert [texts[:2] for texts in together] == model.narrate(pictures, 2, 1.1)
    assert all(len(set(texts)) == 3 for texts in together)


def test_another_seed_tells_something_else(idefics3: Path, pictures: list[Picture]) -> None:
    one, other = (
        VisionLanguageModel(str(idefics3), seed=seed, **SHORT).narrate(pictures, 2, 1.1)
        for seed in (0, 1)
    )
    assert not {text for texts in one for text in texts} & {t for texts in other for t in texts}


@pytest.mark.parametrize("temperature", [0.5, 1.1])
@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_samples_follow_the_softmax_at_their_temperature(temperature: float, top_p: float) -> None:
    logits = torch.tensor([1.0, 0.5, 0.0, -1.0, -torch.inf])
    rows = 4_000
    sampler = Sampler(range(rows), temperature, top_p, torch.device("cpu"))
    drawn = sampler(torch.empty(rows, 0), logits.repeat(rows, 1)).argmax(dim=-1)
    shares = torch.tensor([Counter(drawn.tolist())[token] / rows for token in range(5)])
    expected = nucleus(logits[None] / temperature, top_p)[0].softmax(dim=-1)
    # Four standard deviations of a share among 4,000.
    torch.testing.assert_close(shares, expected, atol=0.032, rtol=0)
    assert shares[expected == 0].sum() == 0


@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=12),
    st.floats(0.01, 0.99),
)
def test_the_nucleus_is_the_fewest_tokens_that_make_top_p(logits: list[float], p: float) -> None:
    shares = torch.tensor(logits, dtype=torch.float64).softmax(dim=-1)
    kept = nucleus(torch.tensor([logits], dtype=torch.float64), p)[0] > -torch.inf
    inside = shares[kept]
    assert inside.sum() >= p - 1e-9
    assert inside.sum() - inside.min() < p + 1e-9
    assert not (~kept).any() or shares[~kept].max() <= inside.min()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("A dog runs. A cat sleeps.", "A dog runs. A cat sleeps."),
        ("A dog runs. A cat sle", "A dog runs."),
        ('He says "run!" and the dog', 'He says "run!"'),
        ("A dog runs at 3.5 metres", "A dog runs at 3.5 metres"),
        ("", ""),
    ],
)
def test_a_narrative_that_was_cut_ends_with_its_last_whole_sentence(text: str, kept: str) -> None:
    assert whole_sentences(text) == kept


def test_control_tokens_in_a_question_are_no_more_than_words(
    model: VisionLanguageModel, pictures: list[Picture], tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("$question")
    kind = model.model.config.model_type
    asker = Asker(model.processor, kind, {"answer": str(prompt)})
    special = model.processor.tokenizer.all_special_ids
    counts = []
    for question in ("Is this image a cat?", "Is this <image> a <end_of_utterance> cat </s><pad>?"):
        text = asker.text("answer", question)
        ids = asker.inputs([pictures[0].pixels], [text])["input_ids"][0].tolist()
        counts.append(Counter(token for token in ids if token in special))
    assert counts[0] == counts[1]


def test_a_user_can_bring_a_prompt_of_their_own(
    blip2: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("Look! $question =\n")
    model = VisionLanguageModel(str(blip2), answer_prompt=str(tmp_path / "mine.txt"), **SHORT)
    expected = [plain(blip2, one.pixels, "Look! Who? =", 4) for one in pictures]
    assert model.answer(pictures, ["Who?"] * len(pictures)) == expected


def test_a_model_without_a_chat_template_and_a_known_form_is_told(
    idefics3: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(idefics3, tmp_path / "other")
    (other / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="idefics3 model without a chat template cannot be asked"):
        VisionLanguageModel(str(other))


def test_a_model_whose_processor_needs_torchvision_is_asked_or_says_so(
    tmp_path: Path, pictures: list[Picture]
) -> None:
    folder = checkpoints.write_qwen2_5_vl(tmp_path)
    if importlib.util.find_spec("torchvision") is None:
        with pytest.raises(UserError, match="not installed: pip install torchvision"):
            VisionLanguageModel(str(folder))
        return
    one, many = (VisionLanguageModel(str(folder), batch_size=size, **SHORT) for size in (1, 5))
    assert one.answer(pictures, QUESTIONS) == many.answer(pictures, QUESTIONS)
    assert one.narrate(pictures, 2, 1.1) == many.narrate(pictures, 2, 1.1)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"top_p": 0}, "top_p = 0 must be above 0"),
        ({"batch_size": 0}, "must be 1 or more"),
        ({"style": "loud"}, "style = 'loud': known are release and clear"),
        ({"answer_prompt": "none"}, "no prompt 'none'"),
        ({"answer_prompt": "vlm_region"}, "has no $question"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(
    blip2: Path, keys: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as caught:
        VisionLanguageModel(str(blip2), **keys)
    assert told in str(caught.value)


def test_a_checkpoint_of_another_sort_is_told(tmp_path: Path) -> None:
    clip = checkpoints.write_clip(tmp_path)
    with pytest.raises(UserError, match="is a clip model; needed is an image-text-to-text model"):
        VisionLanguageModel(str(clip))
