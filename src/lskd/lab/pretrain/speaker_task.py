"""The sides of the training loop of a speaker: rows of banks in, losses out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.lab.pretrain.patches import normal
from lskd.lab.pretrain.speaker import Batch, Heard, Speaker, labels_of
from lskd.lab.pretrain.speaker_bank import Bank, Views
from lskd.lab.pretrain.speaker_lessons import KINDS
from lskd.training.task import StepLosses
from lskd.writing.masks import IGNORED

AT_ONCE = 64  # views that are looked at, or asked about when all is learnt
GISTS = 3.0  # how much more than an answer it weighs that views tell what sentences tell


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of a bank: ids, (lines, tokens) int64, and the scene of each among those taken."""

    prompts: Tensor
    targets: Tensor
    which: Tensor


def taken(bank: Bank, rows: Tensor, columns: Tensor) -> Lines:
    """Return lines of scenes `rows`, (scenes,), which are `columns`, (scenes, lines), of each.

    Both are on the processor. They are no longer than the longest of them.
    """
    prompt, target = bank.lengths[rows[:, None], columns].amax(dim=(0, 1)).tolist()
    device = bank.prompts.device
    at, some = rows[:, None].to(device), columns.to(device)
    which = torch.arange(len(rows), device=device)[:, None].expand(columns.shape)
    return Lines(
        bank.prompts[at, some, :prompt].flatten(0, 1).long(),
        bank.targets[at, some, :target].flatten(0, 1).long(),
        which.flatten(),
    )


def told(bank: Bank, rows: Tensor) -> Tensor:
    """Return the sentences of scenes, (scenes, sentences, tokens) int64."""
    longest = int(bank.longest[rows].max())
    return bank.sentences[rows.to(bank.sentences.device), :, :longest].long()


def drawn(bank: Bank, scenes: int, lines: int, generator: torch.Generator) -> Tensor:
    """Return which lines of some scenes are taken, by chance."""
    return torch.randint(bank.prompts.shape[1], (scenes, lines), generator=generator)


class WordTask:
    """Texts by number, each time with other questions: T5 learns the words of the world."""

    def __init__(self, model: Speaker, texts: Bank, lines: int) -> None:
        self.model = model
        self.texts = texts
        self.lines = lines

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return how unlikely the answers are."""
        device = self.model.gist.weight.device
        self.texts = self.texts.to(device)
        chosen = torch.tensor(rows)
        some = taken(self.texts, chosen, drawn(self.texts, len(rows), self.lines, generator))
        batch = Batch(None, told(self.texts, chosen), some.prompts, some.targets, some.which)
        heard: Heard = model(batch)
        read = unlikely(heard.logits, some.targets)
        return StepLosses(read, (("read", read),))


class SpeakTask:
    """Views by number, each time with other questions, beside as many texts as there are.

    `share` is how many texts there are for each view.
    """

    def __init__(
        self, model: Speaker, seen: Tensor, views: Bank, texts: Bank, lines: int, share: float
    ) -> None:
        self.model = model
        self.seen = seen
        self.views = views
        self.texts = texts
        self.lines = lines
        self.share = share

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return how unlikely the answers are, and how far views' tokens are from the gists."""
        device = self.model.gist.weight.device
        self.texts, self.views = self.texts.to(device), self.views.to(device)
        looked = torch.tensor(rows)
        read = torch.randint(
            len(self.texts), (max(1, round(self.share * len(rows))),), generator=generator
        )
        about = taken(self.views, looked, drawn(self.views, len(rows), self.lines, generator))
        of = taken(self.texts, read, drawn(self.texts, len(read), self.lines, generator))
        batch = Batch(
            features=self.seen[looked.to(self.seen.device)].to(device).float(),
            told=joined(told(self.views, looked), told(self.texts, read)),
            prompts=joined(about.prompts, of.prompts),
            targets=joined(about.targets, of.targets),
            which=torch.cat([about.which, of.which + len(rows)]),
        )
        heard: Heard = model(batch)
        lines = len(about.targets)
        spoken = unlikely(heard.logits[:lines], batch.targets[:lines])
        known = unlikely(heard.logits[lines:], batch.targets[lines:])
        total = spoken + known + GISTS * heard.apart
        return StepLosses(total, (("spoken", spoken), ("read", known), ("gists", heard.apart)))


def joined(first: Tensor, second: Tensor) -> Tensor:
    """Return rows of both, (rows, ..., tokens), padded to the longer."""
    width = max(first.shape[-1], second.shape[-1])
    pad = functional.pad
    return torch.cat([pad(rows, (0, width - rows.shape[-1])) for rows in (first, second)])


def unlikely(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of a target's token."""
    labels = labels_of(targets)
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED
    )


def looked(model: Speaker, views: Views, precision: torch.dtype) -> Tensor:
    """Return what the tower sees of views, (views, patches and one, width), on its device."""
    device = model.gist.weight.device
    kept = []
    for some in torch.split(views.pixels, AT_ONCE):
        kept.append(model.look(normal(some.to(device).permute(0, 3, 1, 2))).to(precision))
    return torch.cat(kept)


@torch.no_grad()
def right(model: Speaker, bank: Bank, seen: Tensor | None) -> dict[str, float]:
    """Return the share of questions, by kind, whose answer greedy writing would give in full.

    Asked are all questions of a bank, about pictures if they are `seen`, else about texts.
    """
    bank = bank.to(model.gist.weight.device)
    every = torch.arange(bank.prompts.shape[1])
    marks, kinds = [], []
    for rows in torch.split(torch.arange(len(bank)), AT_ONCE):
        some = taken(bank, rows, every.expand(len(rows), -1))
        features = None if seen is None else seen[rows.to(seen.device)].float()
        batch = Batch(features, told(bank, rows), some.prompts, some.targets, some.which)
        labels = labels_of(some.targets)
        best = model.eval()(batch).logits.argmax(dim=-1)
        marks.append(((best == labels) | (labels == IGNORED)).all(dim=1).cpu())
        kinds.append(bank.kinds[rows.to(bank.kinds.device)].flatten().cpu())
    mark, kind = torch.cat(marks).float(), torch.cat(kinds)
    shares = {name: mark[kind == number] for number, name in enumerate(KINDS)}
    return {name: round(float(share.mean()), 4) for name, share in shares.items() if len(share)}
