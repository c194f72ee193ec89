"""The words of the lab, as a BERT vocabulary: one token each."""

import re
from pathlib import Path

from lskd import table
from lskd.lab.knowledge import QUESTIONS, knowledge
from lskd.lab.pretrain.frames import NAMES
from lskd.lab.scene import COLOURS, FURS, KINDS, PEOPLE
from lskd.lab.words import THIRDS

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# What the lab's sentences, a student's templates and the benchmarks' own wording are made of.
FRAME = """
[ ] ( ) . , : ? ' ; - / a an the in on at with and or who that nobody somebody uses by itself coat
holds gives takes rides sits points stands walks is are there it this of to for what which where
does do image describe picture answer question rationale yes no contradiction neutral entailment
place left right middle side shown seen person people thing everybody needed wanted will most likely
personx not only how many one two three four five six colour wears standing be been here came comes
next before why frame drawn
"""


def words() -> list[str]:
    """Return all words of the lab, each once, in a fixed order."""
    known = knowledge()
    phrases = [text for row in known.rows.values() for text in row.values()]
    texts = [
        FRAME,
        *QUESTIONS.values(),
        *phrases,
        *(place.where for place in known.places.values()),
        *known.places,
        *THIRDS,
        *PEOPLE,
        *COLOURS,
        *FURS,
        *KINDS,
        *NAMES,
    ]
    pieces = (piece for text in texts for piece in re.findall(r"[a-z]+|[^\sa-z{}]", text.lower()))
    return sorted({*pieces, *(str(number) for number in range(24))})


def write(file: Path) -> None:
    """Write the vocabulary, a token a line."""
    with table.draft(file) as unfinished:
        unfinished.write_text("\n".join([*SPECIAL, *words()]) + "\n", encoding="utf-8")
