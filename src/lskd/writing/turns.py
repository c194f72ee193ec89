"""Lines become the turns of a conversation, by the chat template that a model brings along.

In: a processor with a template, and lines. Out: rows of token ids of which it is known which are
given and which are learnt. The template itself is asked: what stands between the user's words and
the model's, and what ends the model's turn, is read off a conversation that it rendered.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from lskd.errors import UserError
from lskd.writing.masks import ADVICE, Ids, Row, control_tokens, shared_start
from lskd.writing.writer import Line

WORD = "Xylophone"  # no template has it
# Tokens of places are words of a prompt, not of control (`coordinates`).
PLACE = re.compile(r"<loc_?\d+>")
KEPT = 1 << 14  # texts whose tokens are kept: prompts come again
TAGS = 20  # "[0]" to "[19]", as which a tokenizer is tried


@dataclass(frozen=True, slots=True)
class Opening:
    """All tokens of a row up to the end of the picture; they take the place of `skipped` tokens.

    The latter are those of the same text with one word in place of the picture's tokens.
    """

    ids: Ids
    skipped: int


class Turns:
    """Spells lines as turns for one model, which reads at most `context` tokens."""

    def __init__(self, processor: Any, name: str, context: int, eos: int | None) -> None:
        """Ask the template how a turn of the model begins and ends.

        `eos` is the token that ends a text where the template has none. Raises UserError for a
        model without a template, with one that shows no picture, or whose tokenizer ends a prompt
        with a token of its own.
        """
        self.tokenizer = processor.tokenizer
        # A step's prompts come again in the next ones, and a tokenizer takes its time.
        self.ids = lru_cache(maxsize=KEPT)(self._ids)
        self.name = name
        self.context = context
        self._control = control_tokens(self.tokenizer)
        self._template = _template(processor) or _template(self.tokenizer)
        if self._template is None:
            raise UserError(
                f"{name} has no chat template, so it is not known how it is spoken to; take an "
                "instruction-tuned model, or lskd.writing.blip2 for a BLIP-2"
            )
        asked = self._rendered(WORD, None)
        start = self.tokenizer.bos_token
        # A template may have written the token that begins a text already.
        self.special = not (start and asked.startswith(start))
        self.before, self.blank, self.end = self._parts(asked)
        self.eos = eos
        if not self.end and eos is None:
            raise UserError(f"no token ends what {name} says; use another model")
        self._closes(asked)

    @property
    def last(self) -> int:
        """Return the token that ends a turn."""
        told = self.tokenizer(self.end, add_special_tokens=False)["input_ids"] if self.end else ()
        return int(told[-1] if told else self.eos or 0)

    def text(self, prompt: str) -> str:
        """Return what is given: the user's turn, a picture and a prompt, and the model's begun."""
        return self._rendered(self.plain(prompt).strip(), None) + self.before

    def _ids(self, text: str) -> Ids:
        """Return the tokens of a text from its very beginning."""
        told = self.tokenizer(text, add_special_tokens=self.special)["input_ids"]
        return tuple(told)

    def row(
        self, line: Line, opening: Opening, number: int = 0, new: int = 0, ended: bool = True
    ) -> Row:
        """Return a line as tokens behind the opening of its picture; `new` more have room.

        What ends the model's turn belongs to the target if it is to be `ended`.
        Where it is too long, the prompt loses its first tokens. Raises UserError, naming the line
        by its number, if the target does not fit even so.
        """
        text = self.text(line.prompt)
        given = self.ids(text)
        target = self._target(text, given, line.target, ended)
        over = len(opening.ids) + len(given) - opening.skipped + len(target) + new - self.context
        cut = max(0, over)
        first, last = self._words(given) if cut else (0, 0)
        if cut > last - first:
            wanted = f"its target has {len(target)} tokens" if target else f"{new} are to be new"
            raise UserError(
                f"line {number} ({line.target[:40] or line.prompt[:40]!r}) does not fit: {wanted}, "
                f"picture and template take {len(opening.ids)} and "
                f"{len(given) - opening.skipped - (last - first)}, {self.name} reads "
                f"{self.context}; {ADVICE}"
            )
        after = given[opening.skipped : first] + given[first + cut :]
        return Row(opening.ids, after if cut else given[opening.skipped :], target, cut)

    def plain(self, text: str) -> str:
        """Return text without control tokens, which lose their brackets: "<s>" becomes "s"."""
        if self._control is None:
            return text
        return self._control.sub(
            lambda found: found[0] if PLACE.fullmatch(found[0]) else re.sub(r"\W", "", found[0]),
            text,
        )

    def _target(self, text: str, given: Ids, words: str, ended: bool) -> Ids:
        """Return the tokens of a target behind a given text; () if there is no target."""
        target = self.plain(words).strip()
        if not target:
            return ()
        said = text + self.blank + target
        spoken, whole = self.ids(said), self.ids(said + self.end)
        if whole[: len(spoken)] != spoken:
            raise UserError(f"the tokenizer of {self.name} joins {target[-20:]!r} and {self.end!r}")
        learnt = spoken[len(given) :] if spoken[: len(given)] == given else self._alone(target)
        if not ended:
            return learnt
        return learnt + (whole[len(spoken) :] if self.end else (self.last,))

    def _alone(self, target: str) -> Ids:
        """Return the tokens of a target where one would span its border: so a model is asked."""
        told = self.tokenizer(self.blank + target, add_special_tokens=False)["input_ids"]
        return tuple(told)

    def _words(self, given: Ids) -> tuple[int, int]:
        """Return between which tokens the prompt's own words lie."""
        empty = self.ids(self.text(""))
        first = shared_start(empty, given)
        last = len(given) - min(shared_start(empty[::-1], given[::-1]), len(given) - first)
        return first, last

    def _parts(self, asked: str) -> tuple[str, str, str]:
        """Return what stands before a target, the blank before it, and what ends it.

        What is more than a blank is given, as an empty thought that some templates put there.
        """
        said = self._rendered(WORD, WORD[::-1])
        place = said.rfind(WORD[::-1])
        if place < 0:
            raise UserError(f"the chat template of {self.name} leaves out what the model says")
        behind = said[place + len(WORD) :]
        closing = self._control.search(behind) if self._control else None
        end = behind[: closing.end()] if closing else ""
        if closing and behind[: closing.start()].strip():
            end = ""
        if not said.startswith(asked):  # it words the beginning of a turn in another way
            return "", "" if asked[-1:].isspace() or self._ended(asked) else " ", end
        gap = said[len(asked) : place]
        return ("", gap, end) if not gap.strip() and "\n" not in gap else (gap, "", end)

    def _ended(self, text: str) -> bool:
        """Return whether a text ends with a control token."""
        found = self._control.finditer(text) if self._control else ()
        return any(match.end() == len(text) for match in found)

    def _rendered(self, prompt: str, said: str | None) -> str:
        """Return a conversation as the template words it."""
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if said is not None:
            answer = [{"type": "text", "text": said}]
            messages.append({"role": "assistant", "content": answer})
        try:
            # By the tokenizer: processors that read videos ask for these here, too.
            told: str = self.tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                add_generation_prompt=said is None,
                tokenize=False,
            )
        except (TemplateError, TypeError, KeyError, ValueError) as error:
            line = " ".join(str(error).split())
            raise UserError(
                f"the chat template of {self.name} takes no picture with a text: {line}"
            ) from error
        return told

    def _closes(self, asked: str) -> None:
        """Raise UserError if the tokenizer ends a text by itself."""
        bare = self.tokenizer(asked, add_special_tokens=False)["input_ids"]
        whole = self.ids(asked)
        if self.special and list(whole[len(whole) - len(bare) :]) != list(bare):
            raise UserError(
                f"the tokenizer of {self.name} ends a prompt with a token of its own: nothing can "
                "be written behind it; use another model"
            )


def _template(holder: Any) -> str | None:
    """Return the chat template of a processor or a tokenizer: of several, the usual one."""
    told = getattr(holder, "chat_template", None)
    found = told.get("default") if isinstance(told, dict) else told
    return str(found) if found else None


def odd_tag(tokenizer: Any) -> str | None:
    """Return a warning if a tokenizer reads a tag as "[12]" in odd pieces, None if it does not.

    Odd is a token of both a bracket and a digit: then "[1]" and "[12]" have no token in common
    that means a tag, and an id is learnt for each of its neighbours anew.
    """
    for number in range(TAGS):
        told = tokenizer(f"the cup [{number}] is", add_special_tokens=False)["input_ids"]
        pieces = [tokenizer.decode([token]) for token in told]
        if odd := [one for one in pieces if re.search(r"[\[\]]", one) and re.search(r"\d", one)]:
            return (
                f"the tokenizer reads [{number}] in odd pieces ({odd[0].strip()!r} is one token): "
                "ids of regions are learnt less well; take another model if they are confused"
            )
    return None
