"""What a recipe for a verbalizer may say, checked before anything is read.

```toml
writer = { use = "lskd.writing.blip2:Blip2Writer", checkpoint = "Salesforce/blip2-flan-t5-xxl" }
steps = 20_000

[corpora.refcoco]
format = "refcoco"
files = "refcoco/refs(unc).p"
images = "coco/train2014"
evaluate = "validation"

[corpora.regions]
format = "visual_genome"
files = "vg/region_descriptions.json"
held_out = 0.01
```
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.runfile import laid_over, parse_set
from lskd.stage import WITHOUT_EFFECT, Batch, Model, Names, Section
from lskd.training.settings import Share, Training

Kind = Literal["captioner", "narrator"]
Format = Literal["refcoco", "sherlock", "visual_genome", "localized_narratives"]
FORMATS: Mapping[Kind, tuple[Format, ...]] = {
    "captioner": ("refcoco", "sherlock", "visual_genome"),
    "narrator": ("localized_narratives",),
}
PROMPTS: Mapping[Kind, str] = {"captioner": "trained_region", "narrator": "trained_narrative"}


class Trainable(Protocol):
    """What a recipe's `writer` must be; `lskd.writing.writer.Writer` has all of its methods.

    That one needs torch, which a recipe is checked without.
    """

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height in pixels to which a picture is brought."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was trained."""
        ...


class Corpus(Section):
    """A corpus and what it is for.

    `files` are paths or globs, `images` the folders of its pictures (else those of the files),
    `boxes` RefCOCO's instances.json if it lies elsewhere. Places of the splits `train` are learnt
    from; those of the splits `evaluate`, and of a share `held_out` of the pictures of `train`, are
    not, and the verbalizer is evaluated on them. `weight` is the corpus' share of what is learnt
    from, relative to those of the others; where none has one, each place counts alike.
    """

    format: Format
    files: Names
    images: Names = ()
    boxes: str | None = None
    train: Names = ("train",)
    evaluate: Names = ()
    held_out: Share = 0.0
    weight: PositiveFloat | None = None


class Evaluation(Section):
    """How a verbalizer is evaluated: `places` of those held out (0: not at all), drawn by `seed`.

    `clip` is a CLIP of transformers (a folder or a name on the hub) for CLIPScore, left out if
    None. `samples` texts are drawn of each picture at `temperature` from the fewest tokens that
    make `top_p`, for diversity: one at temperature 0, as of a captioner.
    """

    places: NonNegativeInt = 1000
    clip: str | None = None
    samples: PositiveInt = 5  # section 2.1, as the temperature
    temperature: NonNegativeFloat = 1.1
    batch: Batch = 8


class Settings(Training):
    """What is trained, on what, and how.

    `writer` is a model of `lskd.writing` to begin with. `prompt` is a text file of the user's with
    what stands before a description, or the name of one of ours. A captioner sees the box drawn in
    the style `marking`; with `drawn` false it never sees which region is meant, as a control.
    Boxes narrower than `smallest` pixels, as the writer sees them, are left out. Texts are written
    with `beams`, or sampled from the fewest tokens that make `top_p`, up to `tokens` new tokens.
    What the frozen tower saw is kept in memory up to `sights_gb` GB; with 0 a training that was
    stopped ends in the same bits. The rest is as in `lskd.training.settings.Training`.
    """

    writer: Annotated[Model, Trainable]
    corpora: Mapping[str, Corpus]
    prompt: str | None = None
    marking: MarkStyle = "clear"
    drawn: bool = True
    smallest: NonNegativeFloat = 2.0
    beams: PositiveInt = 5  # as LAVIS captions
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    tokens: PositiveInt | None = None
    sights_gb: Annotated[NonNegativeFloat, WITHOUT_EFFECT] = 4.0
    workers: Batch = 8
    evaluation: Evaluation = Evaluation()

    seed: int = 0
    steps: PositiveInt = 10_000
    batch: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-5  # as LAVIS fine-tunes captions

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Refuse settings that contradict each other."""
        if not self.corpora:
            raise ValueError("corpora: there is none; give at least one [corpora.NAME]")
        weighted = [name for name, corpus in self.corpora.items() if corpus.weight is not None]
        if weighted and len(weighted) < len(self.corpora):
            without = next(name for name in self.corpora if name not in weighted)
            raise ValueError(
                f"corpora.{without} has no weight, but corpora.{weighted[0]} has one: "
                "give one to each corpus, or to none"
            )
        for name, corpus in self.corpora.items():
            both = sorted(set(corpus.train) & set(corpus.evaluate))
            if both:
                raise ValueError(
                    f"corpora.{name}: the split {both[0]!r} is both learnt from and evaluated on"
                )
        try:
            self.recipe(self.steps)
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


def read(file: Path, kind: Kind, changes: Sequence[str] = ()) -> Settings:
    """Return the settings of a recipe, changed as "key=value" says.

    Raises UserError that lists all mistakes.
    """
    try:
        given: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not TOML: {error}") from error
    for change in changes:
        if "=" not in change:
            raise UserError(f"--set {change!r}: the form is key=value, as steps=2000")
        keys, over = parse_set(f"recipe.{change}")
        for key in reversed(keys[1:]):
            over = {key: over}
        given = laid_over(given, over)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise UserError(f"{file}: {'; '.join(map(_explained, error.errors()))}") from error
    for name, corpus in settings.corpora.items():
        if corpus.format not in FORMATS[kind]:
            raise UserError(
                f"{file}: corpora.{name}: a {kind} does not learn from {corpus.format}; "
                f"it does from {', '.join(FORMATS[kind])}"
            )
    return settings


def _explained(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"there is no setting {where}"
    if error["type"] == "missing":
        return f"{where} is needed"
    if error["type"] == "value_error":
        return message
    return f"{where}: {message[:1].lower()}{message[1:]}, not {error['input']!r}"
