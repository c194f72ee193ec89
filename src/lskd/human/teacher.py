"""An example becomes the teacher's answer to its own question, as files of answers have it."""

from lskd.export.names import Name, cut
from lskd.human.answers import Answer
from lskd.types import Example

TEACHER = "teacher"


def answer_of(example: Example) -> Answer:
    """Return what the teacher answers to the question of an example, which is named by its id.

    Where texts name a region by a phrase, "[the woman]", its number is put beside it, "the woman
    [2]".
    """
    return Answer(
        question_id=example.id,
        image=example.image_id,
        width=example.width,
        height=example.height,
        regions=example.regions,
        question=_numbered(example, example.question),
        system=TEACHER,
        answer=_numbered(example, example.answer),
        rationale=_numbered(example, example.rationale),
        source=f"triple {example.id}",
    )


def _numbered(example: Example, text: str) -> str:
    if example.style == "id":
        return text
    return "".join(
        piece.text
        if isinstance(piece, Name) and not piece.phrase
        else f"{piece.phrase} [{piece.region_ids[0]}]"
        if isinstance(piece, Name)
        else piece
        for piece in cut(text, example.mentions)
    )
