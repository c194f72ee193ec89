"""LLaVA-Instruct: conversations about whole pictures that a language model wrote.

Each question of a person with the answer that follows becomes an example without regions and
without a rationale. Its style is "description", so that a number in brackets stays a number: these
texts name no region, and boxes in them are shares of the picture's sides.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from lskd.corpora.source import Source, beside, blank, one_line, read, split_of
from lskd.evaluate.pictures import Pictures
from lskd.evaluate.rows import Row, Wrong, mapping, several, text
from lskd.types import Example, Reject

NAME = "llava"
MARK = "<image>"
ASKS, ANSWERS = "human", "gpt"


def examples(source: Source) -> Iterator[Example | Reject]:
    """Yield an example for each turn of the conversations of llava_instruct_150k.json.

    Images are named from one of the folders, with `source.prefix` before their file's name. Rows of
    "instruction" and "output" in place of a conversation are read as one turn. Raises UserError if
    the file cannot be read.
    """
    split = split_of(source)
    pictures = Pictures(*source.roots)

    def made(row_name: str, row: Row) -> Iterator[Example | Reject]:
        if not row.fields.get("image"):
            raise Wrong("it has no image")
        inner = PurePosixPath(text(row.fields, "image"))
        image = pictures.find((str(inner.parent / (source.prefix + inner.name)),))
        own = row.fields.get("id")
        for number, (asked, answered) in enumerate(_turns(row)):
            try:
                yield replace(
                    blank(f"{row_name}-{number}", image, NAME, split),
                    question=_question(asked),
                    answer=one_line(answered, "an answer"),
                    extra=beside(id=own, turn=number, type=row.fields.get("type")),
                )
            except Wrong as error:
                yield Reject(f"{row.source} turn {number}", str(error), row.text)

    return read(source, made)


def _turns(row: Row) -> Iterator[tuple[object, object]]:
    """Yield questions with their answers; raises Wrong if they do not take turns."""
    if "conversations" not in row.fields and "instruction" in row.fields:
        yield row.fields["instruction"], row.fields.get("output")
        return
    said = [mapping(each, "a turn") for each in several(row.fields, "conversations")]
    speakers = [each.get("from") for each in said]
    if not said or speakers != [ASKS, ANSWERS] * (len(said) // 2):
        told = ", ".join(map(str, speakers)) or "nobody"
        raise Wrong(f"{ASKS} and {ANSWERS} do not take turns, speakers are: {told}"[:200])
    for asked, answered in zip(said[::2], said[1::2], strict=True):
        yield asked.get("value"), answered.get("value")


def _question(value: object) -> str:
    """Return a question without the mark that stands for the picture, at its start or its end."""
    said = one_line(value, "a question")
    return one_line(said.removeprefix(MARK).removesuffix(MARK), f"a question beside {MARK}")
