"""Time critic and student on an accelerator, beside what its arithmetic allows.

`python bench/accelerator.py`: BLIP-2 with ViT-g at 480 pixels and 128 text tokens, random weights,
bf16. Critic scoring is `lskd.blip2.scoring.score`; training is `lskd.training.loop.fit` itself,
with its seeds, checks and AdamW. Pixels and texts are made beforehand: what is timed is the device,
not the reading of pictures. A ceiling is `--peak` over the operations of a sample; that of critic
training counts the vision tower's recomputation. `--size tiny --device cpu` runs it all anywhere.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lskd.blip2.objectives import Batch, Losses, StudentObjective, critic_loss
from lskd.blip2.scoring import Ask, Batching, score, see
from lskd.blip2.size import QFormerSize, Size, VisionSize, vit_g
from lskd.blip2.stage1 import Critic, Stage1, new_critic, new_student
from lskd.blip2.text import Texts, collate
from lskd.errors import UserError
from lskd.training.loop import fit
from lskd.training.recipe import Precision, Recipe
from lskd.training.task import StepLosses, Task
from scoring import Operations

TINY = Size(
    VisionSize("eva", image=56, patch=14, width=48, depth=2, heads=2, mlp=96),
    QFormerSize(width=32, depth=2, heads=2, mlp=64, queries=4, vocabulary=100, positions=32),
    embedding=16,
)
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """What is timed, and how: `peak` in TFLOP/s, `seconds` for each line."""

    size: Size
    tokens: int
    device: torch.device
    precision: Precision
    peak: float
    seconds: float

    @property
    def operations(self) -> Operations:
        """Return what a view and a text of full length cost."""
        return Operations.of(self.size, self.tokens)

    @property
    def trained(self) -> float:
        """Return what a student's sample costs behind its vision tower, forth and back."""
        ops = self.operations
        match = 4 * ops.match  # the pair, two hard negatives, and the pass of ITC and ITG
        return 3 * (ops.memory + ops.read + match + (self.tokens - 1) * ops.words)

    def texts(self, number: int) -> list[tuple[int, ...]]:
        """Return texts of full length, of random tokens."""
        shape = (number, self.tokens - 2)
        drawn = torch.randint(
            5, self.size.qformer.vocabulary - 1, shape, generator=torch.Generator().manual_seed(0)
        )
        return [(2, *row, 3) for row in drawn.tolist()]

    def pixels(self, views: int) -> Tensor:
        """Return random pixels, (views, 3, side, side), on the device."""
        side = self.size.vision.image
        return torch.randn(views, 3, side, side, device=self.device)

    def line(self, name: str, speed: float, cost: float) -> str:
        """Return a line of the table: samples per second, beside what `cost` of each allows."""
        ceiling = self.peak * 1e12 / cost
        reached = f"{speed * cost / 1e12:9.3g} TFLOP/s"
        return f"{name:44} {speed:9.1f} {ceiling:10,.0f} {speed / ceiling:7.1%} {reached}"


class CriticStep(nn.Module):
    """Pixels and texts to the critic's loss, in one forward pass."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, pixels: Tensor, texts: Texts, accepted: Tensor, wanted: Tensor) -> Tensor:
        """Return the multi-task loss."""
        backbone = self.critic.backbone
        verdict = self.critic.judge(backbone.remember(backbone.features(pixels)), texts)
        return critic_loss(verdict, accepted, wanted, wanted)


class CriticTask:
    """The critic on random views, its vision tower trained with recomputed activations."""

    def __init__(self, bench: Bench, rows: int) -> None:
        with bench.device:
            critic = new_critic(bench.size)
        critic.backbone.recompute()
        self.model = CriticStep(critic)
        self.pixels = bench.pixels(rows)
        self.texts = collate(bench.texts(rows)).to(bench.device)
        self.accepted = (torch.arange(rows) % 2).to(bench.device)

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the loss of the rows."""
        taken = list(rows)
        accepted = self.accepted[taken]
        texts = self.texts.take(torch.tensor(taken, device=accepted.device))
        return StepLosses(model(self.pixels[taken], texts, accepted, accepted.float()))


class StudentStep(nn.Module):
    """Pixels, or features that were kept, to the student's losses, in one forward pass."""

    def __init__(self, objective: StudentObjective, cached: bool) -> None:
        super().__init__()
        self.objective = objective
        self.cached = cached

    def forward(
        self, given: Tensor, texts: Texts, keys: Tensor, generator: torch.Generator
    ) -> Losses:
        """Return the three losses."""
        features = given if self.cached else self.objective.student.backbone.features(given)
        losses: Losses = self.objective(Batch(features, texts, keys, keys), generator)
        return losses


class StudentTask:
    """The student on random views, its vision tower frozen."""

    def __init__(self, bench: Bench, rows: int, cached: bool) -> None:
        with bench.device:
            student = new_student(bench.size)
        student.backbone.freeze(vision=True)
        objective = StudentObjective(student, bench.size.qformer.vocabulary - 1)
        self.model = StudentStep(objective, cached)
        shape = (rows, bench.size.vision.tokens, bench.size.vision.width)
        kept = torch.bfloat16 if bench.precision == "bf16" else torch.float32
        self.given = (
            torch.randn(shape, device=bench.device, dtype=kept) if cached else bench.pixels(rows)
        )
        self.texts = collate(bench.texts(rows)).to(bench.device)
        self.keys = torch.arange(rows, device=bench.device)

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the losses of the rows."""
        taken = torch.tensor(list(rows), device=self.keys.device)
        losses: Losses = model(
            self.given[taken], self.texts.take(taken), self.keys[taken], generator
        )
        return StepLosses(losses.total)


class Enough(Exception):
    """Ends a training that was timed for long enough."""


def training_speed(bench: Bench, task: Task, rows: int) -> float:
    """Return the rows per second of a training, the first steps aside."""
    started, steps = 0.0, 0

    def tick(_: int) -> None:
        nonlocal started, steps
        steps += 1
        if steps == WARM_UP:
            started = time.perf_counter()
        if steps > WARM_UP and time.perf_counter() - started > bench.seconds:
            raise Enough

    # So long that it ends before the last step, which would write a checkpoint.
    long = 1_000_000
    recipe = Recipe(
        steps=long, batch=rows, precision=bench.precision, save_every=long, log_every=long
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(task, rows, recipe, Path(folder), print, tick)
        except Enough:
            return (steps - WARM_UP) * rows / (time.perf_counter() - started)
    raise AssertionError("the training ended by itself")


def scoring_speed(bench: Bench, critic: Critic | Stage1, views: int, texts: int) -> float:
    """Return the texts per second of scoring `texts` of each of some views."""
    pixels = bench.pixels(views).to(next(critic.parameters()).dtype)
    encoded = bench.texts(views * texts)
    asks = [Ask(number // texts, text) for number, text in enumerate(encoded)]
    look = see(critic, lambda some: pixels[list(some)])

    def work() -> None:
        score(critic, asks, look, Batching(views=views, texts=views * texts))  # ends on the CPU

    for _ in range(WARM_UP):
        work()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < bench.seconds:
        work()
        done += 1
    return done * len(asks) / (time.perf_counter() - started)


def scoring(bench: Bench, views: int) -> None:
    """Print the speed of critic scoring."""
    with bench.device:
        critic = new_critic(bench.size).eval()
    if bench.precision == "bf16":
        critic.bfloat16()
    ops = bench.operations
    for texts in (1, 3, 5):
        name = f"critic scoring, {texts} triple{'s' * (texts > 1)} a view"
        cost = (ops.vision + ops.memory) / texts + ops.match
        print(bench.line(name, scoring_speed(bench, critic, views, texts), cost), flush=True)


def critic_training(bench: Bench, rows: int) -> None:
    """Print the speed of critic training."""
    ops = bench.operations
    cost = 3 * (ops.vision + ops.memory + ops.match) + ops.vision  # the tower once more
    speed = training_speed(bench, CriticTask(bench, rows), rows)
    print(bench.line("critic training, vision tower recomputed", speed, cost), flush=True)


def student_training(bench: Bench, rows: int) -> None:
    """Print the speed of a student's step."""
    for cached, name in ((False, "student step"), (True, "student step, cached features")):
        cost = bench.trained + (0.0 if cached else bench.operations.vision)
        speed = training_speed(bench, StudentTask(bench, rows, cached), rows)
        print(bench.line(name, speed, cost), flush=True)


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=("vit_g", "tiny"), default="vit_g")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a trial of the bench")
    parser.add_argument("--peak", type=float, default=790.0, help="TFLOP/s of the device in bf16")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each line")
    parser.add_argument("--views", type=int, default=64, help="scored at once")
    parser.add_argument("--critic-rows", type=int, default=32, help="of a critic's batch")
    parser.add_argument("--student-rows", type=int, default=64, help="of a student's batch")
    return parser.parse_args()


def main() -> None:
    """Print samples per second beside their ceilings."""
    given = arguments()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "no accelerator here that torch can use: run this where there is one, or try it out "
            "with --size tiny --device cpu"
        )
    size, tokens = (vit_g(480), 128) if given.size == "vit_g" else (TINY, 32)
    bench = Bench(size, tokens, device, "bf16", given.peak, given.seconds)
    torch.manual_seed(0)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    v = size.vision
    print(
        f"{name}, torch {torch.__version__}, bf16: vision {v.width} wide, {v.depth} deep, "
        f"{v.tokens} tokens; texts of {tokens} tokens\n"
        f"{given.views} views scored at once, batches of {given.critic_rows} (critic) and "
        f"{given.student_rows} (student); ceilings at {given.peak:g} TFLOP/s\n\n"
        f"{'':44} samples/s    ceiling reached"
    )
    parts: tuple[tuple[Callable[[Bench, int], None], int], ...] = (
        (scoring, given.views),
        (critic_training, given.critic_rows),
        (student_training, given.student_rows),
    )
    for part, rows in parts:
        try:
            part(bench, rows)
        except (UserError, torch.OutOfMemoryError) as error:
            sys.exit(f"{part.__name__} with {rows} rows: {str(error).splitlines()[0]}")
        gc.collect()  # the weights of this part make room for those of the next
        if device.type == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
