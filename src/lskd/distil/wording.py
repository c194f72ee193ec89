"""How a question, its answer and its rationale are joined to the one text that a student reads."""

from dataclasses import dataclass
from string import Formatter

from lskd.errors import UserError


@dataclass(frozen=True, slots=True)
class Wording:
    """Templates of the text without and with a rationale; the defaults are the release's.

    Raises UserError for a template that does not name each of its parts once.
    """

    answer: str = "question: {question} answer: {answer}"
    rationale: str = "question: {question} answer: {answer} rationale: {rationale}"

    def __post_init__(self) -> None:
        _check("answer_text", self.answer, ["answer", "question"])
        _check("rationale_text", self.rationale, ["answer", "question", "rationale"])

    def text(self, question: str, answer: str, rationale: str | None = None) -> str:
        """Return the text; a rationale that is None or blank, as some corpora have, is left out."""
        if rationale is None or not rationale.strip():
            return self.answer.format(question=question, answer=answer)
        return self.rationale.format(question=question, answer=answer, rationale=rationale)


def _check(name: str, template: str, wanted: list[str]) -> None:
    try:
        found = sorted(field for _, field, _, _ in Formatter().parse(template) if field is not None)
    except ValueError as error:
        raise UserError(f"{name} = {template!r}: {error}") from error
    if found != wanted:
        raise UserError(
            f"{name} = {template!r}: expected each of "
            f"{', '.join('{' + part + '}' for part in wanted)} once, and nothing else in braces"
        )
