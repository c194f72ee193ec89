"""The settings of the stage `critic`, and the files that they name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from lskd.critique import judgments
from lskd.critique.view import TEXT, Drawn, Look, Pictures
from lskd.errors import UserError
from lskd.resources import TrainingSpread
from lskd.stage import WITHOUT_EFFECT, Batch
from lskd.training.settings import Cached, Share


class Settings(Cached):
    """Whose judgments, what is trained on them, and how.

    The judgments: `judgments` is a file or a folder of them (see `lskd.critique.judgments`), and a
    triple needs those of `annotators` people.

    The base: `weights` is a LAVIS `.pth` file or a Hugging Face folder, `frozen` the file that has
    the vision tower if that one has not, `size` "vit_g", "vit_l" or a folder with a `config.json`
    (default: the folder `weights`, or vit_g), `image` the side of pictures in pixels, `vocabulary`
    BERT's `vocab.txt` or a tokenizer's folder that has it (default: that of the folder `weights`).

    What it sees: `marking`, `drawn`, `text`, `tokens` and `pictures` as in
    `lskd.critique.view.Look`.

    The losses: `qa_loss` and `rationale_loss` are the regressions of Table 1. `train_vision` is as
    in the paper, `train_ln_vision` belongs to it where it is off. `epochs` are all taken. With
    `views` = 1 a frozen tower sees each view once, and what it saw is kept; else it sees each
    "fresh" whenever a triple about it is learned from. The rest is as in
    `lskd.training.settings.Cached` and `lskd.resources.Resources`.

    `target_precision` is the one that a threshold is told for at the end; it changes no weight.
    Then `batch_views` pass the vision tower at a time, and `batch_texts` the Q-Former.
    """

    # A run waits for judgments and goes on with more of them: what they say decides, see `digest`.
    judgments: Annotated[str | None, WITHOUT_EFFECT] = None
    annotators: PositiveInt = 2  # section 2.3

    weights: str
    frozen: str | None = None
    size: str | None = None
    image: PositiveInt = 480  # section 3
    vocabulary: str | None = None
    attention: Literal["sdpa", "eager"] = "sdpa"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # as BERT's

    drawn: Drawn = "all"
    text: str = TEXT
    pictures: Pictures = "own"
    tokens: PositiveInt = 128  # section 3
    workers: Annotated[PositiveInt, WITHOUT_EFFECT] = 8

    qa_loss: bool = True
    rationale_loss: bool = True
    train_vision: bool = True  # section 3
    train_ln_vision: bool = True
    views: Literal[1, "fresh"] = "fresh"

    epochs: PositiveInt = 10  # section 3
    batch: PositiveInt = 256  # section 3
    recompute: Annotated[bool, WITHOUT_EFFECT] = False
    resources: TrainingSpread = None
    save_every: Annotated[PositiveInt, WITHOUT_EFFECT] = 200

    target_precision: Annotated[Share, WITHOUT_EFFECT] = 0.7  # section 2.3
    batch_views: Batch = 16
    batch_texts: Batch = 128

    @property
    def look(self) -> Look:
        """Return how triples are shown."""
        return Look(self.marking, self.drawn, self.image, self.tokens, self.text, self.pictures)

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Refuse a text that is no template, and a training that cannot be."""
        try:
            _ = self.look
            # How many steps there will be, only the judgments tell.
            self.recipe(max(1, self.warmup or 0))
        except UserError as error:
            raise ValueError(str(error)) from error
        if self.views != "fresh" and self.train_vision:
            raise ValueError(
                "views = 1 keeps what a frozen tower saw, but train_vision = true: "
                'set views = "fresh", or train_vision = false'
            )
        return self


def judgment_files(settings: Settings) -> Sequence[Path]:
    """Return the files of judgments, as far as they are there: they come while a run waits."""
    if settings.judgments is None:
        return ()
    return [path for path in judgments.files(Path(settings.judgments)) if path.is_file()]
