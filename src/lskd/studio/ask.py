"""The Ask page: a picture, regions and a question come in; what each student says goes out.

Pictures are the run's own, by id, or uploads, which stay in memory. Nothing asked is kept.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import PIL.Image
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from lskd import marking
from lskd.distil.ask import Told
from lskd.errors import UserError
from lskd.lab import scope
from lskd.studio import security
from lskd.studio.desk import Desk
from lskd.studio.pages import page
from lskd.studio.prompts import REGIONS, Prompt, Teller
from lskd.studio.serving import ImageId, Upload
from lskd.studio.students import Busy, Enrolled, Ranked, check_words
from lskd.types import Box, Region

MOST_CHOICES, LONGEST = 24, 400  # texts, and characters of each
CARD = 1600  # pixels of a marked picture's longer side
SAME = 0.01  # pixels between corners that a link has rounded
FURTHEST = 1e6  # no corner lies beyond; keeps arithmetic with what strangers send finite

Id = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
Words = Annotated[str, StringConstraints(max_length=LONGEST)]
Corner = Annotated[float, Field(ge=-FURTHEST, le=FURTHEST, allow_inf_nan=False)]


class Question(BaseModel):
    """A question about boxes of a picture, in pixels of the upright original; the first is [0]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_id: Id
    boxes: Annotated[tuple[tuple[Corner, Corner, Corner, Corner], ...], Field(max_length=REGIONS)]
    question: Words
    choices: Annotated[tuple[Words, ...], Field(max_length=MOST_CHOICES)]


class Asked(Question):
    """A question to one student, by name."""

    student: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Reply(BaseModel):
    """A student's choices, the best match first, its own answer if it writes, and what it saw.

    `view` is the address of a JPEG; `outside` says why the answer means nothing, if it does.
    """

    ranked: tuple[Ranked, ...]
    wrote: Told | None
    view: str | None
    outside: str | None


class Marked(BaseModel):
    """A picture with its regions drawn, as the address of a JPEG."""

    picture: str


class Named(BaseModel):
    """An image of the run, or an upload, and what the run says of it."""

    id: str
    kept: bool
    width: int
    height: int
    regions: tuple[Region, ...]
    prompts: tuple[Prompt, ...]


def router(desk: Desk) -> APIRouter:
    """Return the page and what it asks of the studio; for the owner only."""
    pages = APIRouter(dependencies=[Depends(security.owner)])
    teller = Teller(desk.run, desk.catalogue)

    @pages.get("/ask", include_in_schema=False)
    def shown(request: Request) -> Response:
        return page(
            request,
            "ask.html",
            students=desk.students,
            writing=any(student.may_write for student in desk.students),
            has_images=desk.run is not None,
            limit=f"{desk.safety.upload // 1_000_000} MB",
            longest=LONGEST,
        )

    @pages.get("/api/ask/images/{image_id}")
    def named(image_id: ImageId) -> Named:
        """Return an image's size, its regions, and questions to begin with."""
        return _named(desk, teller, image_id)

    @pages.post("/api/ask/upload")
    async def uploaded(request: Request) -> Upload:
        """Keep a picture in memory."""
        return await run_in_threadpool(desk.photographs.take, await request.body())

    @pages.post("/api/ask/marked")
    def marked(asked: Question) -> Marked:
        """Return the picture with its regions drawn, if the question can be asked at all."""
        may_write = any(student.may_write for student in desk.students)
        pixels, regions = _posed(desk, teller, asked, may_write)
        return Marked(picture=_address(_marked(pixels, regions)))

    @pages.post("/api/ask/answer")
    def answered(asked: Asked) -> Reply:
        """Return what a student says of each choice, and its own answer if it writes."""
        known = desk.examiner.students.get(asked.student)
        may_write = known is not None and known.may_write
        pixels, regions = _posed(desk, teller, asked, may_write)
        try:
            answer = desk.examiner.ask(
                asked.student, pixels, regions, asked.question, asked.choices
            )
        except Busy as error:
            raise HTTPException(503, str(error)) from error
        view = None if answer.view is None else _address(answer.view)
        return Reply(
            ranked=answer.ranked,
            wrote=answer.wrote,
            view=view,
            outside=_outside(desk, desk.examiner.students[asked.student], asked.image_id),
        )

    return pages


def _named(desk: Desk, teller: Teller, image_id: str) -> Named:
    image = desk.photographs.find(image_id)
    width, height = (image.width, image.height) if image else _pixels(desk, image_id).size
    regions = teller.regions(image_id)
    return Named(
        id=image_id,
        kept=image is not None,
        width=width,
        height=height,
        regions=regions,
        prompts=teller.prompts(image_id, len(regions)),
    )


def _outside(desk: Desk, student: Enrolled, image_id: str) -> str | None:
    """Return why a student of the lab says nothing of a picture, or None."""
    image = desk.photographs.find(image_id)
    return scope.outside(student.about.base, None if image is None else Path(image.path))


def _pixels(desk: Desk, image_id: str) -> PIL.Image.Image:
    pixels = desk.photographs.pixels(image_id)
    if pixels is None:
        raise HTTPException(404, "this picture is not here (any more): load it again")
    return pixels


def _posed(
    desk: Desk, teller: Teller, asked: Question, may_write: bool
) -> tuple[PIL.Image.Image, list[Region]]:
    """Return pixels and regions of a question; raises UserError if it cannot be asked."""
    check_words(len(asked.boxes), asked.question, asked.choices, may_write)
    pixels = _pixels(desk, asked.image_id)
    known = teller.regions(asked.image_id)
    regions = [_region(number, Box(*box), known) for number, box in enumerate(asked.boxes)]
    for region in regions:
        if not marking.visible(region, pixels.size):
            raise UserError(
                f"region [{region.id}] covers no part of the picture, which has {pixels.width} x "
                f"{pixels.height} pixels: draw it anew"
            )
    return pixels, regions


def _region(number: int, box: Box, known: Sequence[Region]) -> Region:
    """Return a region as drawn; one that is the run's own keeps its outline, as in training."""
    for own in known:
        if all(abs(one - other) <= SAME for one, other in zip(box, own.box, strict=True)):
            return replace(own, id=number)
    return Region(number, box, label="", description="", score=1.0)


def _marked(pixels: PIL.Image.Image, regions: Sequence[Region]) -> PIL.Image.Image:
    """Return a picture to share; it is sized before it is marked, so that marks stay sharp."""
    scale = CARD / max(pixels.size)
    size = (max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale)))
    sized = pixels.resize(size, PIL.Image.Resampling.LANCZOS)
    scaled = [marking.resized(region, pixels.size, size) for region in regions]
    return marking.mark(sized, scaled, "clear")


def _address(view: PIL.Image.Image) -> str:
    data = io.BytesIO()
    view.save(data, "JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
