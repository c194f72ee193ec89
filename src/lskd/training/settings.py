"""What every section that trains a model may say of it, checked before any work; no torch.

In: keys of a run file or a recipe. Out: a `Recipe`. A section inherits these settings and gives its
own defaults where the paper has others.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from lskd.marking import MarkStyle
from lskd.stage import WITHOUT_EFFECT, Names, Section
from lskd.training.recipe import Precision, Recipe

FEATURES = "features"  # the folder of a stage for those of its views
Share = Annotated[float, Field(ge=0, le=1)]


class Training(Section):
    """How a model is trained; each setting is that of `lskd.training.recipe.Recipe`.

    `warmup` counts steps and is a tenth of them all if none is given.
    """

    batch: PositiveInt = 256
    accumulate: PositiveInt = 1
    learning_rate: PositiveFloat = 1e-5  # section 3
    warmup: NonNegativeInt | None = None
    weight_decay: NonNegativeFloat = 0.05  # LAVIS
    betas: tuple[Share, Share] = (0.9, 0.999)
    clip: PositiveFloat | None = None
    precision: Precision = "auto"
    average: Share | None = None
    save_every: Annotated[PositiveInt, WITHOUT_EFFECT] = 500
    log_every: Annotated[PositiveInt | None, WITHOUT_EFFECT] = None
    track: Annotated[Names, WITHOUT_EFFECT] = ()

    def recipe(self, steps: int, seed: int = 0) -> Recipe:
        """Return how long, how fast and how exactly is trained.

        Raises UserError for settings that contradict each other.
        """
        own = Training.model_fields.keys() - {"warmup"}
        return Recipe(
            steps=steps,
            warmup=steps // 10 if self.warmup is None else self.warmup,
            seed=seed,
            **{name: getattr(self, name) for name in own},
        )


class Cached(Training):
    """How a model is trained that may be given what a frozen part of it saw, kept on disk.

    `marking` is how regions are drawn on what it sees. `cache` is where that is kept (default: a
    folder of the stage), at most `cache_gb` GB of it; `cache_batch` views are seen at once, and
    `storage` is the precision in which they are kept.
    """

    marking: MarkStyle = "clear"
    storage: Literal["bf16", "float32"] = "bf16"
    cache: Annotated[str | None, WITHOUT_EFFECT] = None
    cache_gb: Annotated[PositiveFloat, WITHOUT_EFFECT] = 200.0
    cache_batch: Annotated[PositiveInt, WITHOUT_EFFECT] = 16

    def cached_in(self, folder: Path) -> Path:
        """Return where features are kept, `folder` unless `cache` says otherwise."""
        return folder if self.cache is None else Path(self.cache)
