"""A run: one TOML file, one section for each stage, one folder of tables.

`load` reads a run file, lays it over its parent (`extends`) and checks every section, so that all
mistakes are told at once and before any work. A stage whose section and ancestors are those of the
parent is read from, and made in, the parent's folder. Beside each stage's tables lies `stage.json`
with its fingerprint: a folder never mixes two settings.
"""

import contextlib
import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel

from lskd import __version__, events, shardlog
from lskd.errors import UserError
from lskd.facts import RunFacts, StageFacts
from lskd.fingerprint import (
    all_models,
    checkpoints,
    difference,
    effective,
    file_digests,
    same_rows,
    versions,
)
from lskd.imported import check_whole
from lskd.pace import pace
from lskd.runfile import (
    RUN_FILE,
    Planned,
    checked,
    overlaid,
    parents_of,
    parse_set,
    planned,
    read_from,
    read_sections,
    substituted,
)
from lskd.stage import Context, Stage, named
from lskd.stages import STAGES
from lskd.storage import files
from lskd.storage.address import here, located, shown
from lskd.storage.mirror import opened
from lskd.table import Tables, draft
from lskd.trace import Spans
from lskd.types import Image

JOURNAL = "journal.sqlite"
NOTE = "stage.json"
INPUTS = "inputs.json"


@dataclass(frozen=True)
class Run:
    """The checked settings of each stage, and the folders that its tables are in.

    `examples` is the folder that the examples are taken from where the run does not make them.
    `substituted` tells, by name, what stands in for what a run reproduces, and why. `planned` is
    what a plan takes where the pictures are not at hand.
    """

    name: str
    own: Path
    seed: int
    settings: Mapping[str, BaseModel]
    folders: Mapping[str, Path]
    parents: tuple[Path, ...]
    examples: Path | None = None
    substituted: Mapping[str, str] = field(default_factory=dict)
    planned: Planned | None = None

    def here(self) -> "Run":
        """Return this run as another machine, which was sent it, has its folders."""
        return replace(
            self,
            own=here(self.own),
            folders={stage: here(folder) for stage, folder in self.folders.items()},
            parents=tuple(map(here, self.parents)),
            examples=None if self.examples is None else here(self.examples),
        )

    @cached_property
    def tables(self) -> Tables:
        """Return read access to every table."""
        return Tables(self.folders, {made: s.name for s in STAGES for made in s.writes})

    def stages(self) -> Iterator[Stage[Any]]:
        """Yield the stages in the order of work."""
        yield from (stage for stage in STAGES if stage.name in self.settings)

    def inherits(self, stage: str) -> bool:
        """Return whether the tables of a stage, by name, lie in the folder of another run."""
        return self.folders[stage].parent != self.own

    def context(self, stage: Stage[Any]) -> Context:
        """Return what the house gives to a stage, without progress."""
        folder = self.folders[stage.name]
        # One journal for all stages of a folder, so that a budget holds for the whole run.
        journals = [root / JOURNAL for root in (self.own, *self.parents)]
        own = folder.parent / JOURNAL
        return Context(
            stage=stage.name,
            folder=folder,
            seed=self.seed,
            journal_file=own,
            facts=self.facts,
            parents=tuple(root / stage.name for root in self.parents),
            parent_journals=tuple(file for file in journals if file != own and file.exists()),
            substituted=self.stand_ins,
        )

    def notices(self, stages: Sequence[str]) -> list[str]:
        """Return what no reader may miss: what stands in for what, and what some models say.

        Each is told once; the models are those of some stages.
        """
        found = list(self.stand_ins)
        for name in stages:
            for model in all_models(self.settings[name]):
                notice = getattr(named(model.use), "notice", None)
                if isinstance(notice, str) and notice not in found:
                    found.append(notice)
        return found

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Return a sentence for each thing that stands in for what the run reproduces."""
        return tuple(f"substituted: {name}: {told}" for name, told in self.substituted.items())

    def whole_inputs(self, stage: Stage[Any]) -> tuple[type, ...]:
        """Return the tables on which every shard of a stage depends, its ancestors' included."""
        found = dict.fromkeys(stage.reads_whole)
        for other in self.stages():
            if other.name in makers(stage):
                found |= dict.fromkeys(self.whole_inputs(other))
        return tuple(found)

    def missing(self, stage: Stage[Any]) -> list[str]:
        """Return the shards of images for which a stage has none yet, or one of other pictures."""
        done = set(self._made(stage)) - self._outdated(stage)
        return [shard for shard in self.tables.shards(Image) if shard not in done]

    def stale(self, stage: Stage[Any]) -> list[str]:
        """Return the shards of a stage whose pictures are gone, or others by now."""
        current = set(self.tables.shards(Image)) - self._outdated(stage)
        return [shard for shard in self._made(stage) if shard not in current]

    def _made(self, stage: Stage[Any]) -> list[str]:
        return self.tables.shards(stage.writes[0], stage.name) if stage.writes else []

    def _outdated(self, stage: Stage[Any]) -> set[str]:
        """Return the shards that a stage made of other pictures than they have now."""
        made = shardlog.noted(self.folders[stage.name])
        now = shardlog.pictures(self.folders["images"])
        return {
            shard
            for shard, one in made.items()
            if one.pictures and one.pictures != now.get(shard, one.pictures)
        }

    def seconds(self, stage: str) -> float | None:
        """Return the time that a stage's shards took, or None if none was made."""
        log = self.folders[stage] / shardlog.SHARD_LOG
        if not log.exists():
            return None
        total = 0.0
        for line in log.read_text(encoding="utf-8").splitlines():
            # A kill can leave half a line; that shard's time is then not known.
            with contextlib.suppress(ValueError):
                total += json.loads(line)["seconds"]
        return total

    def spans(self, stage: str) -> Spans | None:
        """Return what the time of a stage's shards went into, or None if that was not measured."""
        found = pace(events.read(self.folders[stage] / events.TRACE))
        return found.spans if found else None

    def facts(self) -> RunFacts:
        """Return what a report tells of this run beside its tables."""
        total = len(self.tables.shards(Image))
        corpus = self.settings.get("corpus")
        return RunFacts(
            name=self.name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            version=__version__,
            notices=tuple(self.notices([stage.name for stage in self.stages()])),
            settings=self.text(),
            stages=tuple(
                StageFacts(
                    s.name,
                    total - len(self.missing(s)),
                    total,
                    self.seconds(s.name),
                    self.spans(s.name),
                )
                for s in self.stages()
                if s.writes
            ),
            threshold=getattr(corpus, "threshold", None),
        )

    def text(self) -> str:
        """Return the effective run file as TOML, secrets never being part of one."""
        sections = {
            name: settings.model_dump(mode="json", exclude_none=True)
            for name, settings in self.settings.items()
        }
        elsewhere = {
            name: shown(folder) for name, folder in self.folders.items() if self.inherits(name)
        }
        given = {"examples": shown(self.examples)} if self.examples else {}
        stand_in = {"substituted": dict(self.substituted)} if self.substituted else {}
        return tomli_w.dumps(
            {
                "seed": self.seed,
                **given,
                "parents": [shown(root) for root in self.parents],
                "read_from": elsewhere,
                **stand_in,
                **sections,
            }
        )

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Return a hash of all that decides the rows of each stage, its ancestors included."""
        found: dict[str, str] = {}
        for stage in self.stages():
            ancestors = sorted(makers(stage))
            note = [self.decisive(stage), *(found[name] for name in ancestors if name in found)]
            found[stage.name] = hashlib.blake2b(
                json.dumps(note, sort_keys=True).encode(), digest_size=8
            ).hexdigest()
        return found

    def decisive(self, stage: Stage[Any]) -> dict[str, Any]:
        """Return what decides a stage's rows beside its ancestors, as JSON."""
        settings = self.settings[stage.name]
        return {
            "settings": effective(settings),
            "seed": self.seed,
            "files": file_digests(stage.files(settings)),
            # What a stage of the run itself has made counts as a table, not as a setting.
            "checkpoints": dict(checkpoints(settings, but=tuple(self.folders.values()))),
            "lskd": ".".join(__version__.split(".")[:2]),
            "version": stage.version,
        }

    def check(self, stage: Stage[Any]) -> bool:
        """Return whether a stage's tables, if there are any, were made with these settings.

        Raises UserError where they were made with others; a stage without tables is simply made
        again.
        """
        note = self.folders[stage.name] / NOTE
        if not note.exists():
            return False
        told = read_note(note)
        if told.get("fingerprint") == self.fingerprints[stage.name]:
            return True
        # What was claimed and never made can be claimed anew, say with a mended setting.
        if stage.writes and self.tables.shards(stage.writes[0], stage.name):
            changed = difference(told.get("facts", {}), self.decisive(stage))
            raise UserError(
                f"{shown(note.parent)} was made with other settings ({changed}): write a new run "
                "file that extends this one, give another folder with --out, or remove "
                f"{shown(note.parent)} to make it again (paid replies stay in "
                f"{note.parent.parent / JOURNAL})"
            )
        return False

    def claim(self, stage: Stage[Any]) -> None:
        """Note a stage's fingerprint beside its tables, or refuse to mix two settings."""
        if self.check(stage):
            return
        text = {
            "fingerprint": self.fingerprints[stage.name],
            "facts": self.decisive(stage),
            "made_with": versions(),
        }
        files.remove(self.folders[stage.name] / INPUTS)
        with draft(self.folders[stage.name] / NOTE) as unfinished:
            unfinished.write_text(json.dumps(text, indent=1, sort_keys=True))


def read_note(file: Path) -> dict[str, Any]:
    """Return what a note beside a stage's tables tells.

    Raises UserError if it is broken.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{file} is broken ({error}): remove it, and the same command goes on with the tables "
            "beside it, or remove these too to make them again"
        ) from error
    return dict(told) if isinstance(told, dict) else {}


def makers(stage: Stage[Any]) -> set[str]:
    """Return the names of the stages that a stage reads from."""
    return {
        other.name
        for other in STAGES
        for record in other.writes
        if record in stage.reads and other.name != stage.name
    }


def load(
    file: Path, changes: Sequence[str] = (), out: Path | None = None, with_models: bool = False
) -> Run:
    """Read a run file (or the folder of a run), apply `changes` ("stage.key=value"), check it all.

    Tables go to `out`, or to `out/<name of the run file>` in the working directory; each folder of
    a run can be a URL, whose working folder (`lskd.storage`) is then brought up to date. Paths in a
    run file are relative to the working directory, `extends` to the file that says it. A parent
    that was run counts as it was run, with the `--set` that it was given. With `with_models` it is
    also checked that every model can be called. Raises UserError that lists all mistakes.
    """
    file, out = opened(file), None if out is None else opened(out)
    if file.is_dir() and (file / RUN_FILE).exists():
        out, file = out or file, file / RUN_FILE
    chain = read_sections(file)
    sections = chain[0][1]
    for change in changes:
        keys, value = parse_set(change)
        for key in reversed(keys):
            value = {key: value}
        sections = overlaid(sections, value)
    seed = sections.get("seed", 0)
    if not isinstance(seed, int):
        raise UserError(f"{file}: seed must be a whole number, not {seed!r}")
    settings = checked(file, sections, with_models)
    name = out.name if out else file.stem
    own = out or Path("out") / file.stem
    folders = {stage.name: own / stage.name for stage in STAGES}
    elsewhere = read_from(file, sections)
    if changes and elsewhere:
        # Of a run's own folder: what is changed is made there, as by the run's file.
        before = chain[0][1]
        same = unchanged(settings, checked(file, before), is_alike(sections, before))
        elsewhere = {stage: elsewhere[stage] for stage in same if stage in elsewhere}
    folders |= elsewhere
    # A run's own folder has no `extends`, but names its parents; else they come with theirs below.
    roots = parents_of(file, sections) if len(chain) == 1 else []
    for parent, bare in chain[1:]:
        root = parent.parent if parent.name == RUN_FILE else Path("out") / parent.stem
        recorded = root / RUN_FILE
        theirs = read_sections(recorded)[0][1] if recorded.exists() else bare
        roots += [root, *parents_of(recorded, theirs)]
        same = unchanged(settings, checked(parent, theirs), is_alike(sections, theirs))
        inherited = read_from(recorded, theirs)
        folders |= {stage: inherited.get(stage, root / stage) for stage in same}
    given = given_examples(file, sections)
    if given is not None:
        folders["corpus"] = given / "corpus"
    return Run(
        name=name,
        own=own,
        seed=seed,
        settings=settings,
        folders=folders,
        parents=tuple(dict.fromkeys(root for root in roots if root != own)),
        examples=given,
        substituted=substituted(file, sections),
        planned=planned(file, sections),
    )


def given_examples(file: Path, sections: Mapping[str, Any]) -> Path | None:
    """Return the folder that a run file takes its examples from, or None if it makes them.

    Raises UserError if there are no examples in it, or not all of an import's.
    """
    if "examples" not in sections:
        return None
    folder = opened(str(sections["examples"]))
    check_whole(folder / "corpus")
    if not files.names(folder / "corpus" / "example", ".parquet"):
        raise UserError(
            f"{file}: examples = {str(folder)!r}: no examples there; `lskd import` makes such a "
            "folder, or give that of a run"
        )
    return folder


def is_alike(sections: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether two runs have the same seed, and take their examples from the same folder."""

    def folder(one: Mapping[str, Any]) -> Path | None:
        return located(str(one["examples"])) if "examples" in one else None

    return sections.get("seed", 0) == theirs.get("seed", 0) and folder(sections) == folder(theirs)


def unchanged(
    settings: Mapping[str, BaseModel], theirs: Mapping[str, BaseModel], alike: bool
) -> list[str]:
    """Return the stages whose section, and those of all their ancestors, are a parent's.

    `alike` says whether the rest is: the seed, and the examples that are given.
    """
    same: list[str] = []
    both = settings.keys() & theirs.keys()
    for stage in STAGES if alike else ():
        if stage.name not in both:
            continue
        ours, parents = settings[stage.name], theirs[stage.name]
        ancestors = makers(stage) & (settings.keys() | theirs.keys())
        if not ancestors <= set(same):
            continue
        if same_rows(ours, parents):
            same.append(stage.name)
    return same
