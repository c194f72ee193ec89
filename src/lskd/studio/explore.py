"""The page Explore: the corpus by filters, and an image with everything ever said of it."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lskd.human.store import Store
from lskd.run import Run
from lskd.studio.catalogue import Card, Catalogue, Dropped, Page, Summary, Tile
from lskd.studio.desk import Desk
from lskd.studio.dossier import Dossier, dossier
from lskd.studio.filters import Accepted, Order, Turn, Wanted
from lskd.studio.pages import page
from lskd.studio.serving import ImageId
from lskd.types import Style

LARGEST_NUMBER = 2**53  # beyond which a browser's numbers are not exact

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=1000)]


class Paging(BaseModel):
    """Which page: `size` rows after the row numbered `after`."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=200)] = ""
    size: Annotated[int, Field(ge=1, le=60)] = 24
    after: Annotated[int, Field(ge=0, le=LARGEST_NUMBER)] | None = None


class ForRejects(Paging):
    """Filters of rejects."""

    stage: Annotated[str, Field(max_length=40)] | None = None
    reason: Annotated[str, Field(max_length=2000)] | None = None


class ForTriples(Paging):
    """Filters of triples; `score` is that of the row `after`, where `order` is by score."""

    accepted: Accepted | None = None
    low: Share | None = None
    high: Share | None = None
    style: Style | None = None
    fewest: Count | None = None
    most: Count | None = None
    order: Order = "corpus"
    score: Annotated[float, Field(ge=-1, le=1)] | None = None


class ForImages(Paging):
    """Filters of images: those of their triples, of their rejects, and their own."""

    accepted: Accepted | None = None
    low: Share | None = None
    high: Share | None = None
    style: Style | None = None
    fewest: Count | None = None
    most: Count | None = None
    stage: Annotated[str, Field(max_length=40)] | None = None
    reason: Annotated[str, Field(max_length=2000)] | None = None


def router(desk: Desk) -> APIRouter:
    """Return the page and its data; nothing of it where the studio has no run."""
    pages = APIRouter()
    run = desk.run

    @pages.get("/explore", include_in_schema=False)
    def explore(request: Request) -> Response:
        return page(request, "explore.html", run=None if run is None else run.name)

    if run is not None and desk.catalogue is not None:
        _add_lists(pages, desk.catalogue)
        _add_image(pages, run, desk.catalogue, desk.store)
    return pages


def _add_lists(pages: APIRouter, catalogue: Catalogue) -> None:
    @pages.get("/api/explore/summary")
    def summary() -> Summary:
        """Return what there is to choose from."""
        return catalogue.summary()

    @pages.get("/api/explore/images")
    def images(asked: Annotated[ForImages, Query()]) -> Page[Tile]:
        """Return a page of images."""
        return catalogue.images(_wanted(asked), Turn(asked.size, asked.after))

    @pages.get("/api/explore/triples")
    def triples(asked: Annotated[ForTriples, Query()]) -> Page[Card]:
        """Return a page of triples."""
        turn = Turn(asked.size, asked.after, asked.score, asked.order)
        return catalogue.triples(_wanted(asked), turn)

    @pages.get("/api/explore/rejects")
    def rejects(asked: Annotated[ForRejects, Query()]) -> Page[Dropped]:
        """Return a page of rejects."""
        return catalogue.rejects(_wanted(asked), Turn(asked.size, asked.after))


def _add_image(pages: APIRouter, run: Run, catalogue: Catalogue, store: Store) -> None:
    @pages.get("/explore/{image_id}", include_in_schema=False)
    def image_page(request: Request, image_id: ImageId) -> Response:
        if catalogue.image(image_id) is None:
            raise HTTPException(404, f"no image {image_id} in this run")
        return page(request, "image.html", image_id=image_id)

    @pages.get("/api/explore/image/{image_id}")
    def image(image_id: ImageId) -> Dossier:
        """Return everything that the run has about an image."""
        found = dossier(run, catalogue, image_id, store)
        if found is None:
            raise HTTPException(404, f"no image {image_id} in this run")
        return found


def _wanted(asked: Paging) -> Wanted:
    turn = {"size", "after", "order", "score"}
    return Wanted(**asked.model_dump(exclude=turn))
