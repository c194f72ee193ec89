"""What lskd.evaluate makes of a golden file's inputs, beside the values of the authors."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from metric_files import Check, Found

from lskd import marking
from lskd.errors import UserError
from lskd.evaluate import metrics
from lskd.evaluate.protocol import Protocol, panels
from lskd.types import Box, Item, Region

LABELS = ("contradiction", "neutral", "entailment")  # the release's order
TYPE_LINE = re.compile(
    r'Question type "(?P<kind>.*)" accuracy = \S+ \((?P<hits>\d+) / (?P<of>\d+)\)'
)


def attempt(work: Callable[[], Any]) -> Any:
    """Return what a function returns, or None where it raises our error."""
    try:
        return work()
    except UserError:
        return None


def percent(values: metrics.Values) -> float | None:
    """Return a hundred times the mean."""
    share = metrics.mean_of(values)
    return None if share is None else 100 * share


def vcr(found: Found) -> Iterator[Check]:
    """Check Q->A, QA->R and Q->AR."""
    given, expected = found.content, found.content["expected"]
    marks = metrics.vcr(
        given["answer_scores"],
        given["answer_label"],
        given["rationale_scores"],
        given["rationale_label"],
    )
    for key, one in (("q2a", marks.answer), ("qa2r", marks.rationale), ("q2ar", marks.both)):
        yield found.check(key, metrics.mean(one).official, expected[key])


def visual7w(found: Found) -> Iterator[Check]:
    """Check the accuracy over results, and the counts of each type in the authors' log."""
    given, expected = found.content, found.content["expected"]
    pairs = {pair["qa_id"]: pair for pair in given["pairs"]}
    asked = [pairs[result["qa_id"]] for result in given["results"]]
    tops = [result["candidates"][:1] for result in given["results"]]
    said = [str(top[0]["answer"]) if top else None for top in tops]
    hits = metrics.visual7w_answer(said, [str(pair["answer"]) for pair in asked])
    yield found.check("accuracy", metrics.mean_of(hits), expected["accuracy_authors"])
    if "n_results" in expected:
        yield found.check("results", len(hits), expected["n_results"])
    if "n_pairs" in expected:
        yield found.check("questions", len(given["pairs"]), expected["n_pairs"])
    kinds = np.array([pair["type"] for pair in asked], dtype=object)
    for line in filter(None, map(TYPE_LINE.search, given.get("authors_log", []))):
        mine = hits[kinds == line["kind"]]
        theirs = [float(line["hits"]), float(line["of"])]
        yield found.check(f"type {line['kind']}", [float(mine.sum()), float(len(mine))], theirs)


def visualcomet(found: Found) -> Iterator[Check]:
    """Check the recall and hit@1 of each group, and their means."""
    groups = found.content["groups"]
    scores = [[-value for value in group["perplexity"]] for group in groups]
    right = [range(group["num_gt"]) for group in groups]
    recall = metrics.r_precision(scores, right).official
    hits = metrics.choose(scores, right).official
    for values, key, total in (
        (recall, "recall", "expected_mean_recall"),
        (hits, "hit_at_1", "for_comparison_hit_at_1"),
    ):
        if all(key in group for group in groups):
            yield found.check(f"{key} of each", values.tolist(), [group[key] for group in groups])
        if total in found.content:
            yield found.check(f"mean {key}", metrics.mean_of(values), found.content[total])


def sherlock_cases(found: Found) -> Iterator[Check]:
    """Check single comparisons, the noise, and that more candidates than it has are refused."""
    cases = found.content["cases"]
    mine = [attempt(partial(metrics.pairwise, case["scores"], case["labels"])) for case in cases]
    yield found.check("pairwise", mine, [case["pairwise_acc"] for case in cases])
    if "tie_break_noise_seed1" in found.content:
        # Noise is far below what is allowed, so it is compared on its own scale.
        theirs = [value * 1e9 for value in found.content["tie_break_noise_seed1"]]
        yield found.check("noise", (metrics.TIE_NOISE * 1e9).tolist(), theirs)
    if "eleven_candidates" in found.content:
        one = attempt(partial(metrics.pairwise, [0.0] * 11, [0.0] * 11))
        yield found.check("11 candidates", one, found.content["eleven_candidates"])


def sherlock(expected: Found, key: Found, said: Found) -> Iterator[Check]:
    """Check the figures of a model, of people and of the oracle."""
    places = key.content["test_id_map"]
    decoded = {
        (places[name]["Input_iid"], places[name]["candidate"]): float(score)
        for name, score in said.content.items()
    }
    annotations = key.content["annotations"]
    scores = [
        [decoded[one["Input_iid"], candidate["source_iid"]] for candidate in one["candidates"]]
        for one in annotations
    ]
    ratings = [
        [[float(c[rater]) for c in one["candidates"]] for rater in ("annot1", "annot2")]
        for one in annotations
    ]
    compared = attempt(partial(metrics.compare, scores, ratings))
    named = {
        "human": compared and compared.human,
        "model": compared and compared.model.official,
        "oracle": compared and compared.oracle,
    }
    for name, values in named.items():
        mine = None if values is None else percent(values)
        yield expected.check(name, mine, expected.content[name])
        if f"per_annotation_{name}" in expected.content:
            theirs = expected.content[f"per_annotation_{name}"]
            each = None if values is None else values.tolist()
            yield expected.check(f"{name} of each", each, theirs)
    if "N" in expected.content:
        yield expected.check("annotations", len(annotations), expected.content["N"])


def aokvqa(expected: Found, said: Found, rows: Found) -> Iterator[Check]:
    """Check multiple choice, direct answers, and the equality of places that is no official one."""
    answers: Mapping[str, Mapping[str, Any]] = said.content
    asked = list({row["question_id"]: row for row in rows.content}.values())
    found = [answers.get(row["question_id"], {}) for row in asked]
    keys = [row["correct_choice_idx"] for row in asked]
    choice = metrics.aokvqa_choice(
        [one.get("multiple_choice") for one in found],
        [row["choices"][place] for row, place in zip(asked, keys, strict=True)],
    )
    direct = metrics.aokvqa_direct(
        [one.get("direct_answer") for one in found],
        [row["direct_answers"] for row in asked],
        [row["difficult_direct_answer"] for row in asked],
    )
    equal = [one.get("choice_index") == place for one, place in zip(found, keys, strict=True)]
    named = {
        "mc_accuracy": percent(choice),
        "da_accuracy": percent(direct),
        "n_questions": len(asked),
        "n_predicted": len(answers),
        "index_equality_accuracy_for_comparison": percent(np.array(equal, dtype=np.float64)),
    }
    for name, mine in named.items():
        if name in expected.content:
            yield expected.check(name, mine, expected.content[name])


def texts(
    found: Found, aokvqa_rows: Sequence[Found], snli_rows: Sequence[Found]
) -> Iterator[Check]:
    """Check texts as the release hands them to its tokenizer, and the places of right ones.

    A row whose words are not at hand must come out of the wording as it is.
    """
    given = found.content
    if "truncation" in given:
        for key, theirs in given["truncation"].items():
            if key.startswith("out_"):
                mine = released(given["truncation"]["input"], int(key.removeprefix("out_")))
                yield found.check(f"cut {key}", mine, theirs)
    if "punctuation" in given:
        said = [released(before) for before, _ in given["punctuation"]]
        yield found.check("punctuation", said, [after for _, after in given["punctuation"]])
    if "aokvqa" in given:
        yield from _aokvqa_texts(found, _by_id(aokvqa_rows, "question_id"))
    if "snli_ve" in given:
        yield from _snli_texts(found, _by_id(snli_rows, "pairID"))
    if "vcr" in given:
        yield from vcr_texts(found, given["vcr"])


def vcr_texts(found: Found, rows: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """Check the texts of VCR's choices, of questions and answers that name regions already."""
    mine = [[_asked(row["question"], answer) for answer in row["answers"]] for row in rows]
    yield found.check("vcr", mine, [row["mc_texts_qa"] for row in rows])


def _aokvqa_texts(found: Found, known: Mapping[str, Any]) -> Iterator[Check]:
    rows = found.content["aokvqa"]
    mine, places = [], []
    for row in rows:
        own = known.get(row["question_id"])
        mine.append(
            [_asked(own["question"], choice) for choice in own["choices"]]
            if own
            else [_again(text) for text in row["texts"]]
        )
        places.append(own["correct_choice_idx"] if own else row["label"])
    yield found.check("aokvqa", mine, [row["texts"] for row in rows])
    yield found.check("aokvqa right", places, [row["label"] for row in rows])


def _snli_texts(found: Found, known: Mapping[str, Any]) -> Iterator[Check]:
    rows = found.content["snli_ve"]
    mine, places = [], []
    for row in rows:
        own = known.get(row["pairID"])
        mine.append(
            [_asked(f"Does the image describe {own['sentence2']}?", label) for label in LABELS]
            if own
            else [_again(text) for text in row["texts"]]
        )
        places.append(LABELS.index(own["gold_label"]) if own else row["label"])
    yield found.check("snli_ve", mine, [row["texts"] for row in rows])
    yield found.check("snli_ve right", places, [row["label"] for row in rows])


def _by_id(files: Sequence[Found], key: str) -> dict[str, Any]:
    # The first file that has a row wins: nearer ones come first.
    return {row[key]: row for file in reversed(files) for row in file.content}


def _asked(question: str, answer: str) -> str:
    return released(f"{question} Answer: {answer}")


def released(text: str, words: int = 70) -> str:
    """Return what a protocol makes of a text that begins as the release begins all of them."""
    regions = tuple(Region(n, Box(0, 0, 8, 8), "", "", 1.0) for n in marking.named(text))
    item = Item(
        id="",
        benchmark="",
        task="",
        split="",
        image_id="",
        path="",
        width=8,
        height=8,
        regions=regions,
        pointed=(),
        question="",
        given=None,
        choices=(text,),
        right=(0,),
        ratings=(),
        kind="",
    )
    protocol = Protocol(
        lower=True, words=words, renumber=False, question=False, answer_alone="question: {choice}"
    )
    return panels([item], protocol)[0].texts[0].whole


def _again(text: str) -> str:
    return released(text.removeprefix("question: "))
