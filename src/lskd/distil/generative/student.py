"""A student that writes, in a folder: what was trained, and all that is needed to ask it.

```
student.toml        who it is, how its pictures are marked and its texts are worded
writer/             what was trained and the note that loads it over its base (`lskd.writing.note`)
```
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import PIL.Image
import torch

from lskd import marking
from lskd.distil import note
from lskd.distil.ask import Manner, Told
from lskd.distil.generative.prompts import Prompts
from lskd.distil.note import About
from lskd.errors import UserError
from lskd.stage import batches
from lskd.storage import files, mirror
from lskd.training.memory import guarded
from lskd.types import Region
from lskd.writing.coordinates import codec_of
from lskd.writing.decode import undrawn
from lskd.writing.note import opened
from lskd.writing.pointing import Pictured, Pointing
from lskd.writing.writer import Decoding, Line, Sight, Writer, Written

WRITER = "writer"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about one of some pictures, which it names by its place."""

    view: int
    question: str


def write(folder: Path, writer: Writer, about: About) -> None:
    """Write a student's folder; the note comes last, so that where it lies the rest is whole.

    Raises UserError if the disk is full.
    """
    files.remove(folder / note.FILE)
    shutil.rmtree(folder / WRITER, ignore_errors=True)  # of a student that was there before
    writer.save(folder / WRITER)
    mirror.push(folder / WRITER)
    note.write(folder, about)


class GenerativeStudent:
    """Answers questions about a picture with its regions drawn, in its own words, and ranks texts.

    It needs nothing of the run it is from but the base, which its note names.
    """

    def __init__(
        self,
        folder: str | Path,
        device: str | None = None,
        checkpoint: str | None = None,
        texts: int = 16,
    ) -> None:
        """Load a student; `texts` are written at once.

        `device` is torch's name of one, by default the accelerator if there is one; `checkpoint` is
        where the base lies now, if it was moved. Raises UserError for a folder that holds none, or
        whose base is gone.
        """
        folder = Path(folder)
        self.about = note.read(folder)
        self.prompts = Prompts(self.about.text, self.about.whole)
        self.texts = texts
        place = "auto" if device is None else device
        self.writer = opened(folder / WRITER, device=place, checkpoint=checkpoint)
        codec = None if self.about.coordinates is None else codec_of(self.about.coordinates)
        self.pointing = Pointing(self.about.marking, self.writer.canvas, codec)
        self.writer.module.eval()

    def rank(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        choices: Sequence[str],
    ) -> list[float]:
        """Return how likely each choice is as the answer, in [0, 1], in the order of the choices.

        Each is the geometric mean of the probabilities of the choice's tokens. Raises UserError for
        a text that names a region that is not drawn, and for a choice without a token.
        """
        pictured = Pictured(pixels, tuple(regions))
        for text in (question, *choices):
            _check(text, pictured)
        prompt = self.prompts.answer(question)
        lines = [Line(0, prompt, choice) for choice in choices]
        likely = self.likelihoods([pictured], lines)
        for choice, value in zip(choices, likely, strict=True):
            if math.isnan(value):
                raise UserError(f"the student has no token for {choice!r}: word it otherwise")
        return [math.exp(value) for value in likely]

    def answer(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        manner: Manner | None = None,
    ) -> Told:
        """Return an answer to a question, and its rationale; see `answers`."""
        pictured = Pictured(pixels, tuple(regions))
        return self.answers([pictured], [Asked(0, question)], manner)[0]

    def answers(
        self,
        pictured: Sequence[Pictured],
        asked: Sequence[Asked],
        manner: Manner | None = None,
    ) -> list[Told]:
        """Return the answers to questions about some pictures, and their rationales.

        Each picture is looked at once. By default the likeliest words are written, as many as the
        student's note says. Raises UserError for a question that names a region that is not drawn.
        """
        for one in asked:
            _check(one.question, pictured[one.view])
        how = self._decoding(manner or Manner())
        with torch.inference_mode(), guarded("while answers are written", "lower texts"):
            sights = self.look(pictured)
            answers = self._written(
                sights,
                [self._line(pictured, one, self.prompts.answer(one.question)) for one in asked],
                replace(how, stop=self.prompts.after_answer),
            )
            said = [n for n, answer in enumerate(answers) if answer.text.strip()]
            lines = [
                self._line(
                    pictured,
                    asked[n],
                    self.prompts.rationale(asked[n].question, answers[n].text),
                )
                for n in said
            ]
            ends = replace(how, stop=self.prompts.after_rationale)
            rationales = dict(zip(said, self._written(sights, lines, ends), strict=True))
        return [
            _told(answer, rationales.get(n), pictured[asked[n].view])
            for n, answer in enumerate(answers)
        ]

    def likelihoods(self, pictured: Sequence[Pictured], lines: Sequence[Line]) -> list[float]:
        """Return the mean log-probability of a token of each line's target, NaN where it has none.

        A line's view is the place of its picture, which is looked at once; where its regions stand
        is put before its prompt if they are not drawn.
        """
        told = [
            replace(line, prompt=self._pointed(pictured[line.view], line.prompt)) for line in lines
        ]
        with torch.inference_mode(), guarded("while likelihoods are measured", "lower texts"):
            return self.writer.likelihoods(self.look(pictured), told)

    def look(self, pictured: Sequence[Pictured]) -> list[Sight]:
        """Return what the frozen part sees of some pictures, `texts` at a time."""
        seen: list[Sight] = []
        for some in batches(pictured, self.texts):
            seen += self.writer.look([self.pointing.picture(one) for one in some])
        return seen

    def _decoding(self, manner: Manner) -> Decoding:
        tokens = self.about.tokens if manner.tokens is None else manner.tokens
        return Decoding(manner.beams, manner.temperature, manner.top_p, tokens, seed=manner.seed)

    def _line(self, pictured: Sequence[Pictured], asked: Asked, prompt: str) -> Line:
        return Line(asked.view, self._pointed(pictured[asked.view], prompt))

    def _pointed(self, pictured: Pictured, prompt: str) -> str:
        return self.pointing.prompt(prompt, pictured.regions, pictured.pixels.size)

    def _written(
        self, sights: Sequence[Sight], lines: Sequence[Line], decoding: Decoding
    ) -> list[Written]:
        made: list[Written] = []
        for number, some in enumerate(batches(lines, self.texts)):
            # Each batch draws from a seed of its own, or equal lines would be given equal words.
            seeded = replace(decoding, seed=decoding.seed + number * self.texts)
            made += self.writer.write(sights, some, seeded)
        return made


def _told(answer: Written, rationale: Written | None, pictured: Pictured) -> Told:
    said = rationale or Written("", math.nan, "end")
    drawn = {region.id for region in pictured.seen}
    return Told(
        answer=answer.text,
        rationale=said.text,
        confidence=_share(answer),
        rationale_confidence=_share(said),
        undrawn=undrawn(f"{answer.text} {said.text}", drawn),
        unfinished="limit" in (answer.stopped, said.stopped),
    )


def _share(written: Written) -> float | None:
    return None if math.isnan(written.confidence) else math.exp(written.confidence)


def _check(text: str, pictured: Pictured) -> None:
    drawn = {region.id for region in pictured.seen}
    if lacking := [number for number in marking.named(text) if number not in drawn]:
        known = ", ".join(f"[{number}]" for number in sorted(drawn)) or "none"
        raise UserError(f"{text!r} names [{lacking[0]}], but drawn are: {known}")
