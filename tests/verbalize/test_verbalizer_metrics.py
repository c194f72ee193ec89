"""How good descriptions are: each measure against its definition, written out once more here."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import checkpoints
import tiny_models
from lskd.bootstrap import Bootstrap
from lskd.corpora.captions.caption import Caption
from lskd.types import Box, Image
from lskd.verbalize.training import agreement, diversity, evaluation
from lskd.verbalize.training.clip_score import ClipScore, cut_out
from lskd.verbalize.training.evaluation import Judged
from lskd.verbalize.training.mixture import mixed

WORDS = "a red cup on the table dog man left of two big".split()
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
PLACES = st.lists(
    st.tuples(SENTENCES, st.lists(SENTENCES, min_size=1, max_size=3)), min_size=2, max_size=5
)


def counts(text: str, length: int) -> Counter[tuple[str, ...]]:
    tokens = text.split()
    return Counter(tuple(tokens[k : k + length]) for k in range(len(tokens) - length + 1))


def cider_d(written: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D as its paper and the release have it, plainly."""
    said = [
        {gram for text in texts for n in range(1, 5) for gram in counts(text, n)}
        for texts in references
    ]

    def vector(text: str, n: int) -> dict[tuple[str, ...], float]:
        return {
            gram: count * (math.log(len(said)) - math.log(max(1, sum(gram in s for s in said))))
            for gram, count in counts(text, n).items()
        }

    def norm(values: dict[tuple[str, ...], float]) -> float:
        return math.sqrt(sum(value**2 for value in values.values()))

    scores = []
    for text, texts in zip(written, references, strict=True):
        total = 0.0
        for reference in texts:
            # The release counts pairs of words as the length.
            apart = max(0, len(text.split()) - 1) - max(0, len(reference.split()) - 1)
            for n in range(1, 5):
                ours, theirs = vector(text, n), vector(reference, n)
                product = sum(
                    min(value, theirs[gram]) * theirs[gram]
                    for gram, value in ours.items()
                    if gram in theirs
                )
                size = norm(ours) * norm(theirs)
                total += (product / size if size else 0.0) * math.exp(-(apart**2) / 72)
        scores.append(10 * total / 4 / len(texts))
    return scores


@given(PLACES)
@settings(max_examples=50)
def test_cider_is_that_of_its_definition(places: list[tuple[str, list[str]]]) -> None:
    written, references = [p[0] for p in places], [p[1] for p in places]
    found = agreement.cider(written, references)
    np.testing.assert_allclose(found, cider_d(written, references), atol=1e-9)


def test_a_text_that_is_its_only_reference_has_a_cider_of_10() -> None:
    said = ["a small red cup on it", "two dogs running over there"]
    assert agreement.cider(said, [[one] for one in said]) == pytest.approx([10, 10])


def test_a_single_place_has_no_cider() -> None:
    assert math.isnan(agreement.cider(["a cup"], [["a cup"]])[0])
    assert agreement.cider([], []) == []


def test_words_are_cut_as_the_authors_of_the_measures_cut_them() -> None:
    told = "The man's cup (it's red) isn't \"his\" -- on the table, right?"
    assert agreement.words(told) == (
        "the man 's cup it 's red is n't his on the table right".split()
    )
    assert agreement.words(" .. !") == []


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9, unique=True))
def test_meteor_of_the_same_text_lacks_only_the_penalty_of_one_chunk(tokens: list[str]) -> None:
    text = " ".join(tokens)
    wanted = 1 - 0.5 / len(tokens) ** 3
    assert agreement.meteor([text], [[text]]) == pytest.approx([wanted])


def test_meteor_takes_the_reference_that_agrees_best_and_knows_stems() -> None:
    one, best, none = agreement.meteor(
        ["two dogs", "two dogs", "two dogs"], [["a dog"], ["a dog", "two dogs"], ["the cup"]]
    )
    # One word of two agrees, by its stem: precision and recall are a half, and there is one chunk.
    assert one == pytest.approx(0.5 * 0.5)
    assert best == pytest.approx(1 - 0.5 / 8)
    assert none == 0


def test_meteor_weighs_recall_nine_times_as_its_authors_did_in_2005() -> None:
    precision, recall, chunks, agreed = 2 / 3, 1.0, 1, 2
    fit = 10 * precision * recall / (recall + 9 * precision)
    wanted = fit * (1 - 0.5 * (chunks / agreed) ** 3)
    assert agreement.meteor(["two dogs running"], [["two dogs"]]) == pytest.approx([wanted])


def test_distinct_n_grams_are_counted_over_all_texts() -> None:
    assert diversity.distinct(["a cup", "a dog"], 1) == 3 / 4
    assert diversity.distinct(["a cup", "a dog", "a dog"], 2) == 2 / 3
    assert math.isnan(diversity.distinct(["cup"], 2))


@given(st.lists(SENTENCES, min_size=2, max_size=4), st.lists(SENTENCES, min_size=2, max_size=4))
@settings(max_examples=30)
def test_self_cider_is_between_0_and_1_and_knows_no_order(
    texts: list[str], others: list[str]
) -> None:
    rare = diversity.rarity([[other] for other in others])
    found = diversity.self_cider(texts, rare)
    if math.isnan(found):
        assert not diversity.likeness(texts, rare).any()
    else:
        assert -1e-9 <= found <= 1 + 1e-9
        assert diversity.self_cider(texts[::-1], rare) == pytest.approx(found, abs=1e-6)


def test_self_cider_and_self_bleu_tell_one_text_from_many() -> None:
    rare = diversity.rarity([["a red cup"], ["two big dogs"], ["the man on the left"]])
    same = ["a red cup on it"] * 4
    apart = ["a red cup on it", "two dogs running over there", "man left", "where is everybody"]
    assert diversity.self_cider(same, rare) == pytest.approx(0, abs=1e-6)
    assert diversity.self_cider(apart, rare) == pytest.approx(1, abs=0.01)
    assert diversity.self_bleu(same) == pytest.approx(1)
    assert diversity.self_bleu(apart) < 0.1
    assert math.isnan(diversity.self_bleu(["a cup"]))
    assert math.isnan(diversity.self_cider(["a cup"], rare))


def test_self_cider_of_two_texts_is_that_of_its_definition_by_hand() -> None:
    # Of four places two say "cup": it weighs log 2, and a word that none says twice as much.
    rare = diversity.rarity([["cup"], ["cup"], ["on"], ["it"]])
    # Words are alike by 1 / (1 + 2 * 2), pairs of words by 0: by a tenth in all.
    alike = diversity.likeness(["red cup", "big cup"], rare)
    np.testing.assert_allclose(alike, [[1, 0.1], [0.1, 1]])
    # The eigenvalues are 1.1 and 0.9, and the singular values their roots.
    share = math.sqrt(1.1) / (math.sqrt(1.1) + math.sqrt(0.9))
    found = diversity.self_cider(["red cup", "big cup"], rare)
    assert found == pytest.approx(-math.log2(share))


def test_self_bleu_counts_the_longest_n_grams_that_a_text_has() -> None:
    # All words agree and nothing longer does, which smoothing counts as a tenth of one.
    assert diversity.self_bleu(["red cup", "cup red"]) == pytest.approx((1 * 0.1) ** (1 / 2))
    five = diversity.self_bleu(["two big cups on it", "it on cups big two"])
    assert five == pytest.approx((1 * 0.1 / 4 * 0.1 / 3 * 0.1 / 2) ** (1 / 4))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_clip(tmp_path_factory.mktemp("clip"))


def test_clip_score_is_that_of_its_definition_on_transformers(clip: Path, tmp_path: Path) -> None:
    library = tiny_models.transformers
    pictures = [tiny_models.picture(tmp_path, 40, 40, seed).pixels for seed in range(3)]
    texts = ["a red cup", "a {} dog", "two"]
    references = [["a cup", "red"], ["dog"], ["two men", "a", "left"]]
    model = library.CLIPModel.from_pretrained(clip).eval()
    processor = library.CLIPProcessor(
        library.AutoImageProcessor.from_pretrained(clip, backend="pil"),
        library.AutoTokenizer.from_pretrained(clip),
    )
    found = ClipScore(str(clip)).fits(pictures, texts, references)

    def told(words: list[str]) -> torch.Tensor:
        inputs = processor.tokenizer(
            [f"A photo depicts {one}" for one in words], padding=True, return_tensors="pt"
        )
        return torch.nn.functional.normalize(model.get_text_features(**inputs).pooler_output)

    with torch.inference_mode():
        inputs = processor.image_processor(images=pictures, return_tensors="pt")
        seen = torch.nn.functional.normalize(model.get_image_features(**inputs).pooler_output)
        for n, fit in enumerate(found):
            alone = 2.5 * max(0.0, float(seen[n] @ told(texts)[n]))
            agrees = max(0.0, *(float(one @ told(texts)[n]) for one in told(references[n])))
            both = 2 * alone * agrees / (alone + agrees) if alone + agrees else 0.0
            assert fit.alone == pytest.approx(alone, abs=1e-5)
            assert fit.with_references == pytest.approx(both, abs=1e-5)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.floats(0, 9),
    st.floats(0, 9),
    st.floats(0.01, 9),
    st.floats(0.01, 9),
)
def test_what_is_cut_out_of_a_picture_has_at_least_a_pixel(
    size: tuple[int, int], x: float, y: float, width: float, height: float
) -> None:
    box = Box(x, y, x + width, y + height).within(*size)
    part = cut_out(PIL.Image.new("RGB", size), box)
    assert 1 <= part.width <= size[0] and 1 <= part.height <= size[1]


def judged(corpus: str, image: str, **scores: float) -> Judged:
    picture = Image(image, f"{image}.png", 8, 8)
    caption = Caption(f"{corpus}-{image}", corpus, "validation", picture, None, ("a cup",))
    return Judged(caption, "a cup", (), scores)


def test_figures_have_intervals_of_pictures_and_no_value_where_there_is_none() -> None:
    rows = [judged("a", str(n % 5), cider=float(n % 5), meteor=math.nan) for n in range(20)]
    rows.append(judged("b", "other", cider=9.0, meteor=0.5))
    found = {(f.measure, f.corpus): f for f in evaluation.figures(rows, Bootstrap(200))}
    assert set(found) == {(m, c) for m in ("cider", "meteor") for c in ("all", "a", "b")}
    one = found["cider", "a"]
    assert one.value == 2.0 and (one.places, one.pictures) == (20, 5)
    assert one.low is not None and one.high is not None and one.low < 2.0 < one.high
    single = found["cider", "b"]
    assert (single.value, single.low, single.high) == (9.0, None, None)
    nothing = found["meteor", "a"]
    assert (nothing.value, nothing.places) == (None, 0)


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=4)


@given(SIZES)
def test_without_weights_an_epoch_is_every_place_once(sizes: list[int]) -> None:
    mixture = mixed(sizes, [None] * len(sizes))
    places = [mixture.place(row) for row in range(len(mixture))]
    assert places == [(c, n) for c, size in enumerate(sizes) for n in range(size)]


@given(SIZES.flatmap(lambda s: st.tuples(st.just(s), st.tuples(*[st.floats(0.1, 9)] * len(s)))))
def test_with_weights_every_place_is_seen_and_shares_are_as_asked(
    given_: tuple[list[int], tuple[float, ...]],
) -> None:
    sizes, weights = given_
    mixture = mixed(sizes, list(weights))
    seen = Counter(mixture.place(row) for row in range(len(mixture)))
    assert set(seen) == {(c, n) for c, size in enumerate(sizes) for n in range(size)}
    for corpus, (size, quota) in enumerate(zip(sizes, mixture.quotas, strict=True)):
        each = [seen[corpus, number] for number in range(size)]
        assert max(each) - min(each) <= 1
        # Whole rows: a share is right to a row for each corpus.
        wanted = weights[corpus] / sum(weights)
        assert abs(quota / len(mixture) - wanted) <= len(sizes) / len(mixture)
