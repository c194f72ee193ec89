"""Prompts and targets become tokens, each known to be given or to be learnt.

In: lines, and how a family words what stands about the picture. Out: rows of token ids, cut where
they are too long, and the numbers that are read off logits at the places of targets alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lskd.errors import UserError
from lskd.writing.writer import Line

Ids = tuple[int, ...]

IGNORED = -100  # what torch's cross-entropy leaves out
ADVICE = "shorten the text, or take a model of a longer context"


@dataclass(frozen=True, slots=True)
class Layout:
    """The words that a family has beside those of a line.

    A text is `before`, the picture, `head`, the prompt, `tail`, the target, `end`. Where `end` is
    "" the model's own token ends a text.
    """

    before: str = ""
    head: str = ""
    tail: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line as token ids: `before` the picture and `after` it are given, `target` is learnt.

    The prompt lost its first `cut` tokens.
    """

    before: Ids
    after: Ids
    target: Ids
    cut: int

    def labels(self, picture: int) -> Ids:
        """Return what each token is learnt as, the picture taking `picture` places."""
        given = len(self.before) + picture + len(self.after)
        return (*([IGNORED] * given), *self.target)


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens a model reads: `context`, of which the picture takes `picture`."""

    context: int
    picture: int


class Speller:
    """Spells lines for one model; `encodes` says that an encoder reads all but the target."""

    def __init__(self, tokenizer: Any, layout: Layout, room: Room, eos: int, encodes: bool) -> None:
        """Learn how the tokenizer begins texts; `eos` is the token by which the model ends one.

        Raises UserError for a tokenizer that ends a prompt with a token of its own, behind which a
        decoder has nothing to say, or one whose own tokens cannot be told from the text's.
        """
        self.tokenizer = tokenizer
        self.layout = layout
        self.room = room
        self.encodes = encodes
        self._control = control_tokens(tokenizer)
        bare, whole = self._ids("a"), tuple(tokenizer("a")["input_ids"])
        starts = range(len(whole) if bare else 0)
        places = (n for n in starts if whole[n : n + len(bare)] == bare)
        if (place := next(places, None)) is None:
            raise UserError(
                f"the tokenizer of {tokenizer.name_or_path} spells a text otherwise where it adds "
                "tokens of control; use another model"
            )
        self.begin, self.close = whole[:place], whole[place + len(bare) :]
        if self.close and not encodes:
            raise UserError(
                f"the tokenizer of {tokenizer.name_or_path} ends a prompt with a token of its own: "
                "nothing can be written behind it; use another model"
            )
        self.eos = eos

    def row(self, line: Line, number: int = 0, new: int = 0, ended: bool = True) -> Row:
        """Return a line as tokens; `new` more are left room for.

        The tokens that end the text belong to its target if it is to be `ended`. Where it is too
        long, the prompt loses its first tokens. Raises UserError, naming the line by its number, if
        the target does not fit even so.
        """
        before, after, first, last = self._given(line.prompt)
        target = self._target(line, ended)
        rest = 0 if self.encodes else len(target) + new
        over = len(before) + self.room.picture + len(after) + rest - self.room.context
        most = last - first
        if over > most or (self.encodes and len(target) + new > self.room.context):
            wanted = f"its target has {len(target)} tokens" if target else f"{new} are to be new"
            raise UserError(
                f"line {number} ({line.target[:40] or line.prompt[:40]!r}) does not fit: {wanted}, "
                f"the picture takes {self.room.picture}, the model reads {self.room.context}; "
                f"{ADVICE}"
            )
        cut = max(0, over)
        return Row(before, after[:first] + after[first + cut :], target, cut)

    def _given(self, prompt: str) -> tuple[Ids, Ids, int, int]:
        """Return the tokens before and after the picture, and where in the latter the prompt's lie.

        The last two numbers are the places of its first token and of the one behind its last.
        """
        layout = self.layout
        # As transformers' processor has it: where nothing precedes the picture, it comes before the
        # token that begins a text.
        before = self.begin + self._ids(layout.before) if layout.before else ()
        begin = () if layout.before else self.begin
        words = self.plain(prompt).rstrip(" ")
        whole = self._ids(layout.head + words + layout.tail)
        first = shared_start(self._ids(layout.head), whole)
        last = len(whole) - shared_start(self._ids(layout.tail)[::-1], whole[::-1])
        after = begin + whole + self.close
        return before, after, len(begin) + first, len(begin) + max(first, last)

    def _target(self, line: Line, ended: bool) -> Ids:
        """Return the tokens of a target, with its end or without; () if there is no target."""
        text = self.plain(line.target).strip()
        if not text:
            return ()
        end = () if self.layout.end or not ended else (self.eos,)
        text += self.layout.end if ended else ""
        if self.encodes:
            return self._ids(text) + end
        given = self.layout.head + self.plain(line.prompt).rstrip(" ") + self.layout.tail
        return self._behind(given, text) + end

    def _behind(self, given: str, text: str) -> Ids:
        """Return the tokens of a text behind a given one, a blank between them.

        The tokens of the given text are as they are without it: so a model is asked with them.
        """
        if not given or given.endswith("\n"):
            return self._ids(text)
        prompt, whole = self._ids(given), self._ids(f"{given} {text}")
        if whole[: len(prompt)] == prompt:
            return whole[len(prompt) :]
        # A token spans the border. Some tokenizers write the blank by themselves.
        alone = self._ids(text)
        read = self.tokenizer.decode(whole)
        return alone if self.tokenizer.decode(prompt + alone) == read else self._ids(f" {text}")

    def plain(self, text: str) -> str:
        """Return text without control tokens, which lose their brackets: "<s>" becomes "s"."""
        if self._control is None:
            return text
        return self._control.sub(lambda found: re.sub(r"\W", "", found[0]), text)

    def _ids(self, text: str) -> Ids:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def control_tokens(tokenizer: Any) -> re.Pattern[str] | None:
    """Return what matches the texts that a tokenizer reads as one token of control."""
    added = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    marks = sorted((one for one in added if one.strip() and not one.isalnum()), key=len)
    return re.compile("|".join(map(re.escape, reversed(marks)))) if marks else None


def check_learnt(rows: Sequence[Row]) -> None:
    """Raise UserError, naming a line by its number, if nothing is to be learnt from it."""
    for number, row in enumerate(rows):
        if not row.target:
            raise UserError(f"line {number} has no target, so nothing is to be learnt from it")


def check_asked(lines: Sequence[Line]) -> None:
    """Raise UserError, naming a line by its number, if nothing is to be written for it."""
    for number, line in enumerate(lines):
        if line.target:
            raise UserError(f"line {number} has a target, so nothing is to be written for it")


def padded(
    rows: Sequence[Sequence[int]], pad: int, left: bool = False, longest: int | None = None
) -> Tensor:
    """Return rows of numbers as one tensor, (rows, longest), int64."""
    width = max(map(len, rows)) if longest is None else longest
    filled = ([pad] * (width - len(row)) for row in rows)
    both = zip(rows, filled, strict=True)
    whole = [[*fill, *row] if left else [*row, *fill] for row, fill in both]
    return torch.tensor(whole, dtype=torch.int64)


def summed(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the negative log-likelihood of labels, a sum in float32, and how many count.

    `logits` is (rows, tokens, vocabulary), `labels` (rows, tokens), with `IGNORED` where none
    counts; a label stands where its own logits do.
    """
    told = functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return told, (labels != IGNORED).sum()


def means(logits: Tensor, labels: Tensor) -> list[float]:
    """Return the mean log-probability of each row's labels, NaN where it has none.

    Shapes are those of `summed`.
    """
    counts = labels != IGNORED
    places = labels.where(counts, torch.zeros_like(labels))
    each = logits.float().log_softmax(dim=-1).gather(2, places[:, :, None])[:, :, 0]
    told = each.where(counts, torch.zeros_like(each)).sum(dim=1) / counts.sum(dim=1)
    values: list[float] = told.tolist()
    return values


def shared_start(one: Ids, other: Ids) -> int:
    """Return how many tokens two texts begin alike."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
