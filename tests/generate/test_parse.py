"""A reply becomes triples or rejects with reasons, and nothing of it is lost."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lskd import table
from lskd.facts import RunFacts
from lskd.generate.parse import HEADING, MARKER, STAGE, Parser, Settings, canonical, pieces
from lskd.generate.phrases import words
from lskd.marking import named
from lskd.stage import Context, Shard
from lskd.table import Tables
from lskd.types import Box, Mention, Region, Regions, Reject, Reply, Style, Triple

REGIONS = (
    Region(0, Box(0, 0, 9, 9), "woman", "a woman in a pink shirt on the left", 1.0),
    Region(1, Box(5, 5, 9, 9), "dog", "a large brown dog in the middle", 1.0),
    Region(2, Box(5, 5, 9, 9), "dog", "a small black dog on the right", 1.0),
)


OBJECT = '{"question": "Why [0]?", "answer": "So.", "rationale": "It is."}'


def reply(text: str, style: Style = "id", finish: str = "stop", name: str = "i-0") -> Reply:
    return Reply(name, "i", style, 0, (), text, "m", finish, None, None, None, 0.0)


def parsed(
    text: str, style: Style = "id", finish: str = "stop", regions: Sequence[Region] = REGIONS
) -> list[Triple | Reject]:
    return list(Parser(regions).parse(reply(text, style, finish)))


def block(question: str, answer: str = "A [0].", rationale: str = "R.") -> str:
    return f"Question: {question}\nAnswer: {answer}\nRationale: {rationale}\n\n"


def no_facts() -> RunFacts:
    raise AssertionError("the stage asks for no facts")


def reasons(rows: Sequence[Triple | Reject]) -> list[str]:
    return [row.reason if isinstance(row, Reject) else "" for row in rows]


def test_plain_blocks_become_triples_in_order() -> None:
    rows = parsed(block("Why is [1] near [0]?") + block("What will [2] do?", "[2] barks."))
    assert [row.question for row in rows if isinstance(row, Triple)] == [
        "Why is [1] near [0]?",
        "What will [2] do?",
    ]
    first, second = rows
    assert isinstance(first, Triple) and isinstance(second, Triple)
    assert (first.id, first.reply_id, first.region_ids) == ("i-0-0", "i-0", (0, 1))
    assert second.region_ids == (2,)


@pytest.mark.parametrize(
    "text",
    [
        "**1. Question:** Why [0]?\n**Answer:** So.\n**Rationale:** It is.\n\n**2.",
        "### **1. Question:**\nWhy [0]?\n**Answer:** So.\n**Rationale:** It is.",
        "** Question:** Why [0]?\n** Answer:** So.\n** Rationale:** It is.",
        "**1) Q:** Why [0]?\n**A:** So.\n**R:** It is.",
        "**Triple 1**\r\nQuestion: Why [0]?\r\nAnswer: So.\r\nRationale: It is.\r\n---\r\n",
        "**Triple 1: it**\nQuestion: Why [0]?\nAnswer: So.\nRationale: It is.\n### Triple 2: that",
        "Question：Why [0]?\nAnswer：So.\nRationale：It is.",
        "**Question 1:** Why [0]?\n**Answer:** So.\n**Rationale:** It is.",
        "1. Question: Why [0]?\n   Answer: So.\n   Rationale: It is.",
        "Q: Why [0]?\nA: So.\nR: It is.",
        "- question: Why [0]?\n- answer: So.\n- rationale: It is.",
        "### Question: Why [0]?\n### Answer: So.\n### Rationale: It is.",
        "**Question: Why [0]?**\n**Answer: So.**\n_Rationale: It is._",
        "```\nQuestion: Why [0]?\nAnswer: So.\nRationale: It is.\n```",
        "---\n**Triple 1**\nQuestion: Why [0]?\n\nAnswer: So.\n\nRationale:\n\nIt is.\n\n---",
        "### 1.\nQuestion: Why [0]?\nAnswer: So.\nRationale: It is.\n### 2.",
        '```json\n{"triples": [' + OBJECT + "]}\n```",
        '{"Question": "Why [0]?", "Answer": "So.", "Rationale": "It is."}',
        f"[{OBJECT}]",
    ],
)
def test_the_forms_that_models_write_are_all_understood(text: str) -> None:
    rows = parsed(text)
    assert [(r.question, r.answer, r.rationale) for r in rows if isinstance(r, Triple)] == [
        ("Why [0]?", "So.", "It is.")
    ]
    assert reasons(rows) == [""]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (block("Why is it dark?", "Night."), "names no region"),
        (block("Why is [7] near [0]?"), "names an unknown region"),
        (block("Why is [the dog] near [0]?"), "brackets without a region's number"),
        (block("Why is [0 near?"), "a bracket is not closed"),
        ("Question: Why [0]?\nAnswer: So.", "no rationale"),
        ("Question: Why [0]?", "no answer and no rationale"),
        ("Answer: So [0].\nRationale: Yes.", "no question"),
        ("I'm sorry, but I cannot help with that.", "refusal"),
        ("As an AI language model, I see no picture.", "refusal"),
        (block("Why [0]?", "I’m sorry, I can’t say."), "refusal"),
        ("Here are your triples.", "not a triple"),
        (block("Why [0]?", "word " * 101), "answer too long: over 100 words"),
    ],
)
def test_what_cannot_be_used_is_kept_with_its_reason(text: str, reason: str) -> None:
    (row,) = parsed(text)
    assert isinstance(row, Reject)
    assert (row.reason, row.source, row.text) == (reason, "i-0", text.strip())


def test_an_empty_reply_is_a_reject() -> None:
    assert reasons(parsed("  \n")) == ["empty reply"]


def test_a_call_that_failed_is_a_reject_with_the_failure() -> None:
    failed = Reply("i-0", "i", "id", 0, (), "", "m", "", None, None, None, 0.0, error="time-out")
    assert reasons(list(Parser(REGIONS).parse(failed))) == ["no reply: time-out"]


def test_a_cut_reply_keeps_the_whole_triples_before_the_cut() -> None:
    text = block("Why [0]?") + "Question: What of [1]?\nAnswer: It runs.\nRationale: Because the"
    rows = parsed(text, finish="length")
    assert reasons(rows) == ["", "cut off"]


def test_a_cut_json_reply_keeps_the_whole_triples_before_the_cut() -> None:
    whole = {"question": "Why [0]?", "answer": "So", "rationale": "It is"}
    text = json.dumps({"triples": [whole, whole]})[:-20]
    rows = parsed(text, finish="length")
    assert reasons(rows) == ["", "cut off"]
    assert isinstance(rows[1], Reject) and rows[1].text.startswith('{"question"')


def test_a_question_never_joins_an_answer_that_came_before_it() -> None:
    rows = parsed("Answer: So [0].\n" + block("Why [0]?"))
    assert reasons(rows) == ["no question and no rationale", ""]


def test_only_a_reply_that_reached_the_limit_is_cut_off() -> None:
    begun = "Question: Why [0]?\nAnswer: So."
    for finish in ("stop", "content_filter", "eos"):
        assert reasons(parsed(begun, finish=finish)) == ["no rationale"]
    assert reasons(parsed(begun, finish="length")) == ["cut off"]


def test_only_the_end_of_a_cut_reply_is_cut_off() -> None:
    begun = "Question: Why [0]?\nAnswer: A [0]."
    unstopped = block("How is [1]?", rationale="It is")
    rows = parsed(f"{begun}\n\n{unstopped}\n\n{begun}", finish="length")
    assert reasons(rows) == ["no rationale", "", "cut off"]


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        (block("Why [0]?", rationale="It is"), "stop", ""),
        (block("Why [0]?", rationale="It is."), "length", ""),
        (block("Why [0]?", rationale="因为它在那里。"), "length", ""),
        (block("Why [0]?", rationale="لأنه هنا؟"), "length", ""),
        (block("Why [0]?", rationale="因为它"), "length", "cut off"),
        (block("Why [0]?", rationale="It is"), "length", "cut off"),
        (OBJECT.replace("It is.", "It is"), "length", ""),  # its brace is closed
    ],
)
def test_a_full_stop_is_asked_for_only_where_the_text_may_have_been_cut(
    text: str, finish: str, reason: str
) -> None:
    assert reasons(parsed(text, finish=finish)) == [reason]


@pytest.mark.parametrize("opening", ["[Here they are]", "{Three triples}"])
def test_a_text_that_begins_as_json_does_is_read_as_the_text_that_it_is(opening: str) -> None:
    rows = parsed(f"{opening}\n\n{block('Why [0]?')}")
    assert reasons(rows) == ["not a triple", ""]
    assert isinstance(rows[0], Reject) and rows[0].text == opening


def test_a_repetition_within_an_image_is_rejected_even_turns_later() -> None:
    parser = Parser(REGIONS)
    list(parser.parse(reply(block("Why is [0] here?"))))
    (again,) = parser.parse(reply(block("why is [0]  here"), name="i-1"))
    assert isinstance(again, Reject) and again.reason == "duplicate"


INDENTED = json.dumps(
    {"triples": [json.loads(OBJECT), json.loads(OBJECT) | {"answer": "No."}]}, indent=2
)


@pytest.mark.parametrize(
    "around",
    ["Here they are:\n```json\n{}\n```", "Here they are:\n{}", "Sure! {}\n\nAnything else?"],
)
def test_json_is_read_wherever_it_stands(around: str) -> None:
    rows = parsed(around.replace("{}", INDENTED))
    found = [(r.question, r.answer, r.rationale) for r in rows if isinstance(r, Triple)]
    assert found == [("Why [0]?", "So.", "It is."), ("Why [0]?", "No.", "It is.")]
    assert set(reasons(rows)) == {"", "not a triple"}


@pytest.mark.parametrize(
    "spoilt",
    [
        INDENTED.replace('"It is."\n', '"It is.",\n'),  # a comma too many
        INDENTED.replace("It is", 'It "is'),
        INDENTED[: INDENTED.index("It is.") + 6],
    ],
)
def test_json_that_cannot_be_read_is_never_taken_for_text_with_parts(spoilt: str) -> None:
    assert set(reasons(parsed(spoilt))) == {"not a triple"}


def test_a_remark_behind_the_last_triple_is_no_part_of_its_rationale() -> None:
    rows = parsed(block("Why [0]?") + "Let me know if you need more triples!")
    assert reasons(rows) == ["", "not a triple"]
    assert isinstance(rows[0], Triple) and rows[0].rationale == "R."


def test_a_number_on_a_line_of_its_own_is_part_of_what_goes_on_behind_it() -> None:
    (row,) = parsed(block("Why [0]?", rationale="It counts to\n3.\nthen stops."))
    assert isinstance(row, Triple) and row.rationale == "It counts to\n3.\nthen stops."


def test_a_heading_is_no_rationale() -> None:
    empty = "Question: Why [0]?\nAnswer: So.\nRationale:\n\n**Triple 2**\n"
    assert reasons(parsed(empty + block("Why [1]?"))) == ["no rationale", ""]


@pytest.mark.parametrize(
    "before", ['{"triples": [\n', "Question: Why [0]?\nAnswer: So.\n", "q", "-"]
)
def test_a_line_of_ten_times_the_blanks_takes_about_ten_times_as_long(before: str) -> None:
    def seconds(blanks: int) -> float:
        began = time.process_time()
        pieces(f"{before}{' ' * blanks}x")
        return time.process_time() - began

    few = min(seconds(10_000) for _ in range(3))
    assert seconds(100_000) < 50 * few  # its square took hours


@pytest.mark.parametrize(("before", "sign"), [("", "_"), ("", "*"), ("", "`"), ("- **1. ", "*")])
def test_a_line_of_a_hundred_thousand_marks_takes_no_time(before: str, sign: str) -> None:
    began = time.process_time()
    pieces(f"{before}{sign * 100_000}x")
    assert time.process_time() - began < 2  # its square took hours


def test_a_heading_with_blanks_before_half_a_line_end_takes_no_time() -> None:
    began = time.process_time()
    pieces(f"# Triple 1{' ' * 100_000}\rx")
    assert time.process_time() - began < 2


def test_thoughts_are_no_refusal() -> None:
    rows = parsed("<think>\nI cannot answer that.\n</think>\n" + block("Why [0]?"))
    assert reasons(rows) == ["not a triple", ""]
    assert reasons(parsed("<think>\nI cannot answer that", finish="length")) == ["cut off"]


def test_what_a_model_thinks_before_it_writes_is_no_triple() -> None:
    thought = "<think>\n" + block("Is [0] fine?") + "</think>"
    rows = parsed(f"{thought}\n{block('Why [0]?')}")
    assert reasons(rows) == ["not a triple", ""]
    assert isinstance(rows[0], Reject) and rows[0].text == thought


def test_a_reply_that_was_cut_while_the_model_thought_is_cut_off() -> None:
    rows = parsed("<think>\n" + block("Is [0] fine?") + block("Why [1]?"), finish="length")
    assert reasons(rows) == ["cut off"]


def test_half_a_surrogate_pair_in_json_can_be_written(tmp_path: Path) -> None:
    rows = parsed(OBJECT.replace("Why", "Why \\ud83d"))
    table.write(Triple, tmp_path / "triples.parquet", [r for r in rows if isinstance(r, Triple)])
    (back,) = table.read(Triple, tmp_path / "triples.parquet")
    assert back.question == "Why \ufffd [0]?"


def test_a_number_of_thousands_of_digits_is_no_region() -> None:
    rows = parsed(block(f"Why [{'1' * 5000}]?"))
    assert reasons(rows) == ["brackets without a region's number"]


def test_text_around_triples_is_kept() -> None:
    rows = parsed("Sure! Here they are:\n\n" + block("Why [0]?"))
    assert reasons(rows) == ["not a triple", ""]


@pytest.mark.parametrize("inside", ["0, 2", "0 and 2", "0,2", "regions 0 and 2", "#0, #2"])
def test_several_regions_in_one_bracket_are_all_named(inside: str) -> None:
    (row,) = parsed(block(f"Why are [{inside}] close?", "Friends.", "So."))
    assert isinstance(row, Triple) and row.region_ids == (0, 2)
    assert row.question == "Why are [0, 2] close?"


@pytest.mark.parametrize(
    ("phrase", "region"),
    [
        ("a woman in a pink shirt on the left", 0),
        ("the woman in a pink shirt on the left", 0),
        ("The Woman in the pink shirt", 0),
        ("woman", 0),
        ("the large brown dog", 1),
        ("small black dog on the right", 2),
    ],
)
def test_a_phrase_in_brackets_is_linked_to_its_region(phrase: str, region: int) -> None:
    (row,) = parsed(block(f"What is [{phrase}] doing?", "It waits."), "description")
    assert isinstance(row, Triple)
    assert row.region_ids == (region,)
    assert row.mentions == (Mention(phrase, region),)


def test_a_phrase_is_kept_as_it_was_written_even_if_it_is_a_number() -> None:
    shirt = Region(0, Box(0, 0, 9, 9), "shirt", "007", 1.0)
    (row,) = parsed(block("Who wears [007]?", "A spy."), "description", regions=[shirt])
    assert isinstance(row, Triple)
    assert row.question == "Who wears [007]?" and row.mentions == (Mention("007", 0),)


@pytest.mark.parametrize(
    ("phrase", "reason"),
    [
        ("the woman in the pink shirt with red hair", ""),  # three words of five
        ("the pink hat", "names an unknown region"),  # one of two
        ("the pink shirt with red buttons", "names an unknown region"),  # two of four
    ],
)
def test_three_words_of_five_are_enough_for_a_link_and_half_are_not(
    phrase: str, reason: str
) -> None:
    assert reasons(parsed(block(f"What of [{phrase}]?", "It waits."), "description")) == [reason]


def test_plurals_are_cut_and_short_words_are_none() -> None:
    assert words("the dogs of us in a bus") == ("dog", "us", "bus")
    assert words("is his") == ("is", "his")  # small words, where there are no others


@pytest.mark.parametrize(
    ("phrase", "reason"),
    [
        ("the dog", "a phrase fits several regions"),
        ("the queen of hearts", "names an unknown region"),
        ("2", "names an unknown region"),
        ("", "names an unknown region"),
    ],
)
def test_a_phrase_that_fits_no_single_region_is_rejected(phrase: str, reason: str) -> None:
    (row,) = parsed(block(f"What is [{phrase}] doing?", "It waits."), "description")
    assert isinstance(row, Reject) and row.reason == reason


def letters(text: str) -> str:
    """Return what may not be lost: letters, but for those of headings, frames and fences."""
    said = HEADING.sub("", text)
    return re.sub(r'```[a-z]*|"triples":|[\W\d_]', "", said, flags=re.IGNORECASE)


CHUNKS = st.sampled_from(
    [
        "Question:",
        "\nQuestion: ",
        "\nAnswer: ",
        "\nRationale: ",
        "\n**Answer:** ",
        "[0]",
        "[1, 2]",
        "[99]",
        "[",
        "]",
        "{",
        "}",
        '{"question": "Why [0]?", "answer": "So.", "rationale": "It is."}',
        '{"triples": [',
        '"question":',
        "```json\n",
        "\n```",
        "I'm sorry",
        "why [a large brown dog in the middle]",
        "\\u0000",
        "\\ud83d",
        "\n---\n",
        "\n**Triple 2**\n",
        "\n**Question: ",
        "**1. Question:** ",
        "\r\n",
        " " * 2000,
        "</think>",
        "<think>",
        "\n\n",
    ]
)
ANYTHING = st.lists(CHUNKS | st.text(max_size=12), max_size=14).map("".join)


@given(ANYTHING, st.sampled_from(["id", "description"]), st.sampled_from(["stop", "length"]))
@example("{" * 3000, "id", "stop")
@example("[" * 100_000, "id", "stop")
@example("Question: " * 500, "description", "length")
def test_no_reply_crashes_the_parser_or_loses_text(text: str, style: Style, finish: str) -> None:
    found = pieces(text)
    tags = re.compile(r"\[[0-9, ]+\]")
    assert tags.findall("\n".join(piece.text for piece in found)) == tags.findall(text)
    assert letters("\n".join(piece.text for piece in found)) == letters(text)
    rows = parsed(text, style, finish)
    assert len(rows) == max(1, len(found))
    for row, piece in zip(rows, found, strict=False):
        if isinstance(row, Reject):
            assert row.text == piece.text
        elif not piece.text.startswith("{"):
            said = row.question + row.answer + row.rationale
            tidy = canonical(piece) if style == "id" else piece
            assert said == tidy.question + tidy.answer + tidy.rationale
            parts = piece.question + piece.answer + piece.rationale
            assert letters(parts) == letters(MARKER.sub("", piece.text))


@given(ANYTHING, st.sampled_from(["id", "description"]))
def test_every_triple_names_known_regions_and_at_least_one(text: str, style: Style) -> None:
    for row in parsed(text, style):
        if isinstance(row, Triple):
            assert row.region_ids and set(row.region_ids) <= {0, 1, 2}
            if style == "id":
                whole = f"{row.question} {row.answer} {row.rationale}"
                assert set(named(whole)) == set(row.region_ids)
            assert row.question and row.answer and row.rationale


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3))
def test_a_longer_limit_never_loses_a_triple(ids: list[int]) -> None:
    text = "".join(block(f"Why is [{k}] number {n}?", "word " * 20) for n, k in enumerate(ids))
    short = Parser(REGIONS, Settings(max_words=19)).parse(reply(text))
    long = Parser(REGIONS, Settings(max_words=20)).parse(reply(text))
    assert all(isinstance(row, Reject) for row in short)
    assert all(isinstance(row, Triple) for row in long)


def test_the_stage_parses_each_reply_by_the_regions_of_its_own_image(tmp_path: Path) -> None:
    tables = Tables(
        {"regions": tmp_path / "r", "ask": tmp_path / "a"}, {Regions: "regions", Reply: "ask"}
    )
    text = block("Why [2]?")
    replies = [replace(reply(text, name=f"{image}-0"), image_id=image) for image in "ij"]
    known = [Regions("i", REGIONS), Regions("j", REGIONS[:2])]
    table.write(Regions, tables.file(Regions, "00000"), known)
    table.write(Reply, tables.file(Reply, "00000"), replies)
    done: list[int] = []
    context = Context("parse", tmp_path, 0, tmp_path / "none", no_facts, tick=done.append)
    assert STAGE.each is not None
    rows = list(STAGE.each(Settings(), context)(Shard("00000", tables)))
    assert [row.reason if isinstance(row, Reject) else row for row in rows] == [
        Triple("i-0-0", "i-0", "i", "id", "Why [2]?", "A [0].", "R.", (0, 2)),
        "names an unknown region",
    ]
    assert sum(done) == 2
