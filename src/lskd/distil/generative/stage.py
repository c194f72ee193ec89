"""Stage `generative`: a student that writes is trained on the examples of a run (section 2.4).

```toml
[generative]
student = { use = "lskd.writing.blip2:Blip2Writer", checkpoint = "Salesforce/blip2-flan-t5-xxl" }
```

Its result is a folder, `out/<run>/generative/student/`: what was trained, and the notes that load
it again over its base. Beside it lie `training/<fingerprint>/`, from which a killed training goes
on, with the losses, and `sights/`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self, runtime_checkable

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from lskd.distil.generative.prompts import Prompts
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.presence import absent
from lskd.resources import TrainingSpread
from lskd.stage import WITHOUT_EFFECT, Context, Model, Parts, Stage
from lskd.table import Tables
from lskd.training.settings import Cached, Share
from lskd.types import Example, GenerativeStudent, Reject


@runtime_checkable
class Trainable(Protocol):
    """What a run file's `student` must be; `lskd.writing.writer.Writer` has all of its methods.

    That one needs torch, which is not wanted by a run that has no such stage.
    """

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height in pixels to which a picture is brought."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was trained."""
        ...


class Settings(Cached):
    """What is trained, on what, and how.

    `student` is the model as it begins (`lskd.writing`): BLIP-2 or Mini-GPT4, of which the Q-Former
    and the projection are trained, or an image-text-to-text model, of which adapters (LoRA) or all
    layers of the language model are.

    The rows: examples of `split`. A row asks for the answer to its question and, in a share
    `rationales`, for the rationale, given the answer; a share `prefixes` of rows is instead a whole
    text that is cut in two at random, as the official release does it (1 is all). `answer_text` and
    `rationale_text` are whole texts: what stands before the last part is given and not learnt.
    Texts that the student writes have `tokens` tokens at most. `further` and `described` are as in
    [distil]. `views` fixed views of each example are looked at once and kept, or each view is
    "fresh"; at most `together` neighbouring examples of one image share fixed views.
    With `packed` these are one row of a batch, read together behind one picture. A share
    `rehearsed` of all rows is of the file `rehearsal`: questions about whole pictures, so that the
    student does not forget what its base could (`lskd.distil.rehearsal` tells its forms).
    A `control` learns the same texts without the pointing. With `coordinates` regions are not drawn
    but told in the prompt, in a way of `lskd.writing.coordinates`; "auto" is that of the family.

    The rest is as in `lskd.training.settings.Cached` and `lskd.resources.Resources`.
    """

    student: Annotated[Model, Trainable]

    split: str = "train"
    coordinates: str | None = None
    answer_text: str = Wording().answer
    rationale_text: str = Wording().rationale
    tokens: PositiveInt = 128
    prefixes: Share = 0.0
    rationales: Share = 1.0
    further: NonNegativeInt | None = None
    described: Literal["plain", "drawn"] = "plain"
    views: PositiveInt | Literal["fresh"] = "fresh"
    together: PositiveInt = 8
    packed: bool = False
    rehearsal: str | None = None
    rehearsed: Annotated[float, Field(ge=0, lt=1)] = 0.25
    workers: Annotated[PositiveInt, WITHOUT_EFFECT] = 8
    control: Literal["none", "undrawn", "shuffled"] = "none"

    steps: PositiveInt = 20_000  # section 3
    batch: PositiveInt = 64  # section 3
    resources: TrainingSpread = None

    @property
    def prompts(self) -> Prompts:
        """Return what stands before an answer, and before a rationale."""
        return Prompts(Wording(self.answer_text, self.rationale_text), self.prefixes > 0)

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Refuse settings that contradict each other."""
        try:
            _ = self.prompts
            self.recipe(self.steps)
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


def files(settings: Settings) -> Sequence[Path]:
    """Return the files that a student is made from, beside its base, as far as they are there."""
    given = [Path(name) for name in (settings.rehearsal,) if name is not None]
    return [path for path in given if path.is_file()]


def needs(settings: Settings) -> Sequence[str]:
    """Tell what a student cannot begin with."""
    return absent(rehearsal=settings.rehearsal)


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Train the student, and yield for each shard of examples what could not be used.

    The student stands in the first shard.
    """
    # torch is not wanted by a run that has no such stage.
    from lskd.distil.generative.work import train

    yield from train(settings, context, tables)


STAGE = Stage(
    name="generative",
    settings=Settings,
    reads=(Example,),
    writes=(GenerativeStudent, Reject),
    whole=whole,
    files=files,
    needs=needs,
    optional=True,
    together=True,
)
