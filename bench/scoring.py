"""Time the sharing of work in lskd.blip2 against the same done plainly, at a scaled size.

`python bench/scoring.py`: 50 candidates for one image, a critic on 5 triples of each view, and a
student's training step. Widths and tokens are a quarter, depths a third of BLIP-2 ViT-g at 480
pixels, which leaves the shares of the operations as they are; these are printed beside the real
ones. Times are processor seconds of one thread, the median of interleaved repetitions.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional

from lskd.blip2.heads import similarity
from lskd.blip2.negatives import Negatives, relate
from lskd.blip2.objectives import Batch, Losses, StudentObjective, contrast_loss
from lskd.blip2.scoring import Ask, Batching, score, see
from lskd.blip2.size import QFormerSize, Size, VisionSize, vit_g
from lskd.blip2.stage1 import Critic, Stage1, new_critic, new_student
from lskd.blip2.text import Texts, collate, to_write

REAL, REAL_TEXT = vit_g(480), 128  # section 3: 128 tokens
SCALED = Size(
    VisionSize("eva", image=17 * 14, patch=14, width=352, depth=13, heads=4, mlp=1536),
    QFormerSize(width=192, depth=4, heads=3, mlp=768, queries=8, vocabulary=2544, positions=64),
    embedding=64,
)
SCALED_TEXT = REAL_TEXT // 4
CANDIDATES = 50  # of VisualCOMET
TRIPLES, VIEWS = 5, 4
ROWS = 8
DEC = SCALED.qformer.vocabulary - 1


@dataclass(frozen=True, slots=True)
class Operations:
    """Multiplications and additions of the parts of a forward pass."""

    vision: float
    memory: float
    match: float  # queries and a text, without the memory
    read: float
    look: float
    words: float  # the language head, for one token

    @classmethod
    def of(cls, size: Size, text: float) -> "Operations":
        """Count what one view, and one text of `text` tokens, costs."""
        v, q = size.vision, size.qformer
        block = 2 * v.tokens * (4 * v.width**2 + 2 * v.width * v.mlp) + 4 * v.tokens**2 * v.width
        patches = 2 * (v.tokens - 1) * 3 * v.patch**2 * v.width
        crossed = len(q.cross_layers)

        def layers(tokens: float) -> float:
            linear = 2 * tokens * (4 * q.width**2 + 2 * q.width * q.mlp)
            return q.depth * (linear + 4 * tokens**2 * q.width)

        cross = 2 * q.queries * 2 * q.width**2 + 4 * q.queries * v.tokens * q.width
        return cls(
            vision=v.depth * block + patches,
            memory=crossed * 2 * v.tokens * v.width * 2 * q.width,
            match=layers(q.queries + text) + crossed * cross,
            read=layers(text),
            look=layers(q.queries) + crossed * cross,
            words=2 * q.width * (q.vocabulary + q.width),
        )


def shares(size: Size, text: int) -> dict[str, float]:
    """Return the shares of one recomputed candidate's operations."""
    ops = Operations.of(size, text)
    whole = ops.vision + ops.memory + ops.match
    return {"vision": ops.vision / whole, "memory": ops.memory / whole, "match": ops.match / whole}


def texts_of(number: int, shortest: int, longest: int, seed: int) -> list[tuple[int, ...]]:
    """Return texts of random tokens and lengths."""
    rng = random.Random(seed)
    tokens = range(5, SCALED.qformer.vocabulary - 1)
    return [
        (2, *rng.choices(tokens, k=rng.randint(shortest, longest) - 2), 3) for _ in range(number)
    ]


def medians(ways: Sequence[Callable[[], object]], repetitions: int) -> list[float]:
    """Return the processor seconds of each way, run in turn."""
    seconds: list[list[float]] = [[] for _ in ways]
    for repetition in range(repetitions + 1):
        for way, taken in zip(ways, seconds, strict=True):
            start = time.process_time()
            way()
            if repetition:  # the first is to warm up
                taken.append(time.process_time() - start)
    return [statistics.median(taken) for taken in seconds]


def one_by_one(
    model: Stage1 | Critic, pixels: Tensor, asks: Sequence[Ask[int]], padded: int
) -> Tensor:
    """Return match logits; every question pays for its view, and is padded to `padded`."""
    said = []
    with torch.no_grad():
        for ask in asks:
            memory = model.backbone.remember(model.backbone.features(pixels[[ask.view]]))
            said.append(model.judge(memory, collate([ask.text]).padded(padded)).match)
    return torch.cat(said)


def compare_scoring(
    name: str, model: Stage1 | Critic, asks: Sequence[Ask[int]], repetitions: int
) -> None:
    """Print how much faster `score` answers than asking one by one."""
    views = 1 + max(ask.view for ask in asks)
    side = SCALED.vision.image
    pixels = torch.randn(views, 3, side, side, generator=torch.Generator().manual_seed(0))
    looked = see(model, lambda some: pixels[list(some)])
    batching = Batching(views=4, texts=64)

    def plain() -> Tensor:
        return one_by_one(model, pixels, asks, SCALED_TEXT)

    def shared() -> Tensor:
        return score(model, asks, looked, batching).verdict.match

    apart = float((plain() - shared()).abs().max())
    slow, fast = medians([plain, shared], repetitions)
    ops = Operations.of(SCALED, SCALED_TEXT)
    lengths = [len(ask.text) for ask in asks]
    each = [Operations.of(SCALED, length).match for length in lengths]
    before = len(asks) * (ops.vision + ops.memory + ops.match)
    after = views * (ops.vision + ops.memory) + sum(each)
    print(
        f"{name}: {views} views, {len(asks)} texts of {min(lengths)} to {max(lengths)} tokens "
        f"(plainly padded to {SCALED_TEXT})\n"
        f"  one by one {slow:.2f} s, score {fast:.3f} s: {slow / fast:.1f}x "
        f"(operations allow {before / after:.1f}x); logits differ by {apart:.0e}"
    )


def plain_step(student: Stage1, batch: Batch, pixels: Tensor, negatives: Negatives) -> Losses:
    """Return the losses of separate passes, each with its own memory, padded to the limit."""
    backbone, contrast, rows = student.backbone, student.contrast, len(batch.texts)
    features = backbone.features(pixels)
    image = backbone.ln_vision(features)
    memory = backbone.qformer.remember(image)
    texts = batch.texts.padded(SCALED_TEXT)
    everyone = torch.arange(rows)
    views = contrast.of_views(backbone.qformer.look(memory))
    words = contrast.of_texts(backbone.qformer.read(texts))
    similar = similarity(views, words) / contrast.temperature
    relation = relate(batch.images, batch.wordings, everyone, "apart")
    itc = contrast_loss(similar, similar.T, relation, 0.1, [rows])
    asked = backbone.qformer.remember(torch.cat([image, image[negatives.image], image]))
    matched = student.judge(asked, texts.take(torch.cat([everyone, everyone, negatives.text])))
    labels = (torch.arange(3 * rows) < rows).long()
    itm = functional.cross_entropy(matched.match, labels)
    writing = Texts(to_write(texts, DEC), texts.mask)
    _, states = backbone.qformer.write(memory, writing)
    logits = student.written(states[:, :-1]).flatten(0, 1)
    wanted = writing.ids[:, 1:].masked_fill(writing.mask[:, 1:] == 0, -100).flatten()
    itg = functional.cross_entropy(logits, wanted, label_smoothing=0.1)
    return Losses(itc, itm, itg)


def compare_steps(repetitions: int) -> None:
    """Print how much faster a student's fused step is, with and without cached features."""
    student = new_student(SCALED, dropout=0.0)
    student.backbone.freeze(vision=True)
    objective = StudentObjective(student, DEC)
    side = SCALED.vision.image
    pixels = torch.randn(ROWS, 3, side, side, generator=torch.Generator().manual_seed(0))
    encoded = texts_of(ROWS, 12, 24, 2)
    features = student.backbone.features(pixels)
    rows = torch.arange(ROWS)
    batch = Batch(features, collate(encoded), rows, rows)
    negatives = Negatives(rows.roll(1), rows.roll(2))

    def step(losses: Losses) -> Losses:
        student.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]  # torch's own
        return losses

    def plain() -> Losses:
        return step(plain_step(student, batch, pixels, negatives))

    def fused() -> Losses:
        seen = student.backbone.features(pixels)
        again = Batch(seen, batch.texts, batch.images, batch.wordings)
        return step(objective(again, negatives=negatives))

    def cached() -> Losses:
        return step(objective(batch, negatives=negatives))

    one, other = plain(), fused()
    apart = max(
        abs(float(a.detach() - b.detach()))
        for a, b in ((one.itc, other.itc), (one.itm, other.itm), (one.itg, other.itg))
    )
    slow, fast, fastest = medians([plain, fused, cached], repetitions)
    longest = max(len(tokens) for tokens in encoded)
    foretold = sum(len(tokens) - 1 for tokens in encoded) / ROWS
    wide, tight = Operations.of(SCALED, SCALED_TEXT), Operations.of(SCALED, longest)
    # A trained part costs its forward pass three times: once ahead, twice back.
    before = wide.vision + 3 * (
        4 * wide.memory + wide.look + wide.read + 4 * wide.match + (SCALED_TEXT - 1) * wide.words
    )
    trained = 3 * (tight.memory + tight.read + 4 * tight.match + foretold * tight.words)
    after = tight.vision + trained
    gain = (slow - fast) / slow / ((before - after) / before)
    print(
        f"student step: {ROWS} rows, texts of {min(map(len, encoded))} to {longest} tokens "
        f"(plainly padded to {SCALED_TEXT})\n"
        f"  plain {slow:.2f} s, fused {fast:.2f} s: {slow / fast:.2f}x (operations allow "
        f"{before / after:.2f}x, {gain:.0%} of that gain reached); losses differ by {apart:.0e}\n"
        f"  with cached features {fastest:.2f} s: {slow / fastest:.2f}x "
        f"(operations allow {before / trained:.2f}x)"
    )


def main() -> None:
    """Print sizes, shares and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions: int = parser.parse_args().repetitions
    torch.set_num_threads(1)
    torch.manual_seed(0)
    v, q = SCALED.vision, SCALED.qformer
    print(
        f"vision {v.width} wide, {v.depth} deep, {v.tokens} tokens; Q-Former {q.width} wide, "
        f"{q.depth} deep, {q.queries} queries + {SCALED_TEXT} tokens; one thread"
    )
    real, scaled = shares(REAL, REAL_TEXT), shares(SCALED, SCALED_TEXT)
    for part, share in real.items():
        print(f"  share of {part:6}: real {share:.2%}, here {scaled[part]:.2%}")
    number = count()
    student, critic = new_student(SCALED).eval(), new_critic(SCALED).eval()
    candidates = [Ask(0, text) for text in texts_of(CANDIDATES, 6, 12, next(number))]
    compare_scoring("candidates of one image, student", student, candidates, repetitions)
    triples = [
        Ask(n // TRIPLES, text)
        for n, text in enumerate(texts_of(TRIPLES * VIEWS, 12, 24, next(number)))
    ]
    compare_scoring("triples of each view, critic", critic, triples, repetitions)
    compare_steps(repetitions)


if __name__ == "__main__":
    main()
