"""What a student that writes is given, and after what it writes: two prompts of one wording.

In: the templates of whole texts (`distil.wording`). Out: the text before an answer, the text before
a rationale, and what ends an answer.
"""

from dataclasses import dataclass

from lskd.distil.wording import Wording
from lskd.errors import UserError

ANSWER, RATIONALE = "{answer}", "{rationale}"


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a wording: all of a template that stands before its last part.

    Raises UserError for a template that does not end with the answer, or the rationale.
    """

    wording: Wording

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
        """Return what can follow an answer: the words that announce a rationale, or a question.

        A student that has learnt whole texts by random prefixes goes on with them by itself.
        """
        after = self.wording.rationale.partition(ANSWER)[2].removesuffix(RATIONALE)
        announced = after.partition("{")[0].strip()
        return (*((announced,) if announced else ()), *self.after_rationale)

    @property
    def after_rationale(self) -> tuple[str, ...]:
        """Return what can follow a rationale: the words that announce another question."""
        announced = self.wording.answer.partition("{")[0].strip()
        return (announced,) if announced else ()
