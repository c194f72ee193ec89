"""Stage `evaluate`: models answer the questions of benchmarks and are compared (section 3).

```toml
[evaluate.models]
base = { preset = "blip2-vit-g", weights = "blip2_pretrained.pth" }
student = { use = "lskd.evaluate.scorers.stage1:StudentScorer", folder = "out/run/distil/student" }

[evaluate.benchmarks]
vcr = { folder = "data/vcr" }
```

The first model is what the others are compared with. In the stage's folder lie `summary.md`, `.csv`
and `.json`, `evaluation.html`, the `items` as they were asked, and the `predictions` of each model,
from which a killed evaluation goes on.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from lskd.errors import UserError
from lskd.evaluate import benchmarks
from lskd.evaluate.benchmark import Options
from lskd.evaluate.presets import Figures, preset
from lskd.evaluate.protocol import Protocol
from lskd.presence import absent
from lskd.protocols import Scorer
from lskd.stage import ORDERED, Context, Model, Names, Parts, Section, Stage, several
from lskd.table import Tables
from lskd.types import GenerativeStudent, Image, Outcome, Reject, Student

NAME = re.compile(r"\w[\w.+@-]*")


class Entry(Section):
    """A model that takes part, and how it is asked; or a file of another program's predictions.

    In a run file it is a model line, with its `protocol` beside its own keys. `preset` names a row
    of Table 3, whose keys the others then replace; the name alone does as well. `figures` are what
    a paper reports of it.
    """

    title: str = ""
    model: Annotated[Model | None, Scorer] = None
    protocol: Protocol = Protocol()
    predictions: str | None = None
    figures: Figures = Figures()

    @model_validator(mode="before")
    @classmethod
    def gathered(cls, value: Any) -> Any:
        """Lay what is given over the preset that it names, and part a model's keys from the rest.

        Raises ValueError if there is no such preset.
        """
        if isinstance(value, str):
            value = {"preset": value}
        if not isinstance(value, Mapping):
            return value
        own = {key: part for key, part in value.items() if key in cls.model_fields}
        keys = {key: part for key, part in value.items() if key not in own and key != "preset"}
        if "preset" in value:
            own, keys = _over_preset(str(value["preset"]), own, keys)
        return {**own, "model": {**dict(own.get("model", {})), **keys}} if keys else own

    @model_validator(mode="after")
    def one_source(self) -> Self:
        """Refuse an entry without answers, and one with two sources of them."""
        if (self.model is None) == (self.predictions is None):
            raise ValueError(
                'needs a model (use = "module:Class" or preset = "name") or predictions = '
                '"file.jsonl", and not both'
            )
        return self


class Source(Section):
    """Where a benchmark's files lie, and which of its questions are asked (`Options`)."""

    folder: str
    split: str = "val"
    limit: PositiveInt | None = None
    seed: int = 0
    images: str | None = None

    @property
    def options(self) -> Options:
        """Return what the reader is asked for."""
        images = None if self.images is None else Path(self.images)
        return Options(self.split, self.seed, images, self.limit)


class Settings(Section):
    """Who is asked what, and how sure the figures are to be.

    `only` names those of `models` that take part, if not all do: a run file that changes a student
    need not ask again whom its parent has asked.
    `faults` are rows that cannot be asked: an error before any model is loaded, or "skip" to leave
    them out. `leaks` are files of `lskd audit`: figures are then also given without what they
    touch. Intervals come from `resamples` drawings of the images with `seed`. `gallery` is the
    number of questions of each benchmark that the page shows.
    """

    models: Annotated[dict[str, Entry], ORDERED]
    only: Names = ()
    benchmarks: dict[str, Source]
    faults: Literal["error", "skip"] = "error"
    leaks: Names = ()
    resamples: PositiveInt = 2000
    seed: int = 0
    gallery: NonNegativeInt = 9

    @model_validator(mode="before")
    @classmethod
    def chosen(cls, value: Any) -> Any:
        """Leave out the models that do not take part; raises ValueError for an unknown one."""
        if not isinstance(value, Mapping) or not isinstance(value.get("models"), Mapping):
            return value
        only, models = several(value.get("only")), value["models"]
        if not only or not isinstance(only, list | tuple):
            return value
        if unknown := [str(name) for name in only if str(name) not in models]:
            raise ValueError(
                f"only: no model {', '.join(unknown)}; models: {', '.join(map(str, models))}"
            )
        return {**value, "models": {name: one for name, one in models.items() if name in only}}

    @model_validator(mode="after")
    def named(self) -> Self:
        """Refuse unknown benchmarks, names that cannot be a folder's, and empty tables."""
        if not self.models or not self.benchmarks:
            raise ValueError("needs a model in [evaluate.models], and one of [evaluate.benchmarks]")
        for name in self.models:
            if not NAME.fullmatch(name):
                raise ValueError(f"models.{name}: a name has letters, digits and . _ + @ - only")
        for name, source in self.benchmarks.items():
            try:
                known = benchmarks.named(name)
            except UserError as error:
                raise ValueError(str(error)) from error
            if source.split not in (*known.splits, "val"):
                raise ValueError(
                    f"benchmarks.{name}: no split {source.split!r}; splits: "
                    f"{', '.join(known.splits)}"
                )
        return self


def files(settings: Settings) -> Sequence[Path]:
    """Return the benchmarks' files, leak files and given predictions, as far as they are there."""
    found = [Path(name) for name in settings.leaks]
    found += [Path(one.predictions) for one in settings.models.values() if one.predictions]
    for name, source in settings.benchmarks.items():
        places = benchmarks.places(benchmarks.named(name), Path(source.folder), source.options)
        # Images are too many; an item carries the hash of its own.
        found += [one.path for one in places if one.path is not None and "*" not in one.pattern]
    return [file for file in found if file.is_file()]


def needs(settings: Settings) -> Sequence[str]:
    """Tell which benchmarks and predictions are not there."""
    folders = {f"benchmarks.{name}.folder": one.folder for name, one in settings.benchmarks.items()}
    given = {f"models.{name}.predictions": one.predictions for name, one in settings.models.items()}
    return absent(**folders, **given)


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Evaluate all models; the outcomes stand in the first shard, with what could not be asked."""
    # What asks, measures and draws is not wanted by a run that has no such stage.
    from lskd.evaluate.work import evaluate

    found = evaluate(settings, context)
    first, *others = tables.shards(Image) or ["00000"]
    yield first, [*found.outcomes, *found.rejects]
    for shard in others:
        yield shard, ()


def _over_preset(
    name: str, own: Mapping[str, Any], keys: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a preset's settings with others laid over them, and the keys of its model likewise."""
    try:
        row = preset(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    protocol = row.protocol.model_dump() | dict(own.get("protocol", {}))
    begun = {"title": row.title, "figures": row.figures, **own, "protocol": protocol}
    return begun, {"use": row.model.use, **row.model.keys, **keys}


STAGE = Stage(
    name="evaluate",
    settings=Settings,
    reads=(Student, GenerativeStudent),
    writes=(Outcome, Reject),
    whole=whole,
    files=files,
    needs=needs,
    optional=True,
    version=3,
)
