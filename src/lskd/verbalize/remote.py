"""A vision-language model behind the OpenAI protocol describes images and regions and answers.

In: pictures. Out: texts. Each image travels as JPEG in one call of its own, through the client,
journal and budget of `lskd.chat`; a call that fails for good, or brings nothing but thoughts,
leaves an empty text and a warning.
"""

import io
import logging
from collections.abc import Sequence
from typing import ClassVar

import PIL.Image

from lskd.chat.endpoint import WITHOUT_EFFECT, with_endpoint_keys
from lskd.chat.journal import Journal
from lskd.chat.ledger import Ledger
from lskd.chat.teacher import ChatTeacher
from lskd.errors import UserError
from lskd.marking import MarkStyle, boxed, mark, resized
from lskd.picture import Picture, scaled
from lskd.prompt import filled, prompt_file
from lskd.protocols import Conversation
from lskd.types import Region, Reply
from lskd.verbalize.replies import one_line, whole_sentences

JPEG_QUALITY = 90
PACKAGE = "lskd.verbalize"

log = logging.getLogger("lskd")


@with_endpoint_keys
class RemoteVision:
    """A Narrator, a Captioner and an Answerer that is asked over HTTP.

    Its settings are those of `lskd.chat.endpoint.Endpoint` and these. `longest_side`: larger
    pictures are scaled down to it, in pixels. `*_tokens`: the most that one text may have.
    `*_prompt`: a prompt of ours or the path of a text file (with $question in that of the answer).
    `style`: how the box of a region is drawn (`lskd.marking`). Raises UserError for a setting that
    cannot be used.
    """

    without_effect: ClassVar = WITHOUT_EFFECT

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        journal: Journal | Ledger,
        *,
        longest_side: int = 1024,
        narrative_tokens: int = 200,
        region_tokens: int = 40,
        answer_tokens: int = 30,
        narrative_prompt: str = "vlm_narrative",
        region_prompt: str = "vlm_region",
        answer_prompt: str = "vlm_answer",
        style: MarkStyle = "clear",
        **settings: object,
    ) -> None:
        if min(longest_side, narrative_tokens, region_tokens, answer_tokens) < 1:
            raise UserError("longest_side and *_tokens must be 1 or more")
        if style not in ("release", "clear"):
            raise UserError(f"style = {style!r}: known are release and clear")
        self._longest_side = longest_side
        self._tokens = (narrative_tokens, region_tokens, answer_tokens)
        self._system = filled(prompt_file(PACKAGE, "remote_system"))
        self._narrative = (self._system, filled(prompt_file(PACKAGE, narrative_prompt)))
        self._region = (self._system, filled(prompt_file(PACKAGE, region_prompt)))
        self._answer = prompt_file(PACKAGE, answer_prompt)
        filled(self._answer, question="")  # a mistake in it is told now
        self._style: MarkStyle = style
        self._model = ChatTeacher(journal, **settings)

    def close(self) -> None:
        """Close the connections; also done when the model is no longer used."""
        self._model.close()

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return at most `samples` different descriptions of each image, sampled at `temperature`.

        One that was cut ends with its last whole sentence. At temperature 0 there is one.
        """
        count = samples if temperature > 0 else 1
        tokens = self._tokens[0]
        talks: list[Conversation] = []
        for picture in pictures:
            shown = self._jpeg(picture)
            for sample in range(count):
                what = f"narrative-{sample}"
                talks.append(talk(picture, what, self._narrative, shown, tokens, temperature))
        told = [
            whole_sentences(one_line(reply.text))
            if reply.finish == "length"
            else one_line(reply.text)
            for reply in self._replies(talks)
        ]
        groups = (told[start : start + count] for start in range(0, len(told), count))
        return [tuple(dict.fromkeys(filter(None, group))) for group in groups]

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each region, from the image with that one box drawn (section 2.1)."""
        talks = [
            talk(
                picture,
                f"region-{region.id}",
                self._region,
                self._jpeg(picture, region),
                self._tokens[1],
            )
            for picture, own in zip(pictures, regions, strict=True)
            for region in own
        ]
        phrases = (one_line(reply.text).rstrip(". ") for reply in self._replies(talks))
        return [tuple(next(phrases) for _ in own) for own in regions]

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        """Return the answer to questions[i] about pictures[i]; "" if the model said nothing."""
        by_id = {picture.image.id: picture for picture in pictures}
        shown = {name: self._jpeg(picture) for name, picture in by_id.items()}
        talks = [
            talk(
                picture,
                "answer",
                (self._system, filled(self._answer, question=question)),
                shown[picture.image.id],
                self._tokens[2],
            )
            for picture, question in zip(pictures, questions, strict=True)
        ]
        return [one_line(reply.text) for reply in self._replies(talks)]

    def _replies(self, talks: Sequence[Conversation]) -> list[Reply]:
        """Return the one reply of each conversation, and warn of those that brought no text."""
        replies = [reply for (reply,) in self._model.converse(talks)]
        failed = [reply for reply in replies if not one_line(reply.text)]
        if failed:
            log.warning(
                "%d of %d calls to %s brought no text; the first: %s: %s",
                len(failed),
                len(talks),
                self._model.endpoint,
                failed[0].id,
                failed[0].error or f"nothing but blanks or thoughts (finish {failed[0].finish!r})",
            )
        return replies

    def _jpeg(self, picture: Picture, region: Region | None = None) -> bytes:
        """Return an image as it is sent: scaled down, then marked with a region, if any."""
        size = scaled(picture.pixels.size, self._longest_side)
        pixels = picture.pixels.resize(size, PIL.Image.Resampling.LANCZOS)
        if region is not None:
            placed = resized(boxed(region), picture.pixels.size, size)
            pixels = mark(pixels, [placed], self._style)
        data = io.BytesIO()
        pixels.save(data, "JPEG", quality=JPEG_QUALITY)
        return data.getvalue()


def talk(
    picture: Picture,
    what: str,
    prompts: tuple[str, str],
    shown: bytes,
    tokens: int,
    temperature: float = 0.0,
) -> Conversation:
    """Return a conversation of one turn about a shown picture, from a system and a user prompt."""
    return Conversation(
        id=f"{picture.image.id}-{what}",
        image_id=picture.image.id,
        style="id",
        system=prompts[0],
        turns=(prompts[1],),
        temperature=temperature,
        reply_tokens=tokens,
        picture=shown,
    )
