"""What a student that writes is given, and after what it writes: two prompts of one wording.

In: the templates of whole texts (`distil.wording`). Out: the text before an answer, the text before
a rationale, and what ends an answer.
"""

from dataclasses import dataclass

from lskd.distil.wording import Wording
from lskd.errors import UserError

ANSWER, RATIONALE = "{answer}", "{rationale}"
MARKS = (":", "?", "]", ">")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a wording: all of a template that stands before its last part.

    `whole` tells that the student learnt whole texts by random prefixes, and so goes on by itself
    from one part to the next. Raises UserError for a template that does not end with the answer,
    or the rationale.
    """

    wording: Wording
    whole: bool = False

    def __post_init__(self) -> None:
        pairs = (
            ("answer_text", self.wording.answer, ANSWER),
            ("rationale_text", self.wording.rationale, RATIONALE),
        )
        for name, template, part in pairs:
            if not template.endswith(part):
                raise UserError(
                    f"{name} = {template!r}: expected it to end with {part}, which is what a "
                    "student writes"
                )

    def answer(self, question: str) -> str:
        """Return what stands before the answer."""
        return self.wording.answer.removesuffix(ANSWER).format(question=question).rstrip()

    def rationale(self, question: str, answer: str) -> str:
        """Return what stands before the rationale."""
        before = self.wording.rationale.removesuffix(RATIONALE)
        return before.format(question=question, answer=answer).rstrip()

    @property
    def after_answer(self) -> tuple[str, ...]:
        """Return what can follow an answer: the words that announce a rationale, or a question."""
        after = self.wording.rationale.partition(ANSWER)[2].removesuffix(RATIONALE)
        return (*self._announced(after), *self.after_rationale)

    @property
    def after_rationale(self) -> tuple[str, ...]:
        """Return what can follow a rationale: the words that announce another question."""
        return self._announced(self.wording.answer)

    def _announced(self, text: str) -> tuple[str, ...]:
        words = text.partition("{")[0].strip()
        # Without a mark they may be the student's own: "because" in the midst of an answer.
        told = len(words) > 1 and words.endswith(MARKS)
        return (words,) if words and (self.whole or told) else ()
