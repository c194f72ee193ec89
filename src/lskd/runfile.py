"""A run file, its parents and `--set` become the checked settings of every stage.

All mistakes are told at once, each with the names that would be right.
"""

import inspect
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from lskd.errors import UserError
from lskd.stage import Stage, check, models_of
from lskd.stages import STAGES
from lskd.storage.address import is_url, located
from lskd.storage.mirror import opened
from lskd.types import Example

RUN_FILE = "run.toml"
TOP = ("extends", "seed", "models", "read_from", "parents", "examples", "substituted", "plan")
OF_ITS_OWN = ("read_from", "parents")  # of a run's folder: where that run, not its child, works


def parse_set(change: str) -> tuple[list[str], Any]:
    """Return the path and the value of "stage.key=value"; a bare word is taken as text."""
    path, equals, text = change.partition("=")
    keys = path.strip().split(".")
    if not equals or (len(keys) < 2 and keys not in (["seed"], ["examples"])):
        raise UserError(f"--set {change!r}: the form is stage.key=value, as corpus.threshold=0.7")
    try:
        return keys, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text.lstrip()[:1] in ("{", "[", '"', "'"):
            raise UserError(f"--set {path}: {text!r} is not a TOML value: {error}") from error
        return keys, text


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`; a table that says `use` replaces a whole table."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merge = isinstance(old, Mapping) and isinstance(value, Mapping) and "use" not in value
        merged[key] = laid_over(old or {}, value) if merge else value
    return merged


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run file laid over its parent; a setting drops its inherited alternatives."""
    kept = dict(base)
    for stage in STAGES:
        names = stage.settings.alternatives
        given = over.get(stage.name)
        if stage.name in kept and isinstance(given, Mapping) and any(n in given for n in names):
            kept[stage.name] = {k: v for k, v in kept[stage.name].items() if k not in names}
    return laid_over(kept, over)


def read_sections(file: Path, seen: tuple[Path, ...] = ()) -> list[tuple[Path, dict[str, Any]]]:
    """Return the effective sections of a run file and of each of its parents, itself first.

    A parent can be a run file, or the folder of a run. Raises UserError if one cannot be read.
    """
    by = f" (extended by {seen[-1].name})" if seen else ""
    if file.is_dir() and (file / RUN_FILE).exists():
        file = file / RUN_FILE
    if file.resolve() in seen:
        raise UserError(f"{file} extends itself")
    try:
        own = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no run file {file}{by}; the templates of lskd are in runs/") from error
    except IsADirectoryError as error:
        raise UserError(
            f"{file}{by} is a folder, not a run file such as runs/photos.toml"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {file}{by}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}{by} is not TOML: {error}") from error
    if "extends" not in own:
        return [(file, own)]
    named = str(own["extends"])
    parent = opened(named) if is_url(named) else file.parent / named
    parents = read_sections(parent, (*seen, file.resolve()))
    above = {key: value for key, value in parents[0][1].items() if key not in OF_ITS_OWN}
    return [(file, overlaid(above, own)), *parents]


def parents_of(file: Path, sections: Mapping[str, Any]) -> list[Path]:
    """Return the folders of the runs that a run's folder names as its parents.

    Raises UserError unless they are texts.
    """
    given = sections.get("parents", [])
    if not isinstance(given, list) or not all(isinstance(root, str) for root in given):
        raise UserError(f'{file}: parents = {given!r}: expected folders, as ["out/photos"]')
    return [opened(root) for root in given]


def read_from(file: Path, sections: Mapping[str, Any]) -> dict[str, Path]:
    """Return the folders of the stages, by name, that a run's folder takes from other runs.

    Raises UserError unless they are texts.
    """
    given = sections.get("read_from", {})
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given.values()):
        raise UserError(
            f"{file}: read_from = {given!r}: expected a folder for each stage, as "
            'parse = "out/photos/parse"'
        )
    return {stage: located(name) for stage, name in given.items()}


def substituted(file: Path, sections: Mapping[str, Any]) -> dict[str, str]:
    """Return what a run file has in place of what it reproduces: by what, and why, by name.

    Raises UserError unless each entry of `[substituted]` is a text.
    """
    given = sections.get("substituted", {})
    if not isinstance(given, Mapping) or not all(isinstance(one, str) for one in given.values()):
        raise UserError(
            f'{file}: [substituted] has a line for each thing: narrator = "what stands in, and why"'
        )
    return dict(given)


class Planned(BaseModel):
    """What `lskd plan` takes where a run's pictures are not at hand: how many, and where.

    `cluster` is as with `--cluster`, or "" for one process.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: PositiveInt
    cluster: str = ""


def planned(file: Path, sections: Mapping[str, Any]) -> Planned | None:
    """Return the section `[plan]` of a run file, or None; raises UserError for a wrong one."""
    if "plan" not in sections:
        return None
    try:
        return Planned.model_validate(sections["plan"])
    except ValidationError as error:
        raise UserError(
            f"{file}: [plan] needs images, a whole number, and may have cluster, as in "
            f'"nodes=1,cpus=16,gpus=4": {error.errors()[0]["msg"].lower()}'
        ) from error


def checked(
    file: Path, sections: Mapping[str, Any], with_models: bool = False
) -> dict[str, BaseModel]:
    """Return every stage's settings, with names of `[models]` replaced by what they stand for.

    With `with_models` it is also checked that every model can be called as it is named. Raises
    UserError that lists all mistakes, each with the known names.
    """
    wrong: list[str] = []
    names = [stage.name for stage in STAGES]
    wrong += [
        f"no stage is called [{name}]; stages: {', '.join(names)}"
        for name in sections
        if name not in (*names, *TOP)
    ]
    flat = [name for name in (*names, "models") if not isinstance(sections.get(name, {}), Mapping)]
    if flat:
        told = ", ".join(f"{name} = {sections[name]!r:.60}" for name in flat)
        raise UserError(f"{file}: {told}: expected a section, as [{flat[0]}] with keys below it")
    models = sections.get("models", {})
    found: dict[str, BaseModel] = {}
    for stage in STAGES if "examples" not in sections else after_the_corpus():
        if stage.optional and stage.name not in sections:
            continue
        section = dict(sections.get(stage.name, {}))
        for key, _ in stage.roles():
            try:
                section |= chosen(section.get(key, key), key, models)
            except UserError as error:
                wrong.append(f"[{stage.name}] {error}")
        try:
            found[stage.name] = stage.settings(**section)
        except ValidationError as error:
            wrong += [explained(stage, dict(one)) for one in error.errors()]
    wrong += wrong_models(found) if with_models else []
    if not found and not wrong:
        those = ", ".join(f"[{stage.name}]" for stage in after_the_corpus())
        wrong.append(f"examples are given, but no section that uses them: give one of {those}")
    if wrong:
        raise UserError(f"{file}: " + "; ".join(wrong))
    return found


def after_the_corpus() -> tuple[Stage[Any], ...]:
    """Return the stages that need nothing but examples: those of a run that is given some.

    A run file with `examples = "out/lck"` takes them from a folder that `lskd import` or a run has
    made; all that leads to a corpus is then left out, with its sections.
    """
    there: set[type] = {Example}
    kept: list[Stage[Any]] = []
    maker = next(number for number, stage in enumerate(STAGES) if Example in stage.writes)
    for stage in STAGES[maker + 1 :]:
        if there.issuperset(stage.reads):
            kept.append(stage)
            there |= set(stage.writes)
    return tuple(kept)


def chosen(value: Any, key: str, models: Mapping[str, Any]) -> dict[str, Any]:
    """Return {key: model} where `value` is a model or names one of `models`; {} for the default.

    Raises UserError if it names none, or goes round in a circle.
    """
    asked = value
    for _ in range(len(models) + 1):
        if not isinstance(value, str):
            return {key: value}
        if value not in models:
            if value == key and asked == key:
                return {}
            raise UserError(
                f"{key}: no model {value!r} in [models]; there are: {', '.join(models)}"
            )
        value = models[value]
    raise UserError(f"{key}: {asked!r} in [models] names itself")


def explained(stage: Stage[Any], error: Mapping[str, Any]) -> str:
    """Return one mistake of a section in a few words."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = ", ".join(fields_at(stage.settings, error["loc"]))
        return f"[{stage.name}] has no setting {where!r}; it has: {known}"
    if error["type"] == "missing":
        return f"[{stage.name}] needs {where!r}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"[{stage.name}] {where + ': ' if where else ''}{message}"
    message = message[:1].lower() + message[1:]
    return f"[{stage.name}] {where}: {message}, not {error['input']!r}"


def fields_at(settings: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the settings that the innermost section on the way to a place has."""
    inner = settings
    for part in place[:-1]:
        hint = inner.model_fields[str(part)].annotation if part in inner.model_fields else None
        for kind in (hint, *typing.get_args(hint)):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                inner = kind
    return list(inner.model_fields)


def wrong_models(settings: Mapping[str, BaseModel], for_work: bool = False) -> list[str]:
    """Return what is wrong with the models of some stages: each mistake once, with who makes it.

    For work, more must be there than for a plan: a key in the environment.
    """
    found: dict[str, list[str]] = {}
    for stage in STAGES:
        for key, role, model in models_of(settings[stage.name]) if stage.name in settings else ():
            try:
                if role is not None:
                    check(role, model, for_work)
            except UserError as error:
                found.setdefault(str(error), []).append(f"[{stage.name}] {key}")
    return [f"{', '.join(who)}: {mistake}" for mistake, who in found.items()]
