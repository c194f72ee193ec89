"""Protocols: items become panels as the release words and draws them, and every setting counts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import marking
from lskd.errors import UserError
from lskd.evaluate.protocol import Cuts, Protocol, chosen, cuts, panels
from lskd.protocols import Fits, Panel
from lskd.types import Box, Item, Region

RELEASE = Protocol(lower=True, words=70)


def item(**changes: Any) -> Item:
    regions = tuple(
        Region(number, Box(9 * number, 0, 9 * number + 8, 8), label, "", 1.0)
        for number, label in enumerate(("person", "dog", "person", "car"))
    )
    made = Item(
        id="one",
        benchmark="vcr",
        task="answer",
        split="val",
        image_id="0123456789abcdef",
        path="one.jpg",
        width=40,
        height=10,
        regions=regions,
        pointed=(2, 0),
        question="Does [2] like [0] ?",
        given=None,
        choices=("Yes , [2] does .", "No ."),
        right=(0,),
        ratings=(),
        kind="",
    )
    return replace(made, **changes)


def released(text: str, words: int = 70) -> str:
    """Return a text as the release hands it to its tokenizer, by the plainest rule that does it."""
    return "question: " + " ".join(text.lower().rstrip(" ").split(" ")[:words])


def texts(panel: Panel) -> list[str]:
    return [text.whole for text in panel.texts]


def told(made: Item, protocol: Protocol) -> list[str]:
    return texts(panels([made], protocol)[0])


def tokens(text: list[Any]) -> str:
    """Return tokens of VCR as a text with tags, as readers give it."""
    return " ".join(
        word if isinstance(word, str) else " , ".join(f"[{number}]" for number in word)
        for word in text
    )


def vcr(row: dict[str, Any], pointed: list[int], task: str) -> Item:
    rationale = task == "rationale"
    answers = [tokens(choice) for choice in row["answer_choices"]]
    choices = [tokens(choice) for choice in row["rationale_choices"]] if rationale else answers
    return item(
        id=row["annot_id"],
        task=task,
        regions=tuple(
            Region(number, Box(0, 0, 8, 8), label, "", 1.0)
            for number, label in enumerate(row["objects"])
        ),
        pointed=tuple(pointed),
        question=tokens(row["question"]),
        given=answers[row["answer_label"]] if rationale else None,
        choices=tuple(choices),
    )


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((shared / "data/golden/lskd_texts.json").read_text())
    return held


@pytest.fixture(scope="module")
def vcr_rows(shared: Path, golden: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return rows of VCR, each with what the release makes of it."""
    folder = shared / "data/vcr"
    expected = [*golden["vcr"], *json.loads((folder / "lskd_texts.json").read_text())]
    rows = [
        json.loads(line)
        for file in ("train.sample.jsonl", "val.sample.jsonl")
        for line in (folder / file).read_text().splitlines()
    ]
    by_id = {row["annot_id"]: row for row in rows}
    return [(by_id[one["annot_id"]], one) for one in expected]


def test_the_rule_that_texts_are_held_against_is_that_of_the_release(
    golden: dict[str, Any],
) -> None:
    cut = golden["truncation"]
    assert released(cut["input"]) == cut["out_70"]
    assert released(cut["input"], 50) == cut["out_50"]
    assert all(released(text) == expected for text, expected in golden["punctuation"])


def test_the_default_protocol_processes_texts_as_the_release_does_it(
    golden: dict[str, Any],
) -> None:
    for text, expected in golden["punctuation"]:
        made = item(question=text, choices=("Yes",))
        assert told(made, RELEASE) == [released(f"{text} Answer: Yes") if text else "yes"]
        alone = RELEASE.model_copy(update={"question": False, "answer_alone": "question: {choice}"})
        assert told(item(question="", choices=(text,)), alone) == [expected]


def test_a_long_text_is_cut_where_the_release_cuts_it(golden: dict[str, Any]) -> None:
    question, label = golden["truncation"]["input"].split(" Answer: ")
    made = item(question=question, choices=(label, "entailment"))
    assert told(made, RELEASE) == [golden["truncation"]["out_70"]] * 2
    shorter = RELEASE.model_copy(update={"words": 50})
    assert told(made, shorter) == [golden["truncation"]["out_50"]] * 2


def test_questions_of_aokvqa_are_worded_as_the_release_words_them(
    shared: Path, golden: dict[str, Any]
) -> None:
    rows = json.loads((shared / "data/aokvqa/aokvqa_v1p0_val.json").read_text())
    by_id = {row["question_id"]: row for row in rows}
    for one in golden["aokvqa"]:
        row = by_id[one["question_id"]]
        made = item(regions=(), pointed=(), question=row["question"], choices=row["choices"])
        assert told(made, RELEASE) == one["texts"]


def test_hypotheses_of_snli_ve_are_worded_as_the_release_words_them(
    shared: Path, golden: dict[str, Any]
) -> None:
    folder = shared / "data/snli_ve"
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    rows = {row["pairID"]: row for row in map(json.loads, lines) if "pairID" in row}
    labels = ("contradiction", "neutral", "entailment")
    for one in golden["snli_ve"]:
        question = f"Does the image describe {rows[one['pairID']]['sentence2']}?"
        made = item(regions=(), pointed=(), question=question, choices=labels)
        assert told(made, RELEASE) == one["texts"]


def test_vcr_is_worded_and_numbered_as_the_release_does_it(
    vcr_rows: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    plain = Protocol(question=False)
    both = Protocol(question=False, names="tags and words")
    for row, expected in vcr_rows:
        asked = vcr(row, expected["region_order"], "answer")
        assert told(asked, RELEASE) == expected["mc_texts_qa"]
        assert told(asked, plain) == expected["answers"]
        assert told(asked, both) == expected["answers_object_tags"]
        why = vcr(row, expected["region_order"], "rationale")
        answer = expected["answers"][row["answer_label"]]
        assert told(why, plain) == [f"{answer} {one}" for one in expected["rationales"]]
        assert told(why, Protocol()) == [
            f"question: {expected['question']} answer: {answer} rationale: {one}"
            for one in expected["rationales"]
        ]


def test_regions_are_drawn_in_the_order_in_which_an_item_points_to_them() -> None:
    panel = panels([item()], Protocol())[0]
    assert [(region.id, region.box.x0) for region in panel.regions] == [(0, 18), (1, 0)]
    assert texts(panel)[0] == "question: Does [0] like [1] ? answer: Yes , [0] does ."
    assert panel.image.id == "0123456789abcdef" and panel.image.width == 40


def test_all_regions_come_after_those_that_are_pointed_to() -> None:
    everything = panels([item()], Protocol(drawn="all"))[0]
    assert [region.box.x0 for region in everything.regions] == [18, 0, 9, 27]
    assert [region.id for region in everything.regions] == [0, 1, 2, 3]
    three = panels([item()], Protocol(drawn="all", most=3))[0]
    assert [region.box.x0 for region in three.regions] == [18, 0, 9]
    one = panels([item()], Protocol(drawn="all", most=1))[0]
    assert [region.box.x0 for region in one.regions] == [18, 0], "none pointed to is left out"


def test_without_renumbering_ids_stay_those_of_the_benchmark() -> None:
    panel = panels([item()], Protocol(renumber=False))[0]
    assert [region.id for region in panel.regions] == [2, 0]
    assert texts(panel)[0] == "question: Does [2] like [0] ? answer: Yes , [2] does ."


def test_regions_that_only_a_text_names_are_drawn_last() -> None:
    panel = panels([item(choices=("It is [3] .", "No ."))], Protocol())[0]
    assert [region.box.x0 for region in panel.regions] == [18, 0, 27]
    assert texts(panel)[0].endswith("It is [2] .")


def test_nothing_is_drawn_for_models_that_never_saw_marks() -> None:
    panel = panels([item()], Protocol(drawn="none", names="words"))[0]
    assert panel.regions == ()
    assert texts(panel)[0] == "question: Does the person like the person ? answer: Yes , " + (
        "the person does ."
    )


def test_several_regions_of_one_tag_become_several_words() -> None:
    made = item(choices=("[0, 3] are here [x].", "No ."))
    assert told(made, Protocol(question=False, names="words", phrase="{label}"))[0] == (
        "person and car are here [x]."
    )
    assert told(made, Protocol(question=False, names="tags and words"))[0] == (
        "person [1] and car [2] are here [x]."
    )


def test_regions_that_a_reader_lists_become_words_with_and_between_them() -> None:
    made = item(choices=("[0] , [3] are here , [x] .", "[3] , [0] , [3] wave"))
    words = Protocol(question=False, names="words", phrase="{label}")
    assert told(made, words) == ["person and car are here , [x] .", "car and person wave"]
    tags = Protocol(question=False, names="tags and words")
    assert told(made, tags)[0] == "person [1] , car [2] are here , [x] ."


def test_a_region_that_the_item_lacks_is_refused() -> None:
    with pytest.raises(UserError, match=r"vcr one: region \[7\] is named, known are: \[0\]"):
        panels([item(choices=("It is [7] .",))], Protocol())


@pytest.mark.parametrize("names", ["tags", "tags and words", "words"])
def test_numbers_in_brackets_are_words_where_an_item_has_no_regions(names: str) -> None:
    question = "What does footnote [3] say ?"
    made = item(
        benchmark="aokvqa", regions=(), pointed=(), question=question, choices=("see [4] , [5]",)
    )
    asked = Protocol.model_validate({"names": names})
    assert told(made, asked) == [f"question: {question} answer: see [4] , [5]"]
    assert panels([made], asked)[0].regions == ()


def test_the_prompt_is_all_before_the_choice() -> None:
    text = panels([item(given="Yes .")], Protocol())[0].texts[0]
    assert text.prompt == "question: Does [0] like [1] ? answer: Yes . rationale:"
    assert text.target == "Yes , [0] does ."
    alone = panels([item()], Protocol(question=False))[0].texts[0]
    assert (alone.prompt, alone.target) == ("", "Yes , [0] does .")
    with_answer = panels([item(given="Yes .")], Protocol(question=False))[0].texts[0]
    assert (with_answer.prompt, with_answer.target) == ("Yes .", "Yes , [0] does .")


def test_an_item_that_asks_nothing_is_worded_without_a_question() -> None:
    made = item(question="", choices=("a fire is near",), pointed=())
    assert told(made, Protocol()) == ["a fire is near"]


def test_braces_in_a_benchmark_are_text() -> None:
    made = item(question="Is {x} {choice}?", choices=("{question}",))
    assert told(made, Protocol()) == ["question: Is {x} {choice}? answer: {question}"]


def test_cuts_are_counted_and_so_are_items_that_lose_their_choice() -> None:
    long = item(question=" ".join(["word"] * 68), choices=("Yes it is so", "Yes it is not"))
    longer = item(question=" ".join(["word"] * 90), choices=("Yes", "No"))
    assert cuts([item(), long, longer], RELEASE) == Cuts(texts=6, shortened=4, alike=2)
    assert cuts([item(), long, longer], Protocol()) == Cuts(texts=6, shortened=0, alike=0)


def test_choices_that_were_alike_before_do_not_count_as_cut() -> None:
    assert cuts([item(choices=("Yes", "Yes"))], RELEASE) == Cuts(2, 0, 0)


def test_scores_are_those_of_the_chosen_head_and_lavis_adds_two() -> None:
    fits = Fits(itm=(1.0, 2.0), itc=(0.5, 0.25))
    assert chosen(fits, Protocol()) == (1.0, 2.0)
    assert chosen(fits, Protocol(score="itc")) == (0.5, 0.25)
    assert chosen(fits, Protocol(score="both")) == (1.5, 2.25)
    assert chosen(Fits(likelihood=(-1.0,)), Protocol(score="likelihood")) == (-1.0,)


def test_a_head_that_a_model_lacks_is_named_with_those_that_it_has() -> None:
    with pytest.raises(UserError, match='score = "both" needs itm and itc; this model gives itc'):
        chosen(Fits(itc=(1.0,)), Protocol(score="both"))
    with pytest.raises(UserError, match="this model gives likelihood"):
        chosen(Fits(likelihood=(1.0,)), Protocol())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"answer_text": "{question}"}, "expected {choice}, {question} once each"),
        ({"answer_text": "{choice} {question}"}, "end with a blank and {choice}"),
        ({"answer_text": "{question} ({choice})"}, "end with a blank and {choice}"),
        ({"answer_text": "{question"}, "expected '}'"),
        ({"answer_alone": "{question} {choice}"}, "expected {choice} once each"),
        ({"rationale_alone": "{{}} {choice}"}, "no other braces"),
        ({"phrase": "the thing"}, "expected {label}"),
        ({"phrase": "{label:>9}"}, "expected {label}"),
        ({"score": "loss"}, "itm"),
        ({"words": 0}, "greater than 0"),
        ({"word": 3}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        Protocol(**setting)
    assert said in str(caught.value)


LETTERS = st.text(st.sampled_from("aB \tİΣ[]012?"), max_size=30)


@given(question=LETTERS, choice=LETTERS, words=st.integers(1, 8))
def test_whatever_the_texts_they_are_worded_as_the_release_words_them(
    question: str, choice: str, words: int
) -> None:
    regions = tuple(Region(n, Box(0, 0, 8, 8), "x", "", 1.0) for n in range(3))
    named = marking.named(f"{question} {choice}")
    if not question or any(number > 2 for number in named):
        return
    made = item(regions=regions, pointed=(), question=question, choices=(choice,))
    protocol = Protocol(lower=True, words=words, renumber=False)
    expected = released(f"{question} Answer: {choice}", words)
    assert told(made, protocol) == [expected]


def test_all_of_a_text_is_in_lower_case_its_first_words_too() -> None:
    made = item(question="What is IT?", choices=("A Dog",), pointed=())
    protocol = Protocol(lower=True, answer_text="Question: {question} Answer: {choice}")
    assert told(made, protocol) == ["question: what is it? answer: a dog"]


@given(order=st.permutations(range(4)), count=st.integers(0, 4), most=st.integers(1, 6) | st.none())
def test_every_tag_names_the_region_that_it_named_before(
    order: list[int], count: int, most: int | None
) -> None:
    made = item(pointed=tuple(order[:count]), question="Is [3] by [1] ?", choices=("[0] [2]",))
    panel = panels([made], Protocol(drawn="all", most=most))[0]
    boxes = {region.id: region.box for region in panel.regions}
    asked = [number for text in ("Is [3] by [1] ?", "[0] [2]") for number in marking.named(text)]
    now = marking.named(texts(panel)[0])
    assert [boxes[number] for number in now] == [made.regions[number].box for number in asked]
    assert [region.id for region in panel.regions] == list(range(len(panel.regions)))
