"""Text drawn from a model: alike in any batch, as likely as is said, and stopped in time."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lskd.writing.blip2 import Blip2Writer
from lskd.writing.decode import Drawing, Reader, nucleus, undrawn
from lskd.writing.writer import Decoding, Line, Sight, Written
from tiny_models import transformers
from tiny_writers import blocks, word_tokenizer, write_blip2_writer

ASKED = tuple(
    Line(view, prompt)
    for view, prompt in (
        (0, "question: what is [0] doing? answer:"),
        (1, "Where is [2]?"),
        (0, ""),
        (1, "question: who holds [1]? answer:"),
    )
)
TOKENS = 6
GREEDY = Decoding(tokens=TOKENS)
BEAMS = Decoding(tokens=TOKENS, beams=3)
DRAWN = Decoding(temperature=1.0, top_p=0.9, tokens=TOKENS, seed=3)
TOKENIZER = word_tokenizer(family="pieces")


# Of the two that are no encoder, one is enough.
@pytest.fixture(
    scope="module", params=("t5", pytest.param("opt", marks=pytest.mark.check), "llama")
)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blip2_writer(tmp_path_factory.mktemp("decode") / request.param, request.param)


@pytest.fixture(scope="module")
def writer(folder: Path) -> Blip2Writer:
    return Blip2Writer(str(folder))


@pytest.fixture(scope="module")
def one_by_one(folder: Path) -> Blip2Writer:
    return Blip2Writer(str(folder), batch=1)


@pytest.fixture
def sights(writer: Blip2Writer) -> list[Sight]:
    return writer.look([blocks(0), blocks(1)])


def texts(written: list[Written]) -> list[str]:
    return [one.text for one in written]


@pytest.mark.parametrize("decoding", [GREEDY, BEAMS, DRAWN])
def test_a_line_is_written_alike_in_any_batch(
    writer: Blip2Writer, one_by_one: Blip2Writer, sights: list[Sight], decoding: Decoding
) -> None:
    whole = writer.write(sights, ASKED, decoding)
    alone = one_by_one.write(sights, ASKED, decoding)
    assert texts(alone) == texts(whole)
    assert [one.confidence for one in alone] == pytest.approx(
        [one.confidence for one in whole], abs=1e-4
    )
    assert writer.write(sights, [], decoding) == []


def test_the_same_seed_draws_the_same_and_another_another(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    first = writer.write(sights, ASKED, DRAWN)
    assert writer.write(sights, ASKED, DRAWN) == first
    other = Decoding(temperature=1.0, top_p=0.9, tokens=TOKENS, seed=4)
    assert texts(writer.write(sights, ASKED, other)) != texts(first)
    assert len(set(texts(writer.write(sights, [ASKED[0]] * 4, DRAWN)))) > 1


@pytest.mark.parametrize("decoding", [GREEDY, BEAMS])
def test_confidence_is_the_mean_log_probability_of_the_tokens_that_were_written(
    writer: Blip2Writer, sights: list[Sight], decoding: Decoding
) -> None:
    module = writer.module
    language = module.model.language_model
    written = writer.write(sights, ASKED, decoding)
    for line, one in zip(ASKED, written, strict=True):
        seen = module.pictures([sights[line.view]])[0]
        told = language.generate(
            inputs_embeds=module.given(seen, module.speller.row(line))[None],
            max_new_tokens=decoding.tokens,
            num_beams=decoding.beams,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
        )
        each = language.compute_transition_scores(
            told.sequences, told.logits, told.get("beam_indices"), normalize_logits=True
        )[0]
        row = told.sequences[0, int(module.encodes) :].tolist()
        count = row.index(2) + 1 if 2 in row else len(row)
        assert one.confidence == pytest.approx(float(each[:count].mean()), abs=1e-4)
        assert one.stopped == ("end" if 2 in row else "limit")


def test_a_temperature_near_0_writes_the_likeliest_and_changes_no_confidence(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    cold = writer.write(sights, ASKED, Decoding(temperature=1e-4, tokens=TOKENS))
    greedy = writer.write(sights, ASKED, GREEDY)
    assert texts(cold) == texts(greedy)
    assert [one.confidence for one in cold] == pytest.approx(
        [one.confidence for one in greedy], abs=1e-4
    )


def test_more_beams_find_a_text_that_is_no_less_likely(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    one, many = (writer.write(sights, ASKED, Decoding(tokens=3, beams=n)) for n in (1, 8))
    assert sum(w.confidence for w in many) >= sum(w.confidence for w in one) - 1e-5


@pytest.mark.parametrize("decoding", [GREEDY, BEAMS, DRAWN])
def test_a_text_ends_before_the_first_of_its_stop_strings(
    writer: Blip2Writer, sights: list[Sight], decoding: Decoding
) -> None:
    whole = writer.write(sights, ASKED[:1], decoding)[0]
    letter = whole.text[len(whole.text) // 2]
    stop = Decoding(
        decoding.beams, decoding.temperature, decoding.top_p, TOKENS, (letter, "###"), decoding.seed
    )
    cut = writer.write(sights, ASKED[:1], stop)[0]
    assert letter not in cut.text
    if decoding.beams == 1:  # beams that stop early may lose to others
        assert cut.text == whole.text.split(letter)[0].strip()
        assert cut.stopped == "stop"


def test_what_a_checkpoint_says_of_generation_is_left_out_and_left_there(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    language = writer.module.model.language_model
    plain = writer.write(sights, ASKED, GREEDY)
    own = language.generation_config
    language.generation_config = transformers.GenerationConfig(
        **{
            **own.to_dict(),
            "repetition_penalty": 3.0,
            "min_new_tokens": 6,
            "forced_eos_token_id": 5,
        }
    )
    strange = language.generation_config
    try:
        assert writer.write(sights, ASKED, GREEDY) == plain
        assert language.generation_config is strange
    finally:
        language.generation_config = own


def test_a_model_that_ends_at_once_writes_nothing_and_says_so(
    writer: Blip2Writer, sights: list[Sight]
) -> None:
    language = writer.module.model.language_model
    own = language.generation_config.eos_token_id
    language.generation_config.eos_token_id = list(range(len(writer.processor.tokenizer)))
    try:
        ended = writer.write(sights, ASKED, GREEDY)
    finally:
        language.generation_config.eos_token_id = own
    assert {one.text for one in ended} == {""}
    assert {one.stopped for one in ended} == {"end"}
    assert all(one.confidence < 0 for one in ended)


def row(text: str) -> list[int]:
    return list(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def test_a_row_is_read_up_to_its_end_its_stop_or_its_limit() -> None:
    reader = Reader(TOKENIZER, (2,), ("rationale:",))
    said = reader.read([*row("the red bicycle"), 2, 0, 0])
    assert (said.text, said.stopped) == ("the red bicycle", "end")
    assert said.tokens == len(row("the red bicycle")) + 1
    said = reader.read(row("the red bicycle rationale: a helmet"))
    assert (said.text, said.stopped) == ("the red bicycle", "stop")
    assert said.tokens == len(row("the red bicycle rationale:"))
    said = reader.read([*row("yes rationale:"), 2, 2])  # the end is the padding too
    assert (said.text, said.stopped, said.tokens) == ("yes", "stop", len(row("yes rationale:")))
    said = reader.read(row("the red"))
    assert (said.text, said.stopped, said.tokens) == ("the red", "limit", len(row("the red")))
    assert reader.read([2]).text == ""


def test_ids_that_are_named_but_not_drawn_are_told() -> None:
    assert undrawn("[3] looks at [1], and [10] at [3]", {0, 1}) == (3, 10)
    assert undrawn("[0] waits", {0, 1}) == ()
    assert undrawn("nobody", ()) == ()


@given(
    logits=st.lists(st.floats(-5, 5), min_size=2, max_size=12),
    top_p=st.floats(0.05, 1.0),
)
def test_a_nucleus_is_the_fewest_likeliest_tokens_that_make_its_share(
    logits: list[float], top_p: float
) -> None:
    shares = torch.tensor(logits, dtype=torch.float64).softmax(dim=0)
    kept = torch.isfinite(nucleus(torch.tensor([logits], dtype=torch.float64), top_p))[0]
    inside, outside = shares[kept], shares[~kept]
    assert float(inside.sum()) >= top_p - 1e-9
    assert len(inside) == 1 or float(inside.sum() - inside.min()) < top_p + 1e-9
    assert len(outside) == 0 or float(outside.max()) <= float(inside.min()) + 1e-12


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    shares = torch.tensor([0.5, 0.3, 0.2])
    drawing = Drawing(Decoding(temperature=1.0), range(1000))
    drawn = drawing(torch.zeros(1000, 0), shares.log().expand(1000, 3)).argmax(dim=1)
    often = Counter(drawn.tolist())
    for token, share in enumerate(shares.tolist()):
        assert often[token] / 1000 == pytest.approx(share, abs=4 * math.sqrt(0.25 / 1000))
    drawing.told(drawn)
    assert drawing.means([1] * 1000)[0] == pytest.approx(math.log(shares[drawn[0]]), abs=1e-5)
    assert math.isnan(drawing.means([0] * 1000)[0])


def test_tokens_outside_the_nucleus_are_never_drawn_and_the_rest_as_often_as_before() -> None:
    shares = torch.tensor([0.5, 0.3, 0.2])
    drawing = Drawing(Decoding(temperature=1.0, top_p=0.7), range(1000))
    drawn = drawing(torch.zeros(1000, 0), shares.log().expand(1000, 3)).argmax(dim=1)
    often = Counter(drawn.tolist())
    assert set(often) == {0, 1}
    assert often[0] / 1000 == pytest.approx(5 / 8, abs=4 * math.sqrt(0.25 / 1000))
