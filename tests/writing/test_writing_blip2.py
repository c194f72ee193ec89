"""BLIP-2 before T5, OPT and LLaMA: as transformers has it, trained, saved, loaded and asked."""

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from checkpoints import write_clip
from lskd.errors import UserError
from lskd.verbalize.vlm import VisionLanguageModel
from lskd.writing import note
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.writer import Cut, Decoding, Line, Sight, Writer
from tiny_writers import QUERIES, SIDE, Language, blocks, write_blip2_writer

LANGUAGES: tuple[Language, ...] = ("t5", "opt", "llama")
DOING = "question: what is [0] doing? answer:"
LINES = (
    Line(0, DOING, "riding the red bicycle."),
    Line(1, "Where is [2]?", "it is left of the green cup"),
    Line(0, DOING, "yes"),
    Line(0, "", "no"),
    Line(1, DOING, "yes or no"),
    Line(0, DOING, "the woman in blue"),
)
ASKED = tuple(Line(line.view, line.prompt) for line in LINES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("blip2")
    return {language: write_blip2_writer(root / language, language) for language in LANGUAGES}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, Blip2Writer]:
    return {language: Blip2Writer(str(folder)) for language, folder in folders.items()}


# Of the two that are no encoder one is enough, but where they are held against transformers.
every_language = pytest.mark.parametrize("language", LANGUAGES, indirect=True)


@pytest.fixture(params=("t5", pytest.param("opt", marks=pytest.mark.check), "llama"))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def writer(language: str, loaded: dict[str, Blip2Writer]) -> Iterator[Blip2Writer]:
    yield loaded[language]
    loaded[language].module.eval()


@pytest.fixture
def folder(language: str, folders: dict[str, Path]) -> Path:
    return folders[language]


@pytest.fixture
def sights(writer: Blip2Writer) -> list[Sight]:
    return writer.look([blocks(0), blocks(1)])


def reference(writer: Blip2Writer, line: Line) -> tuple[Tensor, Tensor]:
    """Return logits and ids of a target by the processor and the forward of transformers itself."""
    model, processor = writer.module.model, writer.processor
    tokenizer = processor.tokenizer
    inputs = processor(images=blocks(line.view), text=line.prompt, return_tensors="pt")
    if not model.config.use_decoder_only_language_model:
        target = tokenizer(line.target, return_tensors="pt")["input_ids"]
        start = torch.full_like(target[:, :1], 0)
        begun = torch.cat([start, target[:, :-1]], dim=1)
        with torch.no_grad():
            return model(**inputs, decoder_input_ids=begun).logits[0], target[0]
    blank = " " if line.prompt else ""
    whole = processor(
        images=blocks(line.view), text=line.prompt + blank + line.target, return_tensors="pt"
    )
    ends = torch.tensor([[tokenizer.eos_token_id]])
    ids = torch.cat([whole["input_ids"], ends], dim=1)
    first = inputs["input_ids"].shape[1]
    assert torch.equal(ids[:, :first], inputs["input_ids"])
    with torch.no_grad():
        logits = model(
            pixel_values=whole["pixel_values"], input_ids=ids, attention_mask=torch.ones_like(ids)
        ).logits
    return logits[0, first - 1 : -1], ids[0, first:]


def told(writer: Blip2Writer, line: Line) -> Tensor:
    """Return the log-probability of each token of a target, the one that ends it included."""
    logits, ids = reference(writer, line)
    return logits.log_softmax(dim=-1).gather(1, ids[:, None])[:, 0]


def test_it_is_a_writer(writer: Blip2Writer) -> None:
    assert isinstance(writer, Writer)
    assert writer.canvas(640, 480) == (SIDE, SIDE)


@every_language
def test_the_loss_is_that_of_transformers_token_by_token(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    for line in LINES:
        loss, count = writer.loss(sights, [line])
        expected = told(writer, line)
        assert int(count) == len(expected)
        assert float(loss.detach()) == pytest.approx(-float(expected.sum()), abs=1e-4)


def test_a_batch_has_the_loss_of_its_lines_and_no_token_of_a_prompt_counts(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    loss, count = writer.loss(sights, LINES)
    alone = [writer.loss(sights, [line]) for line in LINES]
    assert int(count) == sum(int(number) for _, number in alone)
    assert float(loss.detach()) == pytest.approx(sum(float(t.detach()) for t, _ in alone), abs=1e-4)


@every_language
def test_likelihoods_are_those_of_each_text_read_alone_by_transformers(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    expected = [float(told(writer, line)[:-1].mean()) for line in LINES]
    assert writer.likelihoods(sights, LINES) == pytest.approx(expected, abs=1e-4)


def test_likelihoods_do_not_depend_on_the_lines_beside_them_nor_on_the_batch(
    writer: Blip2Writer, folder: Path, sights: list[Sight]
) -> None:
    whole = writer.likelihoods(sights, LINES)
    assert [writer.likelihoods(sights, [line])[0] for line in LINES] == pytest.approx(
        whole, abs=1e-5
    )
    assert Blip2Writer(str(folder), batch=2).likelihoods(sights, LINES) == pytest.approx(
        whole, abs=1e-5
    )


def test_a_line_without_target_has_no_likelihood(writer: Blip2Writer, sights: list[Sight]) -> None:
    values = writer.likelihoods(sights, [LINES[0], ASKED[0], LINES[2]])
    assert math.isnan(values[1])
    assert not math.isnan(values[0])
    assert not math.isnan(values[2])
    assert writer.likelihoods(sights, []) == []


def test_what_lines_of_one_view_and_prompt_share_is_read_once(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    language = writer.module.model.language_model
    first = language.get_encoder().block[0] if writer.module.encodes else layers(language)[0]
    read: list[int] = []

    def count(module: Any, given: Any, keywords: Any, out: Any) -> None:
        states = given[0] if given else keywords["hidden_states"]
        read.append(states.shape[0] * states.shape[1])

    targets = ["yes", "no", "it is", "the woman"]
    lines = [Line(0, DOING, target) for target in targets]
    rows = [writer.module.speller.row(line, ended=False) for line in lines]
    prompt = QUERIES + len(rows[0].after)
    longest = max(len(row.target) for row in rows)
    hook = first.register_forward_hook(count, with_kwargs=True)
    try:
        writer.likelihoods(sights, lines)
    finally:
        hook.remove()
    once = [prompt] if writer.module.encodes else [prompt - 1, len(lines) * longest]
    assert read == once


def layers(language: Any) -> Any:
    inner = language.model
    return inner.decoder.layers if hasattr(inner, "decoder") else inner.layers


def test_only_qformer_queries_and_projection_are_trained(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    module = writer.module
    module.zero_grad()
    loss, count = writer.loss(sights, LINES)
    torch.autograd.backward(loss / count)
    for name, weight in module.model.named_parameters():
        trained = name.startswith(("query_tokens", "qformer.", "language_projection."))
        assert weight.requires_grad == trained, name
        assert (weight.grad is not None) == trained, name
    assert float(module.model.query_tokens.grad.abs().sum()) > 0
    module.zero_grad()


def test_in_training_what_is_frozen_never_drops_out(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    module = writer.module.train()
    assert module.model.qformer.training
    assert not any(part.training for part in module.model.language_model.modules())
    assert not any(part.training for part in module.model.vision_model.modules())
    module.model.qformer.eval()
    first, second = (float(writer.loss(sights, LINES)[0].detach()) for _ in range(2))
    assert first == second
    module.train()
    writer.likelihoods(sights, LINES[:1])
    writer.write(sights, ASKED[:1], Decoding(tokens=2))
    assert module.training
    assert module.model.qformer.training


def test_asking_in_the_middle_of_training_is_asking_without_dropout(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    asleep = writer.likelihoods(sights, LINES)
    writer.module.train()
    assert writer.likelihoods(sights, LINES) == asleep


def test_training_lowers_the_loss_and_a_saved_writer_is_the_same_by_its_folder_alone(
    language: str, folder: Path, loaded: dict[str, Blip2Writer], tmp_path: Path
) -> None:
    writer = Blip2Writer(str(folder))
    sights = writer.look([blocks(0), blocks(1)])
    weights = [weight for weight in writer.module.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(weights, lr=2e-2)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss, count = writer.module(sights, LINES[:3])
        (loss / count).backward()
        optimiser.step()
        losses.append(float(loss.detach() / count))
    assert losses[-1] < losses[0] - 0.1
    before = loaded[language].likelihoods(sights, LINES)
    after = writer.likelihoods(sights, LINES)
    assert after != pytest.approx(before, abs=0.01)
    writer.save(tmp_path / "trained")
    again = note.opened(tmp_path / "trained")
    assert isinstance(again, Blip2Writer)
    assert again.likelihoods(again.look([blocks(0), blocks(1)]), LINES) == after
    stored = load_file(tmp_path / "trained" / "trained.safetensors")
    assert all(name.startswith(("query_tokens", "qformer.", "language_proj")) for name in stored)
    assert {path.name for path in (tmp_path / "trained").iterdir()} == {
        "trained.safetensors",
        "writer.toml",
    }


@every_language
def test_greedy_and_beams_write_what_transformers_writes(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    model, processor = writer.module.model, writer.processor
    for beams in (1, 3):
        expected = {}
        for line in set(ASKED):
            inputs = processor(images=blocks(line.view), text=line.prompt, return_tensors="pt")
            rows = model.generate(**inputs, max_new_tokens=8, num_beams=beams, do_sample=False)
            prompt = 0 if writer.module.encodes else inputs["input_ids"].shape[1]
            said = processor.tokenizer.decode(rows[0, prompt:], skip_special_tokens=True)
            expected[line] = said.strip()
        ours = writer.write(sights, ASKED, Decoding(beams=beams, tokens=8))
        assert [text.text for text in ours] == [expected[line] for line in ASKED]


def test_the_whole_model_is_one_that_transformers_and_this_class_load(
    writer: Blip2Writer, sights: list[Sight], tmp_path: Path
) -> None:
    writer.save_whole(tmp_path / "whole")
    again = Blip2Writer(str(tmp_path / "whole"))
    assert again.likelihoods(sights, LINES) == writer.likelihoods(sights, LINES)
    assert not list((tmp_path / "whole").glob(".*"))
    VisionLanguageModel(str(tmp_path / "whole"))


def test_states_made_again_give_the_same_gradients(folder: Path) -> None:
    given = []
    for recompute in (False, True):
        writer = Blip2Writer(str(folder), recompute=recompute)
        sights = writer.look([blocks(0), blocks(1)])
        writer.module.train()
        writer.module.model.qformer.eval()
        calls: list[int] = []
        language = writer.module.model.language_model
        part = (
            language.get_encoder().block[0].layer[0]
            if writer.module.encodes
            else (layers(language)[0].self_attn)
        )
        hook = part.register_forward_hook(lambda *_, into=calls: into.append(1))
        loss, _ = writer.loss(sights, LINES)
        torch.autograd.backward(loss)
        hook.remove()
        given.append((writer.module.model.query_tokens.grad, len(calls)))
    torch.testing.assert_close(given[0][0], given[1][0], atol=1e-4, rtol=1e-4)
    assert (given[0][1], given[1][1]) == (1, 2)


def test_frozen_parts_in_bf16_leave_what_is_trained_in_float32(folder: Path) -> None:
    writer = Blip2Writer(str(folder), dtype="bfloat16")
    for name, weight in writer.module.model.named_parameters():
        kind = torch.float32 if weight.requires_grad else torch.bfloat16
        assert weight.dtype == kind, name
    sights = writer.look([blocks(0), blocks(1)])
    assert sights[0].features.dtype == torch.bfloat16
    loss, _ = writer.loss(sights, LINES)
    torch.autograd.backward(loss)
    exact = Blip2Writer(str(folder)).likelihoods
    whole = [sight.to(torch.device("cpu"), torch.float32) for sight in sights]
    assert writer.likelihoods(sights, LINES) == pytest.approx(exact(whole, LINES), abs=0.3)
    assert writer.write(sights, ASKED[:1], Decoding(tokens=3))[0].confidence < 0


def test_the_norm_behind_the_tower_can_be_trained_from_the_same_sights(folder: Path) -> None:
    plain, trained = Blip2Writer(str(folder)), Blip2Writer(str(folder), ln_vision=True)
    sights = plain.look([blocks(0)])
    assert torch.equal(sights[0].features, trained.look([blocks(0)])[0].features)
    torch.autograd.backward(trained.loss(sights, LINES[:1])[0])
    norm = trained.module.model.vision_model.post_layernorm
    assert norm.weight.grad is not None
    assert plain.likelihoods(sights, LINES[:1]) == trained.likelihoods(sights, LINES[:1])


def test_pictures_of_another_size_are_seen_with_positions_made_for_it(
    folder: Path, tmp_path: Path
) -> None:
    writer = Blip2Writer(str(folder), image=48)
    assert writer.canvas(100, 50) == (48, 48)
    sights = writer.look([blocks(0, 48)])
    assert sights[0].features.shape[0] == (48 // 8) ** 2 + 1
    assert not math.isnan(writer.likelihoods(sights, LINES[:1])[0])
    writer.save_whole(tmp_path / "whole")
    again = Blip2Writer(str(tmp_path / "whole"))
    assert again.canvas(100, 50) == (48, 48)
    assert again.likelihoods(sights, LINES[:1]) == writer.likelihoods(sights, LINES[:1])
    with pytest.raises(UserError, match="32 x 32 pixels is shown to a model that takes 48 x 48"):
        writer.look([blocks(0)])
    with pytest.raises(UserError, match="image = 3"):
        Blip2Writer(str(folder), image=3)


def test_lines_that_lose_tokens_are_told_and_read_as_they_are_told(folder: Path) -> None:
    writer = Blip2Writer(str(folder), context=QUERIES + 14)
    sights = writer.look([blocks(0)])
    long = Line(0, "people who ride wear a helmet. people who ride wear one. " * 2 + DOING, "yes")
    lines = [Line(0, "who?", "yes"), long]
    cut = writer.cuts(sights, lines)
    assert [one.line for one in cut] == [1]
    assert cut[0].tokens > 0
    values = writer.likelihoods(sights, lines)
    assert not any(map(math.isnan, values))
    assert int(writer.loss(sights, [long])[1]) == len(writer.module.speller.row(long).target)
    assert writer.cuts(sights, [lines[0]], new=2) in ([], [Cut(0, 1), Cut(0, 2)])
    with pytest.raises(UserError, match=r"line 0 .* does not fit"):
        writer.loss(sights, [Line(0, "who?", "the woman in blue who rides the red bicycle " * 3)])


@pytest.mark.parametrize("context", [0, QUERIES, 100_000])
def test_a_context_that_the_model_has_not_is_refused(
    folders: dict[str, Path], context: int
) -> None:
    with pytest.raises(UserError, match=f"context = {context}: expected 5 to 128 tokens"):
        Blip2Writer(str(folders["opt"]), context=context)


def test_targets_are_needed_to_learn_and_not_wanted_to_write(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    with pytest.raises(UserError, match="line 1 has no target"):
        writer.loss(sights, [LINES[0], ASKED[1]])
    with pytest.raises(UserError, match="line 0 has a target"):
        writer.write(sights, [LINES[0]], Decoding())


def test_a_checkpoint_of_another_family_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a clip model; needed is a BLIP-2 that writes"):
        Blip2Writer(str(write_clip(tmp_path / "clip")))
    with pytest.raises(UserError, match="no such folder"):
        Blip2Writer(str(tmp_path / "nothing"))


def test_a_base_that_was_moved_is_found_again_by_its_new_place(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(folders["opt"], old)
    writer = Blip2Writer(str(old))
    sights = writer.look([blocks(0)])
    writer.save(tmp_path / "trained")
    old.rename(new)
    with pytest.raises(UserError, match="no such folder"):
        note.opened(tmp_path / "trained")
    again = note.opened(tmp_path / "trained", checkpoint=str(new), batch=3)
    assert again.likelihoods(sights, LINES[:1]) == writer.likelihoods(sights, LINES[:1])


def test_another_base_than_the_one_it_was_trained_on_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    Blip2Writer(str(folders["opt"])).save(tmp_path / "trained")
    with pytest.raises(UserError, match="was trained on another base"):
        note.opened(tmp_path / "trained", checkpoint=str(folders["llama"]))


def test_trained_weights_of_other_names_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    Blip2Writer(str(folders["opt"])).save(tmp_path / "trained")
    with pytest.raises(UserError, match=r"2 weights are missing, unknown .*post_layernorm"):
        note.opened(tmp_path / "trained", ln_vision=True)
    (tmp_path / "trained" / "trained.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="cannot read"):
        note.opened(tmp_path / "trained")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "holds no trained writer"),
        ("use = 3", "use: Input should be a valid string"),
        ("use = 'a:B'\nkeys = [", "cannot be read"),
        ("use = 'lskd.writing.blip2:Nothing'\n[keys]", "no class"),
        ("use = 'lskd.writing.blip2:Blip2Writer'\n[keys]\nnosuch = 1", "cannot be built"),
        ("use = 'lskd.writing.masks:Layout'\n[keys]", "cannot be built"),
    ],
)
def test_a_strange_note_is_told_in_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / note.FILE).write_text(text)
    with pytest.raises(UserError, match=said) as error:
        note.opened(tmp_path)
    assert "\n" not in str(error.value)


def test_a_picture_is_seen_alike_whatever_is_looked_at_beside_it(
    writer: Blip2Writer, folder: Path
) -> None:
    pictures: Sequence[Any] = [blocks(n) for n in range(5)]
    together = writer.look(pictures)
    few = Blip2Writer(str(folder), batch=2).look(pictures)
    for one, other in zip(together, few, strict=True):
        torch.testing.assert_close(one.features, other.features, atol=1e-5, rtol=0)
    with pytest.raises(UserError, match="batch = 0"):
        Blip2Writer(str(folder), batch=0)


def test_a_trained_writer_is_found_from_any_working_folder(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    here = Path.cwd()
    os.chdir(folders["opt"].parent)
    try:
        Blip2Writer("opt").save(tmp_path / "trained")
    finally:
        os.chdir(here)
    assert note.read(tmp_path / "trained").keys["checkpoint"] == str(folders["opt"].resolve())
    note.opened(tmp_path / "trained")
