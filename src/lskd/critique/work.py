"""The work of the stage `critic`: the parts are put together, trained, evaluated and written."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lskd import picture, table
from lskd.blip2 import features, weights
from lskd.blip2.features import Features
from lskd.blip2.given import VOCABULARY
from lskd.blip2.pixels import Eye
from lskd.blip2.scoring import Batching
from lskd.blip2.stage1 import Critic
from lskd.blip2.text import Tokenizer
from lskd.checkpoints.device import place
from lskd.critique import base, curve, note
from lskd.critique.digest import Digests
from lskd.critique.evaluation import Evaluation, Judged, evaluate
from lskd.critique.fit import MODEL
from lskd.critique.metrics import in_digits
from lskd.critique.note import About, Rating
from lskd.critique.rows import Row, Rows
from lskd.critique.settings import Settings
from lskd.critique.task import CriticObjective, CriticTask
from lskd.critique.trained import logits, read, verdicts
from lskd.stage import Context
from lskd.storage import files
from lskd.storage.address import shown
from lskd.training import loop, processes, published
from lskd.training.settings import FEATURES
from lskd.training.standing import TRAINING
from lskd.types import View

USE = "lskd.critique.trained:TrainedCritic"


def fitted(settings: Settings, rows: Rows, digests: Digests, context: Context) -> About | None:
    """Return the note of the critic of some rows; its weights are trained unless they are there.

    A process that does not lead trains with the others and returns None. Raises UserError if an
    image is no longer what it was, and for all that can end a training.
    """
    folder = context.folder / MODEL
    known = note.read(folder) if (folder / note.FILE).exists() else None
    with ThreadPoolExecutor(settings.workers) as pool:
        views = {row.view.image.id: row.view for row in rows.rows}
        # Before anything is trained: an image that is met in the last epoch would end it there.
        list(pool.map(_check_image, views.values()))
        eye = Eye(settings.look.marking, settings.look.image, pool)
        if processes.decided(known is None or known.training != digests.training):
            critic = train(settings, rows.of("train"), eye, digests.training, context)
        elif processes.leads():
            critic = read(folder).to(place("auto"))
        if not processes.leads():
            return None
        found = _evaluation(critic, rows.of("evaluate"), eye, settings)
    about = _about(settings, rows, found, digests, context.seed)
    curve.write(context.folder, found)
    note.write(folder, about)
    # They were for going on; what they led to is now in the critic's folder.
    for checkpoints in (context.folder / TRAINING).glob(f"*/{published.CHECKPOINTS}"):
        shutil.rmtree(checkpoints)
    _tell(found, context)
    return about


def train(
    settings: Settings, rows: Sequence[Row], eye: Eye, training: str, context: Context
) -> Critic:
    """Return a critic that was trained on some rows; the first process leaves it in its folder.

    What is left of a killed training is gone on from; a critic on other rows lies elsewhere.
    """
    critic = base.load(settings, context.seed)
    vocabulary = base.vocabulary(settings)
    tokenizer = Tokenizer(vocabulary)
    cut = sum(n > settings.tokens for n in tokenizer.lengths([row.text for row in rows]))
    if cut:
        context.say(f"{cut} of {len(rows)} texts are longer than `tokens`: they lose their end")
    backbone = critic.backbone
    backbone.freeze(vision=not settings.train_vision, ln_vision=not settings.train_ln_vision)
    if settings.recompute:
        backbone.recompute(vision=settings.train_vision)
    cached = settings.views != "fresh"
    sights: Features = eye
    if cached:
        sights = features.filled(
            backbone,
            lambda: (row.view for row in rows),
            eye,
            settings,
            context.folder / FEATURES,
            context.say,
        )
    objective = CriticObjective(critic, ratings(settings), cached)
    task = CriticTask(objective, rows, sights, tokenizer, settings.tokens)
    recipe = settings.recipe(steps_of(settings, len(rows)), context.seed)
    where = context.folder / TRAINING / training
    loop.fit(task, len(rows), recipe, where, context.say, lambda steps: None)
    if not processes.leads():
        return critic
    folder = context.folder / MODEL
    # The note comes last: where it lies, the rest is whole.
    files.remove(folder / note.FILE)
    weights.save(critic, folder)
    with table.draft(folder / VOCABULARY) as unfinished:
        shutil.copyfile(vocabulary, unfinished)
    return critic


def steps_of(settings: Settings, count: int) -> int:
    """Return the steps in which a critic takes all epochs of `count` rows."""
    return max(1, round(settings.epochs * count / min(settings.batch, count)))


def ratings(settings: Settings) -> tuple[Rating, ...]:
    """Return the regressions that are trained."""
    on = (settings.qa_loss, settings.rationale_loss)
    return tuple(name for name, wanted in zip(base.RATINGS, on, strict=True) if wanted)


def _check_image(view: View) -> None:
    """Raise UserError if an image is no longer what the stage `images` has decoded."""
    try:
        data = picture.read(view.image.path, view.image.id)
    except OSError:
        data = b""
    if picture.image_id(data) != view.image.id:
        picture.load(view.image)  # which says what is wrong


def _evaluation(critic: Critic, rows: Sequence[Row], eye: Eye, settings: Settings) -> Evaluation:
    verdict = verdicts(
        critic,
        Tokenizer(base.vocabulary(settings)),
        settings.look,
        [(row.view, row.text) for row in rows],
        eye,
        Batching(settings.batch_views, settings.batch_texts),
    )
    judged = [
        Judged(row.view.image.id, logit, row.label.accepted)
        for row, logit in zip(rows, logits(verdict), strict=True)
    ]
    return evaluate(judged, settings.target_precision)


def _about(settings: Settings, rows: Rows, found: Evaluation, digests: Digests, seed: int) -> About:
    accepted = sum(row.label.accepted for row in rows.rows)
    return About(
        use=USE,
        base=settings.weights,
        seed=seed,
        ratings=ratings(settings),
        temperature=found.temperature,
        judged=len(rows.rows),
        accepted=accepted / len(rows.rows),
        judgments=digests.judgments,
        training=digests.training,
        digest=digests.all,
        look=settings.look,
        quality=found.quality,
    )


def _tell(found: Evaluation, context: Context) -> None:
    if not found.judged:
        context.say("nothing was held out: how good this critic is cannot be told")
        return
    quality = found.quality
    figures = {
        "precision": quality.precision,
        "recall": quality.recall,
        "F1": quality.f1,
        "average precision": quality.average_precision,
        "calibration error": quality.calibration_error,
    }
    told = ", ".join(f"{n} {'unknown' if v is None else f'{v:.3f}'}" for n, v in figures.items())
    drawn = shown(context.folder / curve.SVG)
    context.say(f"on {found.judged} held-out triples: {told}; see {drawn}")
    if found.wished is not None:
        wished = found.wished
        context.say(
            f"threshold = {in_digits(wished, found.points)} in [corpus] keeps {wished.kept:.0%}, "
            f"of which people accept {wished.precision:.0%} ({wished.low:.0%} to {wished.high:.0%})"
        )
