"""Writers: likelihoods equal those of the model itself, asked one text at a time."""

import json
import math
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from scored import alike, close, counted, marked, panels

import checkpoints
import tiny_models
from lskd.errors import UserError
from lskd.evaluate.scorers.writer import WriterScorer
from lskd.marking import mark
from lskd.picture import load
from lskd.protocols import Panel, Scorer, Text
from lskd.stage import Model, check

WRITERS: dict[str, Callable[[Path], Path]] = {
    "blip2": checkpoints.write_blip2,
    "blip2_t5": partial(checkpoints.write_blip2, language="t5"),
    "instructblip": checkpoints.write_instructblip,
    "idefics3": checkpoints.write_idefics3,
    "llava": checkpoints.write_llava,
    "gemma3": checkpoints.write_gemma3,
}
TOWERS = {
    "idefics3": "model.vision_model",
    "llava": "model.vision_tower",
    "gemma3": "model.vision_tower",
}
KEEP_SHAPE = ("idefics3", "gemma3")  # how these bring pictures to size is left to them


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Panel]:
    return panels(tmp_path_factory.mktemp("pictures"))


@cache
def by_one(folder: Path) -> WriterScorer:
    """Return a model's scorer that reads one text at a time; to load it takes a while."""
    return WriterScorer(str(folder), device="cpu", batch_texts=1)


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    library = tiny_models.transformers
    processor = library.AutoProcessor.from_pretrained(folder)
    processor.image_processor = library.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return library.AutoModelForImageTextToText.from_pretrained(folder).eval(), processor


def seen(folder: Path, panel: Panel) -> Any:
    """Return a panel's picture as this model's scorer should show it."""
    if any(kind in folder.name for kind in KEEP_SHAPE):
        return mark(load(panel.image), panel.regions, "clear")
    return marked(panel, (32, 32), "clear", 3)


def plain(folder: Path, panel: Panel, text: Text) -> float:
    """Return the mean log-probability of the target by one forward pass of one whole text."""
    model, processor = loaded(folder)
    words, gap = text.prompt, " " if text.prompt else ""
    if processor.chat_template:
        content = [{"type": "image"}, {"type": "text", "text": text.prompt}]
        told = [{"role": "user", "content": content}]
        words, gap = processor.apply_chat_template(told, add_generation_prompt=True), " "
    picture = [[seen(folder, panel)]] if processor.chat_template else seen(folder, panel)
    asked = processor(images=picture, text=[words], return_tensors="pt")
    if model.config.get_text_config().is_encoder_decoder:
        return encoded(model, processor, asked, text.target)
    whole = processor(images=picture, text=[words + gap + text.target], return_tensors="pt")
    if "qformer_input_ids" in asked:  # it looks with the prompt in mind, not with the answer
        for name in ("qformer_input_ids", "qformer_attention_mask"):
            whole[name] = asked[name]
    start = asked["input_ids"].shape[1]
    with torch.inference_mode():
        logits = model(**whole).logits[0]
    ids = whole["input_ids"][0]
    each = logits.log_softmax(dim=-1)[range(start - 1, len(ids) - 1), ids[start:]]
    return float(each.mean())


def encoded(model: Any, processor: Any, asked: Any, target: str) -> float:
    ids = processor.tokenizer(target, add_special_tokens=False, return_tensors="pt")["input_ids"]
    starts = torch.full((1, 1), model.config.get_text_config().decoder_start_token_id)
    with torch.inference_mode():
        logits = model(**asked, decoder_input_ids=torch.cat([starts, ids[:, :-1]], dim=1)).logits
    each = logits[0].log_softmax(dim=-1)[range(ids.shape[1]), ids[0]]
    return float(each.mean())


@pytest.mark.parametrize("kind", WRITERS)
def test_each_target_is_as_likely_as_the_model_finds_it_alone(
    kind: str, folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = by_one(folders[kind])
    assert isinstance(scorer, Scorer)
    visible = [*shown[:3], Panel(shown[5].image, shown[5].regions[:1], shown[5].texts[:2])]
    for panel, fits in zip(visible, scorer.fits(visible), strict=True):
        close(fits.likelihood, [plain(folders[kind], panel, text) for text in panel.texts], 1e-4)
        assert fits.itm is None and fits.itc is None


@pytest.mark.parametrize("kind", WRITERS)
def test_each_distinct_view_passes_the_vision_tower_once(
    kind: str, folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = by_one(folders[kind])
    tower = scorer.model.get_submodule(TOWERS.get(kind, "vision_model"))
    with counted(tower) as looks:
        scorer.fits(shown)
    # Four of the five views are asked with two prompts; InstructBLIP looks with each in mind.
    assert sum(looks) == (8 if kind == "instructblip" else 5)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_beside_a_text_changes_nothing(
    kind: str, folders: dict[str, Path], shown: list[Panel]
) -> None:
    many = WriterScorer(str(folders[kind]), device="cpu", batch_texts=9)
    alike(by_one(folders[kind]).fits(shown), many.fits(shown), 1e-4)
    assert many.fits([]) == []


def test_a_prompt_gives_up_its_end_where_a_token_spans_the_border(
    folders: dict[str, Path], shown: list[Panel], tmp_path: Path
) -> None:
    folder = tmp_path / "merging"
    shutil.copytree(folders["blip2"], folder)
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["vocab"][":Ġ"] = told["model"]["vocab"].pop("ÿ")  # a byte of no text here
    told["model"]["merges"] = [[":", "Ġ"]]
    file.write_text(json.dumps(told))
    scorer = WriterScorer(str(folder), device="cpu")
    text = Text("what is it:", "a dog")
    model, processor = loaded(folder)
    picture = seen(folder, shown[0])
    whole = processor(images=picture, text=["what is it: a dog"], return_tensors="pt")
    ids = whole["input_ids"][0]
    with torch.inference_mode():
        logits = model(**whole).logits[0].log_softmax(dim=-1)
    expected = logits[range(len(ids) - 7, len(ids) - 1), ids[-6:]]  # ": " and five letters
    found = scorer.fits([Panel(shown[0].image, shown[0].regions, (text,))])[0].likelihood
    close(found, [float(expected.mean())], 1e-4)


def test_a_prompt_file_of_the_users_surrounds_the_question(
    folders: dict[str, Path], shown: list[Panel], tmp_path: Path
) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Look well. $question Be short.")
    mine = WriterScorer(str(folders["llava"]), device="cpu", prompt=str(file))
    panel = Panel(shown[0].image, shown[0].regions, (Text("Look well. who? Be short.", "a dog"),))
    asked = Panel(shown[0].image, shown[0].regions, (Text("who?", "a dog"),))
    alike(mine.fits([asked]), by_one(folders["llava"]).fits([panel]))


def test_control_tokens_in_a_benchmark_stay_text(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = by_one(folders["idefics3"])
    panel = Panel(shown[0].image, (), (Text("see <image> ?", "a <image> dog"), Text("a", "b")))
    fits = scorer.fits([panel])[0].likelihood
    assert fits is not None and all(math.isfinite(value) for value in fits)


def test_an_empty_target_has_no_likelihood(folders: dict[str, Path], shown: list[Panel]) -> None:
    for kind in ("blip2", "blip2_t5"):
        scorer = by_one(folders[kind])
        panel = Panel(shown[0].image, (), (Text("a:", ""), Text("a:", "dog")))
        fits = scorer.fits([panel])[0].likelihood
        assert fits is not None and math.isnan(fits[0]) and math.isfinite(fits[1])


def test_models_that_cannot_be_asked_are_refused_in_one_line(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    florence = checkpoints.write_florence2(tmp_path / "florence")
    with pytest.raises(UserError, match="a florence2 model takes no free text"):
        WriterScorer(str(florence), device="cpu")
    clip = checkpoints.write_clip(tmp_path / "clip")
    with pytest.raises(UserError, match="needed is an image-text-to-text model"):
        WriterScorer(str(clip), device="cpu")
    for settings, said in (
        ({"batch_texts": 0}, "batch_texts = 0"),
        ({"workers": 0}, "workers = 0"),
        ({"prompt": "absent.txt"}, "no prompt 'absent.txt'"),
        ({"marking": "loud"}, "marking = 'loud'"),
    ):
        with pytest.raises(UserError, match=said):
            WriterScorer(str(folders["blip2"]), device="cpu", **settings)


def test_it_can_stand_in_a_run_file() -> None:
    keys = {"checkpoint": "c"}
    check(Scorer, Model(use="lskd.evaluate.scorers.writer:WriterScorer", **keys))
