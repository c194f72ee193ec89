"""What a stage is: its settings, what it reads and writes, and the work between.

A stage works on one shard at a time (`each`), or on whole tables (`whole`). Both kinds get a
`Context`, which is all of the house that a stage can touch beside its own rows.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PositiveInt

from lskd.chat.journal import Journal
from lskd.errors import MissingExtra, UserError
from lskd.facts import RunFacts
from lskd.journal.address import Address, service_address
from lskd.journal.segments import Segments
from lskd.journal.unsent import take_in
from lskd.picture import Picture
from lskd.storage import mirror
from lskd.storage.address import is_url
from lskd.storage.lock import SEGMENTS
from lskd.table import Tables
from lskd.types import Annotation, Image, Record

if TYPE_CHECKING:
    from lskd.journal.worker import RemoteLedger

R = TypeVar("R")
S = TypeVar("S", bound=BaseModel)

EXTRAS: Mapping[str, str] = {
    "cv2": "vision",
    "torch": "models",
    "transformers": "models",
    "safetensors": "models",
    "accelerate": "train",
    "skimage": "demo",
    "sklearn": "demo",
}


class Section(BaseModel):
    """What every section of a run file has in common: unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Settings of which a section has one: who gives one drops an inherited other.
    alternatives: ClassVar[tuple[str, ...]] = ()


class WithoutEffect:
    """Marks a setting that changes how a stage works and no row of it, as a batch size does."""


class Ordered:
    """Marks a table of a section whose order decides something, as which model is the first."""


WITHOUT_EFFECT = WithoutEffect()
WEIGHTS = frozenset({"checkpoint", "folder"})  # keys of models that say where weights lie
ORDERED = Ordered()
Batch = Annotated[PositiveInt, WITHOUT_EFFECT]


class Model(BaseModel):
    """A model named in a run file: `use = "module:Class"`; the other keys are its constructor's.

    Keys that a class names in its attribute `without_effect` change no reply, as a time-out does: a
    run may go on after one of them is changed.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    @property
    def keys(self) -> dict[str, Any]:
        """Return what the constructor is called with."""
        return dict(self.model_extra or {})


def several(value: Any) -> Any:
    """Accept one value where a list of them is meant."""
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(several)]


def named(use: str) -> Any:
    """Import what `use = "module:Class"` names.

    Raises UserError if there is no such thing, MissingExtra if a library is not installed.
    """
    module, _, name = use.partition(":")
    if not module or module.startswith("."):
        raise UserError(f"use = {use!r} names no module: the form is 'package.module:Class'")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in EXTRAS:
            raise MissingExtra(f"use = {use!r}", missing, EXTRAS[missing]) from error
        raise UserError(f"use = {use!r}: {error}; the form is 'package.module:Class'") from error
    if not inspect.isclass(found):
        raise UserError(f"use = {use!r}: no class {name!r} in {module}; the form is 'module:Class'")
    return found


def parts_of(keys: Mapping[str, Any]) -> Iterator[tuple[str, Model]]:
    """Yield the keys whose value is itself a model."""
    for key, value in keys.items():
        if isinstance(value, Mapping) and "use" in value:
            yield key, Model(**value)


def at_places(keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a model that name weights by a URL."""
    for key, value in keys.items():
        if key in WEIGHTS and isinstance(value, str) and is_url(value):
            yield key, value


def models_of(settings: BaseModel, place: str = "") -> Iterator[tuple[str, type | None, Model]]:
    """Yield each model that settings name: its place, the protocol that it must meet, and itself.

    Sections within a section, and in a table of it, are looked through: "models.base.model". The
    protocol is None where the settings do not say one.
    """
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Model):
            yield f"{place}{name}", role_of(info.metadata), value
        elif isinstance(value, Section):
            yield from models_of(value, f"{place}{name}.")
        elif isinstance(value, Mapping):
            for key, part in value.items():
                if isinstance(part, Section):
                    yield from models_of(part, f"{place}{name}.{key}.")


def role_of(marks: Iterable[object]) -> type | None:
    """Return the protocol among the marks of a setting, if there is one."""
    protocols = (mark for mark in marks if inspect.isclass(mark))
    return next((mark for mark in protocols if getattr(mark, "_is_protocol", False)), None)


def check(role: type, model: Model, for_work: bool = False) -> None:
    """Raise UserError if a model's class, keys or role are wrong; nothing is built or loaded.

    A class can look at its keys itself, by a static method `check_settings(keys)`, and before work
    at what must be there beside them, by `check_environment(keys)`.
    """
    kind = named(model.use)
    known = inspect.signature(kind).parameters
    given = {**model.keys, **({"journal": None} if "journal" in known else {})}
    try:
        inspect.signature(kind).bind(**given)
    except TypeError as error:
        names = ", ".join(name for name in known if name != "journal")
        raise UserError(f"{model.use}: {error}; its settings are: {names or 'none'}") from error
    for hook in ("check_settings", *(["check_environment"] if for_work else [])):
        if (own := getattr(kind, hook, None)) is not None:
            own(model.keys)
    for method in (name for name in vars(role) if not name.startswith("_")):
        if not callable(getattr(kind, method, None)):
            raise UserError(f"{model.use} cannot be a {role.__name__}: it has no .{method}()")
    for _, part in parts_of(model.keys):
        named(part.use)


@dataclass(frozen=True)
class Context:
    """What the house gives to a stage at work.

    `folder` is the stage's own, `parents` are those of the same stage in the runs that this one
    extends; `tick(n)` says that n more images are done, `say(text)` tells the
    user something once. `seed` is the run's, `facts` is what a report tells of it, and
    `substituted` what stands in for what the run reproduces, a sentence each.
    """

    stage: str
    folder: Path
    seed: int
    journal_file: Path
    facts: Callable[[], RunFacts]
    parents: tuple[Path, ...] = ()
    parent_journals: tuple[Path, ...] = ()
    limit: int | None = None
    journal_service: Address | None = None
    tick: Callable[[int], None] = field(default=lambda count: None)
    say: Callable[[str], None] = field(default=lambda text: None)
    substituted: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Return whether a model that was built waits for paid replies."""
        return "journal" in self.__dict__

    @cached_property
    def journal(self) -> "Journal | RemoteLedger":
        """Return the journal of the run's paid replies, opened when first asked for.

        A worker's is the driver's, where the driver serves it (`lskd.journal`).
        """
        given = self.journal_service
        service = given or service_address()
        if service is None:
            journal = Journal(self.journal_file, self.parent_journals)
            if journal.is_new():
                # What was published beside it, as by a driver on a cluster, was paid for too.
                Segments(journal, self.journal_file.with_name(SEGMENTS)).restore()
            take_in(journal)
            return journal
        from lskd.journal.worker import RemoteLedger

        # An executor's workers end with the driver; others have to notice that it is gone.
        return RemoteLedger(service, tied=given is not None)

    def build(self, role: type[R], model: Model) -> R:
        """Import a model's class and call it with its keys; nested models are built first."""
        built: R = self._construct(model)
        if not isinstance(built, role):
            raise UserError(f"{model.use} cannot be a {role.__name__}")
        return built

    def _construct(self, model: Model) -> Any:
        kind = named(model.use)
        keys = model.keys
        keys |= {key: self._construct(part) for key, part in parts_of(keys)}
        keys |= {key: str(mirror.kept(url)) for key, url in at_places(keys)}
        if "journal" in inspect.signature(kind).parameters:
            keys["journal"] = self.journal
        return kind(**keys)


@dataclass(frozen=True)
class Shard:
    """Read access to one shard, by the names of its tables."""

    name: str
    tables: Tables

    def read(self, record: type[R]) -> list[R]:
        """Return this shard's rows of a table."""
        return self.tables.read(record, self.name)

    def one_each(self, record: type[R]) -> dict[str, R]:
        """Return this shard's rows of a table that has one row an image, by image id."""
        return {row.image_id: row for row in self.read(record)}  # type: ignore[attr-defined]

    def pictures(self) -> list[Picture]:
        """Return this shard's images with their annotations; pixels are read when asked for."""
        said = self.one_each(Annotation)
        return [Picture(image, said.get(image.id)) for image in self.read(Image)]

    def picture_batches(self, size: int) -> Iterator[list[Picture]]:
        """Yield the same, `size` at a time; the pixels of a batch go with it."""
        for some in batches(self.pictures(), size):
            yield [one.fresh() for one in some]


Worker = Callable[[Shard], Iterable[Record]]
Parts = Iterator[tuple[str, Iterable[Record]]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage would ask of one of its models for some images; tokens are estimates.

    The calls are exact, or, where `most` says so, as many as there can be. `measured` says that the
    tokens come from prompts of this run.
    """

    model: Model
    calls: int
    input_tokens: int
    output_tokens: int
    most: bool = False
    measured: bool = False


PICTURE_TOKENS = 1000  # of a picture of 1024 pixels that a served model sees; they differ


def looks(model: Model, calls: int, reply_tokens: int, most: bool = False) -> Cost:
    """Return what a model would be asked that is shown a picture in each call."""
    return Cost(model, calls, calls * (PICTURE_TOKENS + 100), calls * reply_tokens, most)


@dataclass(frozen=True)
class Stage(Generic[S]):
    """One room of the house.

    `writes[0]` is the table whose file, written last, says that a shard is done. `each` loads what
    the stage needs and returns the function that makes a shard; `whole` yields shards of its tables
    by name, and is asked again when its inputs change (or, if it `grows`, each time: it then yields
    new shards only, and `grows` tells ahead, writing nothing, whether there would be any). A stage
    that can do both says by `wholly` what its settings need. `files` are those whose content the
    result depends on, beside settings; `needs` tells of what must lie there before any stage works,
    and does not, a sentence each. `at_once` shards are in flight together where the work waits
    for paid replies. An `optional` stage is part of a run only if the run file has its section. Of
    several processes that were launched together the first makes every stage, and the others take
    part in those that train `together`. `reads_whole` are the tables on which every shard depends:
    when they change, all shards are made again. `version` goes up when the same settings would give
    other rows.
    """

    name: str
    settings: type[S]
    reads: tuple[type, ...]
    writes: tuple[type, ...]
    each: Callable[[S, Context], Worker] | None = None
    whole: Callable[[S, Context, Tables], Parts] | None = None
    grows: Callable[[S, Context, Tables], bool] | None = None
    files: Callable[[S], Sequence[Path]] = field(default=lambda settings: ())
    needs: Callable[[S], Sequence[str]] = field(default=lambda settings: ())
    cost: Callable[[S, Sequence[Shard], int], Sequence[Cost]] | None = None
    wholly: Callable[[S], bool] | None = None
    optional: bool = False
    reads_whole: tuple[type, ...] = ()
    at_once: int = 1
    together: bool = False
    version: int = 1

    def is_whole(self, settings: S) -> bool:
        """Return whether these settings need whole tables rather than a shard at a time."""
        return self.each is None or (self.wholly is not None and self.wholly(settings))

    def roles(self) -> Iterator[tuple[str, type]]:
        """Yield the settings that name a model, with the protocol that it must meet."""
        for name, info in self.settings.model_fields.items():
            if (role := role_of(info.metadata)) is not None:
                yield name, role


def batches(rows: Sequence[R], size: int) -> Iterator[Sequence[R]]:
    """Yield `rows` in order, `size` at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
