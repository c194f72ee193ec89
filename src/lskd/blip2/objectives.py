"""The losses of the student (section 2.4: ITC, ITM and ITG) and of the critic (section 2.3).

ITC tells the text of an image from other texts, ITM tells pairs that match from hard negatives, ITG
writes the text. One pass of the Q-Former serves ITC's queries and ITG, and all passes share the
memory of the views. Every loss is a mean over all processes: where gradients are averaged over
them, as DistributedDataParallel does, N processes learn what one learns from the same rows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2 import ranks
from lskd.blip2.heads import similarity
from lskd.blip2.memory import Memory
from lskd.blip2.negatives import Kin, Negatives, Relation, choose, relate
from lskd.blip2.stage1 import Stage1, Verdict
from lskd.blip2.text import Texts, to_write

RATING_WEIGHT = 0.5  # of the squared error of either rating, as in the release


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of training: row r is a text about a view. All tensors are on the model's device.

    `features`, (views, tokens, width), are the vision tower's, before `ln_vision`. `images` and
    `wordings`, (rows,) int64, are `keys` of each row's image and text. `view`, (rows,) int64, tells
    which view a row is about; without it row r is about view r. `swapped` are wrong texts about the
    views of the rows `swapped_rows`, (swapped,) int64: negatives of ITM alone.
    """

    features: Tensor
    texts: Texts
    images: Tensor
    wordings: Tensor
    view: Tensor | None = None
    swapped: Texts | None = None
    swapped_rows: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Losses:
    """The three losses, each a number; on one process of several, its share of the mean."""

    itc: Tensor
    itm: Tensor
    itg: Tensor

    @property
    def total(self) -> Tensor:
        """Return their sum, which is what the paper minimises."""
        return self.itc + self.itm + self.itg


@dataclass(frozen=True, slots=True)
class _Step:
    """What the passes of one step share."""

    image: Tensor  # normed features, (views, tokens, width)
    memory: Memory
    view: Tensor  # (rows,) which of them a row is about
    numbers: list[int]  # rows of each process
    relation: Relation


class StudentObjective(nn.Module):
    """ITC + ITM + ITG of a student, to be wrapped for several processes like any module.

    `kin` says what rows of one image or of equal texts are to each other (`negatives.Kin`).
    `gathered_gradient` lets ITC's gradient flow through the features of both sides of a pair;
    LAVIS stops it at the side that was gathered. `smoothing` is that of ITC's and ITG's labels.
    `hard` draws the negatives of ITM by their similarity, as BLIP-2 does; else any is as likely.
    """

    def __init__(
        self,
        student: Stage1,
        decode_id: int,
        kin: Kin = "apart",
        gathered_gradient: bool = True,
        smoothing: float = 0.1,  # LAVIS
        hard: bool = True,
    ) -> None:
        super().__init__()
        self.hard = hard
        self.student = student
        self.decode_id = decode_id
        self.kin: Kin = kin
        self.gathered_gradient = gathered_gradient
        self.smoothing = smoothing

    def forward(
        self,
        batch: Batch,
        generator: torch.Generator | None = None,
        negatives: Negatives | None = None,
    ) -> Losses:
        """Return the losses of a batch, which may be of another length on each process.

        Hard negatives are drawn with `generator`, of the processor and in the same state on all
        processes, unless they are given.
        """
        backbone = self.student.backbone
        image = backbone.ln_vision(batch.features)
        step = self._prepare(batch, image, backbone.qformer.remember(image))
        writing = Texts(to_write(batch.texts, self.decode_id), batch.texts.mask)
        memory = step.memory if batch.view is None else step.memory.seen_by(batch.view)
        queries, states = backbone.qformer.write(memory, writing)
        to_texts, to_views = self.similarities(queries, batch.texts, step.numbers)
        if negatives is None:
            noise = _noise(step.numbers, generator).to(image.device)
            views, texts = (s if self.hard else torch.zeros_like(s) for s in (to_views, to_texts))
            negatives = choose(views, texts, step.relation, noise)
        return Losses(
            contrast_loss(to_texts, to_views, step.relation, self.smoothing, step.numbers),
            self._matching_loss(batch, step, negatives),
            self._writing_loss(writing, states),
        )

    def similarities(
        self, queries: Tensor, texts: Texts, numbers: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Return similarities over temperature, both (rows, all rows).

        The first is of each row's view to all texts, the second of each row's text to all views.
        """
        contrast = self.student.contrast
        views = contrast.of_views(queries)  # (rows, queries, embedding)
        words = contrast.of_texts(self.student.backbone.qformer.read(texts))  # (rows, embedding)
        kept = self.gathered_gradient
        all_views = ranks.gather(views if kept else views.detach(), numbers)
        all_words = ranks.gather(words if kept else words.detach(), numbers)
        to_texts = similarity(views, all_words) / contrast.temperature
        to_views = similarity(all_views, words).T / contrast.temperature  # (all, rows) turned
        return to_texts, to_views

    def _prepare(self, batch: Batch, image: Tensor, memory: Memory) -> _Step:
        rows, device = len(batch.texts), image.device
        numbers = ranks.counts(rows, device)
        start = sum(numbers[: ranks.own()])
        own = torch.arange(start, start + rows, device=device)
        images, wordings = (ranks.gather(t, numbers) for t in (batch.images, batch.wordings))
        relation = relate(images, wordings, own, self.kin)
        view = torch.arange(rows, device=device) if batch.view is None else batch.view
        return _Step(image, memory, view, numbers, relation)

    def _matching_loss(self, batch: Batch, step: _Step, negatives: Negatives) -> Tensor:
        memory, view, texts, labels = self._matching_rows(batch, step, negatives)
        verdict = self.student.judge(memory.seen_by(view), texts)
        loss = functional.cross_entropy(verdict.match, labels, reduction="sum")
        return _mean(loss, len(labels))

    def _matching_rows(
        self, batch: Batch, step: _Step, negatives: Negatives
    ) -> tuple[Memory, Tensor, Texts, Tensor]:
        """Return the rows of ITM: a memory, which of its views each is about, texts and labels.

        In turn: the pairs of the batch, texts with wrong images, images with wrong texts, swapped.
        """
        has_image, has_text = negatives.image >= 0, negatives.text >= 0
        memory, wrong_view = _foreign(
            self.student, step, negatives.image[has_image], batch.features.shape[0]
        )
        longest = ranks.largest(batch.texts.ids.shape[1], step.image.device)
        padded = batch.texts.padded(longest)
        world = Texts(
            ranks.gather(padded.ids, step.numbers), ranks.gather(padded.mask, step.numbers)
        )
        parts = [
            (step.view, batch.texts),
            (wrong_view, batch.texts.take(has_image.nonzero()[:, 0])),
            (step.view[has_text], world.take(negatives.text[has_text])),
        ]
        if batch.swapped is not None and batch.swapped_rows is not None:
            parts.append((step.view[batch.swapped_rows], batch.swapped))
        tokens = max(texts.ids.shape[1] for _, texts in parts)
        texts = [texts.padded(tokens) for _, texts in parts]
        labels = torch.zeros(sum(map(len, texts)), dtype=torch.int64, device=step.image.device)
        labels[: len(batch.texts)] = 1
        joint = Texts(torch.cat([t.ids for t in texts]), torch.cat([t.mask for t in texts]))
        return memory, torch.cat([view for view, _ in parts]), joint, labels

    def _writing_loss(self, writing: Texts, states: Tensor) -> Tensor:
        wanted = writing.mask[:, 1:].bool()  # each state foretells the next token
        # Only where a token is foretold, (rows, tokens - 1, width) -> (wanted, width): the logits
        # of all other places, a vocabulary wide, would be thrown away.
        logits = self.student.written(states[:, :-1][wanted])
        loss = functional.cross_entropy(
            logits, writing.ids[:, 1:][wanted], reduction="sum", label_smoothing=self.smoothing
        )
        return _mean(loss, wanted.sum())


def contrast_loss(
    to_texts: Tensor, to_views: Tensor, relation: Relation, smoothing: float, numbers: list[int]
) -> Tensor:
    """Return ITC: the mean of both directions' cross-entropy, over what may be compared.

    A row that may be compared with nothing but itself adds nothing.
    """
    positive, compared = relation.positive.float(), relation.compared.float()
    target = (1 - smoothing) * positive / positive.sum(dim=1, keepdim=True)
    target = target + smoothing * compared / compared.sum(dim=1, keepdim=True)
    losses = []
    for similarities in (to_texts, to_views):
        scores = similarities.float().masked_fill(~relation.compared, -torch.inf)
        logs = scores.log_softmax(dim=1).masked_fill(~relation.compared, 0.0)
        losses.append(-(target * logs).sum())
    return (losses[0] + losses[1]) / 2 * (ranks.count() / sum(numbers))


def critic_loss(
    verdict: Verdict,
    accepted: Tensor,
    qa: Tensor | None = None,
    rationale: Tensor | None = None,
) -> Tensor:
    """Return the multi-task loss of section 2.3: acceptance, and squared errors of the ratings.

    `accepted` is (texts,) int64, 1 or 0; the ratings are (texts,). A task without ratings is off
    (Table 1).
    """
    loss = functional.cross_entropy(verdict.match, accepted)
    for said, wanted in ((verdict.qa, qa), (verdict.rationale, rationale)):
        if said is not None and wanted is not None:
            loss = loss + RATING_WEIGHT * functional.mse_loss(said, wanted)
    return loss


def _foreign(student: Stage1, step: _Step, rows: Tensor, own_views: int) -> tuple[Memory, Tensor]:
    """Return a memory that has the views of any of all rows, and where in it those of `rows` are.

    Views of other processes are projected here if they are asked for, behind the own ones.
    """
    if ranks.count() == 1:
        return step.memory, step.view[rows]
    device = step.image.device
    views = ranks.counts(own_views, device)
    start = sum(views[: ranks.own()])
    of_row = ranks.gather(step.view + start, step.numbers)[rows]  # places among all views
    image = ranks.gather(step.image, views)
    mine = (of_row >= start) & (of_row < start + own_views)
    asked, place = torch.unique(of_row[~mine], return_inverse=True)
    # Asked even if nothing is foreign: the backward pass of `gather` waits for every process.
    memory = step.memory.join(student.backbone.qformer.remember(image[asked]))
    where = of_row - start
    where[~mine] = own_views + place
    return memory, where


def _noise(numbers: list[int], generator: torch.Generator | None) -> Tensor:
    """Return (2, rows, all rows) of exponential noise, which does not hang on who has which row."""
    everyone = torch.empty(2, sum(numbers), sum(numbers)).exponential_(generator=generator)
    start = sum(numbers[: ranks.own()])
    return everyone[:, start : start + numbers[ranks.own()]]


def _mean(loss: Tensor, count: Tensor | int) -> Tensor:
    """Return the share of this process in a mean over all that all processes counted."""
    everyone = ranks.total(torch.as_tensor(count, dtype=torch.float32, device=loss.device))
    return loss * (ranks.count() / everyone.clamp(min=1.0))
