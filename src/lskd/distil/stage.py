"""Stage `distil`: a student is trained on the examples of a run (section 2.4).

Its result is a folder, `out/<run>/distil/student/`, that is all a student needs. Beside it lie
`training/<fingerprint>/`, from which a killed training goes on, with the losses, and `features/`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from lskd.blip2.given import files_of, missing
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.presence import absent
from lskd.protocols import Critic
from lskd.resources import TrainingSpread
from lskd.stage import WITHOUT_EFFECT, Context, Model, Names, Parts, Stage
from lskd.table import Tables
from lskd.training.settings import Cached, Share
from lskd.types import Example, Reject, Student


class Settings(Cached):
    """What is trained, on what, and how.

    The base: `weights` is a LAVIS `.pth` file or a Hugging Face folder, `frozen` the file that has
    the vision tower if that one has not, `size` "vit_g", "vit_l" or a folder with a `config.json`
    (default: the folder `weights`, or vit_g), `image` the side of pictures in pixels, `vocabulary`
    BERT's `vocab.txt` or a folder that has it (default: the folder `weights`), and `fresh` the
    parts that may be absent.

    The rows: examples of `split`; `rationales` is the share of texts with a rationale, `further`
    the most regions that are drawn beside those named (default: all), `described` what examples by
    phrase are shown with. `views` fixed views of each example are seen once by the frozen tower and
    kept, or each view is "fresh".

    Beyond the paper: a share `swaps` of rows has its text held against its view with the ids
    swapped, in up to `swap_texts` ways. If there is a `swap_critic`, it looks at `swap_candidates`
    of these for each example beforehand, with and without the rationale; a share `swap_checked` of
    the swaps is then of those that it gives less than `swap_threshold`, as they are said. A share
    `misnamed` of rows has its text also held against its view with one region called by a number
    that is not drawn: from that a student learns soonest what a number is. A share `rehearsed` of
    all rows is of the file `rehearsal`: texts about whole pictures, so that the student does not
    forget what its base could (`lskd.distil.rehearsal` tells its form). To the same end its weights
    may go a share `base_share` of the way back to those of the base (`lskd.distil.interpolation`).
    `loss_weights` are those of ITC, ITM and ITG. A `control` learns the same texts without the
    pointing: its regions are not drawn, or texts name them by each other's numbers.

    The rest is as in `lskd.training.settings.Cached`, `lskd.resources.Resources` and
    `lskd.blip2.objectives.StudentObjective`.
    """

    weights: str
    frozen: str | None = None
    size: str | None = None
    image: PositiveInt = 480  # section 3
    vocabulary: str | None = None
    fresh: Names = ()
    attention: Literal["sdpa", "eager"] = "sdpa"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # as BERT's

    split: str = "train"
    answer_text: str = Wording().answer
    rationale_text: str = Wording().rationale
    tokens: PositiveInt = 128  # section 3
    rationales: Share = 0.5
    further: NonNegativeInt | None = None
    described: Literal["plain", "drawn"] = "plain"
    views: PositiveInt | Literal["fresh"] = "fresh"
    workers: Annotated[PositiveInt, WITHOUT_EFFECT] = 8

    swaps: Share = 0.0
    swap_texts: PositiveInt = 1
    swap_critic: Annotated[Model | None, Critic] = None
    swap_candidates: PositiveInt = 4
    swap_checked: Share = 1.0
    swap_threshold: Share = 0.5
    misnamed: Share = 0.0
    rehearsal: str | None = None
    rehearsed: Annotated[float, Field(ge=0, lt=1)] = 0.25
    base_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    control: Literal["none", "undrawn", "shuffled"] = "none"

    kin: Literal["apart", "shared", "release"] = "apart"
    hard_negatives: bool = True  # section 2.4, as BLIP-2
    gathered_gradient: bool = True
    loss_weights: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (1.0, 1.0, 1.0)
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1  # LAVIS
    train_vision: bool = False
    train_ln_vision: bool = True  # as LAVIS' freeze_vit leaves it

    steps: PositiveInt = 10_000  # section 3
    batch: PositiveInt = 256  # section 3
    recompute: Annotated[bool, WITHOUT_EFFECT] = False
    resources: TrainingSpread = None

    @property
    def wording(self) -> Wording:
        """Return the templates of the texts."""
        return Wording(self.answer_text, self.rationale_text)

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Refuse settings that contradict each other."""
        try:
            _ = self.wording
            self.recipe(self.steps)
        except UserError as error:
            raise ValueError(str(error)) from error
        if self.views != "fresh" and self.train_vision:
            raise ValueError(
                f"views = {self.views} keeps what a frozen tower saw, but train_vision = true: "
                'set views = "fresh", or leave the tower frozen'
            )
        if self.swap_critic is not None and not self.swaps:
            raise ValueError("swap_critic has nothing to judge: swaps is 0, set it to a share")
        return self


def files(settings: Settings) -> Sequence[Path]:
    """Return the files that a student is made from, as far as they are there."""
    return files_of(settings, settings.rehearsal)


def needs(settings: Settings) -> Sequence[str]:
    """Tell what a student cannot begin with."""
    return [*missing(settings, "distil"), *absent(rehearsal=settings.rehearsal)]


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Train the student, and yield for each shard of examples what could not be used.

    The student stands in the first shard.
    """
    # torch is not wanted by a run that has no such stage.
    from lskd.distil.work import train

    yield from train(settings, context, tables)


STAGE = Stage(
    name="distil",
    settings=Settings,
    reads=(Example,),
    writes=(Student, Reject),
    whole=whole,
    files=files,
    needs=needs,
    optional=True,
    together=True,
)
