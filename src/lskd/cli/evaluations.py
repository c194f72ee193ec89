"""The command that asks models the questions of benchmarks: evaluate."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lskd import table
from lskd.cli.options import AsJson, Images, Split, console, on_disk, plain_errors, printed
from lskd.errors import UserError
from lskd.storage import mirror

if TYPE_CHECKING:
    from lskd.evaluate.stage import Settings
    from lskd.evaluate.work import Evaluation

STUDENT = "lskd.evaluate.scorers.stage1:StudentScorer"
# By the class that reads a student: who scores texts by it, and by which head.
SCORERS = {
    "lskd.distil.generative.student:GenerativeStudent": (
        "lskd.evaluate.scorers.generative:GenerativeScorer",
        "likelihood",
    )
}


def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="A student's folder, a preset, or a TOML file of its form; NAME=MODEL names it.",
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="A benchmark and where its files lie."),
    ] = None,
    split: Split = "val",
    limit: Annotated[int | None, typer.Option(min=1, help="Read the first N rows of each.")] = None,
    images: Images = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Another program's: benchmark, task, item_id, scores in each line.",
        ),
    ] = None,
    leaks: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="What `lskd audit --out` has written.")
    ] = None,
    faults: Annotated[
        str, typer.Option(help="error, or skip: rows that cannot be asked are left out.")
    ] = "error",
    out: Annotated[Path, typer.Option("--out", help="Where results lie.")] = Path("out/evaluate"),
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="evaluate.KEY=VALUE", help="As in a run file's section [evaluate]."
        ),
    ] = None,
    lmms_eval: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Ask no model: write task files of VCR, A-OKVQA, SNLI-VE and Visual7W for "
            "lmms-eval.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask models the questions of benchmarks, and compare them with the first.

    What was answered is kept in --out and never asked again. A preset's weights are set so:
    --set evaluate.models.blip2-vit-g.weights=blip2_pretrained.pth

    Example: lskd evaluate blip-vit-l out/lab/distil/student --benchmark vcr=data/vcr
    """
    with plain_errors():
        on_disk(out, "--out")
        given: dict[str, Any] = {
            "models": models_of(models or [], predictions or []),
            "benchmarks": {},
            "faults": faults,
            "leaks": [str(file) for file in leaks or []],
        }
        about: dict[str, Any] = {"split": split}
        about |= {} if limit is None else {"limit": limit}
        about |= {} if images is None else {"images": str(images)}
        for text in benchmark or []:
            name, equals, folder = text.partition("=")
            if not equals:
                raise UserError(f"--benchmark {text!r}: the form is NAME=FOLDER, as vcr=data/vcr")
            given["benchmarks"][name] = {"folder": folder, **about}
        if lmms_eval is not None:
            tell_tasks(given, changes or [], lmms_eval, as_json)
            return
        found = evaluated(checked(given, changes or []), out)
        if as_json:
            sys.stdout.write((out / "summary.json").read_text(encoding="utf-8"))
            return
        shown(found, out)


def models_of(names: list[str], predictions: list[Path]) -> dict[str, Any]:
    """Return the entries that arguments stand for, by name.

    Raises UserError if one stands for nothing, or if two have one name.
    """
    found: dict[str, Any] = {}
    for text in names:
        name, equals, model = text.partition("=")
        if not equals:
            name, model = "", text
        folder = mirror.brought(model)
        _add(found, name or _short(folder), entry_of(folder, model))
    for file in predictions:
        _add(found, file.stem, {"predictions": str(file)})
    return found


def entry_of(path: Path, model: str) -> Any:
    """Return an entry: a student asked with its own words, or a preset by its name or file."""
    from lskd.distil import note

    if not path.is_dir():
        return {"preset": model}
    about = note.read(path)
    words = about.text
    use, score = SCORERS.get(about.use, (STUDENT, "itm"))
    return {
        "use": use,
        "folder": model,
        "protocol": {
            "score": score,
            "answer_text": words.answer.replace("{answer}", "{choice}"),
            "rationale_text": words.rationale.replace("{rationale}", "{choice}"),
        },
    }


def checked(given: dict[str, Any], changes: list[str]) -> "Settings":
    """Return the settings of the stage; raises UserError that lists all mistakes."""
    from pydantic import ValidationError

    from lskd import runfile
    from lskd.evaluate.stage import STAGE

    for change in changes:
        keys, value = runfile.parse_set(change)
        if keys[0] != STAGE.name:
            raise UserError(f"--set {change!r}: the form is evaluate.key=value here")
        for key in reversed(keys[1:]):
            value = {key: value}
        given = runfile.laid_over(given, value)
    try:
        settings = STAGE.settings(**given)
    except ValidationError as error:
        raise UserError(
            "; ".join(runfile.explained(STAGE, dict(one)) for one in error.errors())
        ) from error
    if wrong := runfile.wrong_models({STAGE.name: settings}, for_work=True):
        raise UserError("; ".join(wrong))
    return settings


def evaluated(settings: "Settings", out: Path) -> "Evaluation":
    """Evaluate without a run, in a folder of its own, and write the tables of the stage there."""
    from lskd import hold, progress
    from lskd.evaluate.stage import STAGE
    from lskd.evaluate.work import evaluate as work
    from lskd.facts import RunFacts
    from lskd.stage import Context
    from lskd.types import Outcome, Reject

    def facts() -> RunFacts:
        raise UserError("an evaluation without a run file has nothing to report of a run")

    context = Context(STAGE.name, out, 0, out / "journal.sqlite", facts)
    with hold.locked([out]), progress.display("auto").stage(STAGE.name, None) as bar:
        found = work(settings, dataclasses.replace(context, tick=bar.tick, say=bar.say))
        table.write(Reject, out / "reject" / "00000.parquet", found.rejects)
        table.write(Outcome, out / "outcome" / "00000.parquet", found.outcomes)
    return found


def shown(found: "Evaluation", out: Path) -> None:
    """Print the table of results, and where the rest is."""
    from lskd.evaluate import summary

    screen = console(160)
    for audited in (False, True):
        if audited and not any(one.audited for one in found.outcomes):
            continue
        title = "without what a training corpus touches" if audited else None
        grid = Table("model", *(c.title for c in summary.columns(found)), title=title)
        for line in summary.results(found, audited):
            grid.add_row(line.title, *line.cells)
        screen.print(grid)
    sys.stdout.write(f"summary: {out / 'summary.md'}\npictures: {out / 'evaluation.html'}\n")


def tell_tasks(given: dict[str, Any], changes: list[str], folder: Path, as_json: bool) -> None:
    """Write task files for lmms-eval, and say which."""
    from lskd.evaluate import lmms_eval, trial

    # No model is asked, but a section without one is none.
    settings = checked({**given, "models": {"none": {"predictions": "none"}}}, changes)
    tasks = lmms_eval.export(
        trial.read(settings.benchmarks, settings.faults, settings.leaks), folder
    )
    if as_json:
        printed([table.plain(task) | {"file": str(task.file)} for task in tasks])
        return
    for task in tasks:
        left = f", {task.left_out} left out" if task.left_out else ""
        sys.stdout.write(f"{task.file}: {task.rows} questions{left}\n")
    names = ",".join(task.name for task in tasks)
    sys.stdout.write(f"run them by: --include_path {folder} --tasks {names}\n")


def _add(found: dict[str, Any], name: str, entry: Any) -> None:
    if name in found:
        raise UserError(f"two models are called {name!r}: give one another name, as other={name}")
    found[name] = entry


def _short(path: Path) -> str:
    """Return a name: that of the run for a student in a run's folder, else the last part."""
    name = path.name.removesuffix(".toml")
    run, stage = path.absolute().parent.parent.name, path.parent.name
    if stage == "generative" and run:
        return f"{run}-generative"
    return run if stage == "distil" and run else name
