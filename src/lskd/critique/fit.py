"""Stage `critic`: a critic is trained on what people think of a sample of triples (section 2.3).

Its result is a folder, `out/<run>/critic/model/`, that `lskd.critique.trained:TrainedCritic` reads.
Beside it lie `curve.json` and `curve.svg` (Figure 2), and `training/<hash>/` with the losses, from
which a killed training goes on. Equal judgments of equal triples are not trained on twice, even
where the tables around them have grown.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from lskd.blip2.given import files_of, missing
from lskd.critique import digest, judgments, note
from lskd.critique.note import About
from lskd.critique.rows import Rows, rows_of
from lskd.critique.settings import Settings, judgment_files
from lskd.errors import JudgmentsNeeded, UserError
from lskd.presence import AFAR
from lskd.stage import Context, Parts, Stage
from lskd.storage.address import is_url, shown
from lskd.table import Tables
from lskd.training import processes, published
from lskd.types import Fit, Image, Regions, Reject, Sample, Triple

MODEL = "model"


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Train and evaluate the critic, if that is not done, and yield what it is worth.

    That lies in the first shard, with all rejects; the others are empty. Raises JudgmentsNeeded
    where there are no judgments yet.
    """
    rows = judged(settings, context, tables)
    digests = digest.of(settings, rows, context.seed)
    about = trained(context, digests)
    if processes.decided(about is None):
        # torch is not wanted by a run that waits for people, or has its critic.
        from lskd.critique.work import fitted

        about = fitted(settings, rows, digests, context)
    if about is None:
        return
    yield from untold(about, rows, context, tables)
    if processes.leads():
        published.clear(context.folder)


def is_due(settings: Settings, context: Context, tables: Tables) -> bool:
    """Return whether there is anything to train on, or to tell, that is not trained on or told.

    Raises as `whole` does.
    """
    quiet = dataclasses.replace(context, say=lambda text: None)
    rows = judged(settings, quiet, tables)
    about = trained(quiet, digest.of(settings, rows, quiet.seed))
    return about is None or any(untold(about, rows, quiet, tables))


def trained(context: Context, digests: digest.Digests) -> About | None:
    """Return what the note of a critic says, or None if it was not trained on just this."""
    folder = context.folder / MODEL
    about = note.read(folder) if (folder / note.FILE).exists() else None
    return about if about is not None and about.digest == digests.all else None


def untold(
    about: About, rows: Rows, context: Context, tables: Tables
) -> Iterator[tuple[str, list[Fit | Reject]]]:
    """Yield each shard that does not tell of this critic yet."""
    fit = fit_of(about, context.folder / MODEL)
    done, shards = tables.shards(Fit), tables.shards(Image)
    for shard in shards:
        fits, rejects = ([fit], list(rows.rejects)) if shard == shards[0] else ([], [])
        # A child of the run may spell the folder otherwise; all is scored again if that is written.
        kept = [dataclasses.replace(row, folder=fit.folder) for row in tables.read(Fit, shard)]
        told = kept == fits and tables.read(Reject, shard, context.stage) == rejects
        if shard not in done or not told:
            yield shard, [*fits, *rejects]
        context.tick(tables.count(Image, shard))


def fit_of(about: About, folder: Path) -> Fit:
    """Return what a critic is worth, by its note."""
    quality = about.quality
    return Fit(
        folder=folder.as_posix(),
        digest=about.digest,
        judged=about.judged,
        accepted=about.accepted,
        precision=quality.precision,
        recall=quality.recall,
        f1=quality.f1,
        average_precision=quality.average_precision,
        calibration_error=quality.calibration_error,
        temperature=about.temperature,
    )


def judged(settings: Settings, context: Context, tables: Tables) -> Rows:
    """Return all that can be learned from the judgments, and say what was left out.

    Raises UserError if that is nothing, JudgmentsNeeded if nobody has judged yet.
    """
    samples = [row for shard in tables.shards(Sample) for row in tables.read(Sample, shard)]
    if not samples:
        raise UserError(
            "no triples were drawn to be judged: the run file needs a section [sample], and the "
            "stage parse triples to draw from"
        )
    if settings.judgments is not None and is_url(settings.judgments):
        raise UserError(f"judgments = {settings.judgments!r}: {AFAR}")
    if not judgment_files(settings):
        raise JudgmentsNeeded(_wanted(settings, samples, tables))
    given = judgments.read(Path(str(settings.judgments)))
    if not given.judgments and not given.rejects:
        raise JudgmentsNeeded(_wanted(settings, samples, tables))
    rows = rows_of(given, tables, samples, settings.look, settings.annotators)
    if rows.rejects:
        first = rows.rejects[0]
        context.say(
            f"{len(rows.rejects)} judgments or triples are left out, the first because: "
            f"{first.reason} ({first.source}); see the stage's rejects"
        )
    _check(rows, settings)
    train, evaluate = rows.of("train"), rows.of("evaluate")
    context.say(
        f"{len(train)} judged triples to train on and {len(evaluate)} to evaluate on, of "
        f"{len(samples)} in the sample; people accept "
        f"{sum(row.label.accepted for row in rows.rows) / len(rows.rows):.0%}"
    )
    return rows


def _check(rows: Rows, settings: Settings) -> None:
    train = rows.of("train")
    if not train:
        first = f"; the first: {rows.rejects[0].reason}" if rows.rejects else ""
        raise UserError(
            f"{settings.judgments} has no judged triple to train on: {len(rows.rejects)} are left "
            f"out{first}"
        )
    accepted = sum(row.label.accepted for row in train)
    if accepted in (0, len(train)):
        which = "accepted" if accepted else "rejected"
        raise UserError(
            f"all {len(train)} judged triples to train on are {which}: a critic needs some of each"
        )


def _wanted(settings: Settings, samples: Sequence[Sample], tables: Tables) -> str:
    folder = shown(tables.file(Sample, "*").parent)
    given = (
        "" if settings.judgments is None else f" (judgments = {settings.judgments!r} has none yet)"
    )
    return (
        f"{len(samples)} triples in {folder} wait for {settings.annotators} people each to judge "
        f'them{given}: set judgments = "judgments.csv" in [critic], or a .jsonl or .parquet file, '
        f"with the columns {', '.join(judgments.COLUMNS)} and ratings of 1 (reject), 2 (maybe) or "
        "3 (accept), then run the same command again"
    )


def needs(settings: Settings) -> Sequence[str]:
    """Tell what the critic cannot begin with; a run that waits for people needs nothing yet."""
    return missing(settings, "critic") if judgment_files(settings) else ()


STAGE = Stage(
    name="critic",
    settings=Settings,
    reads=(Image, Regions, Triple, Sample),
    writes=(Fit, Reject),
    whole=whole,
    # It looks for new judgments each time; without any it yields nothing.
    grows=is_due,
    files=files_of,
    needs=needs,
    optional=True,
    together=True,
)
