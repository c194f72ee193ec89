"""Time the matching pass of a training step, with its gradients, against transformers' Q-Former.

The lab's base judges 285 texts about 48 views, as many as in a step of `runs/lab.toml`, about as
long and as unevenly spread. transformers' model of the same weights is given the features of each
text's view, as `Blip2ForImageTextRetrieval` gives them. First both answers are compared in float32;
then milliseconds of one processor in the precision that "auto" stands for here, medians of
interleaved repetitions. `python bench/matching.py`
"""

import logging
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Blip2ForImageTextRetrieval
from transformers.utils.logging import disable_progress_bar

from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Texts
from lskd.distil import base
from lskd.distil.stage import Settings
from lskd.training.precision import bf16

BASE = Path(__file__).parents[1] / "src/lskd/lab/base"
SIDE, VIEWS, TEXTS, SHORTEST, LONGEST, REPETITIONS = 144, 48, 285, 10, 28, 11


def given() -> tuple[Tensor, Tensor, Texts]:
    """Return features of views, the view of each text, and texts of random ids."""
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(VIEWS, (SIDE // 12) ** 2 + 1, 128, generator=chance)
    own = torch.arange(VIEWS).repeat_interleave(2)  # the pair, and a wrong text
    wrong = torch.randint(0, VIEWS, (TEXTS - len(own),), generator=chance)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (TEXTS,), generator=chance)
    mask = (torch.arange(LONGEST) < lengths[:, None]).long()
    ids = torch.randint(5, 500, (TEXTS, LONGEST), generator=chance) * mask
    return features, torch.cat([own, wrong]), Texts(ids, mask)


def plain(model: Any, features: Tensor, view: Tensor, texts: Texts) -> Tensor:
    """Return what transformers' Q-Former has its queries see, (texts, queries, width)."""
    queries = model.query_tokens.expand(len(texts), -1, -1)
    mask = torch.cat([texts.mask.new_ones(queries.shape[:2]), texts.mask], dim=1)
    embedded = model.embeddings(input_ids=texts.ids, query_embeds=queries)
    seen: Tensor = model.qformer(
        query_embeds=embedded,
        query_length=queries.shape[1],
        attention_mask=mask,
        encoder_hidden_states=features[view],
        return_dict=True,
    ).last_hidden_state
    return seen[:, : queries.shape[1]]


def ours(student: Stage1, features: Tensor, view: Tensor, texts: Texts) -> Tensor:
    """Return the same by lskd."""
    qformer = student.backbone.qformer
    return qformer.match(qformer.remember(features).seen_by(view), texts)


def main() -> None:
    """Print how far the answers are apart, and milliseconds of each way."""
    torch.set_num_threads(1)
    logging.getLogger("transformers").setLevel(
        logging.ERROR
    )  # else it tells of the heads that nobody asks here
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own
    features, view, texts = given()
    ways: dict[str, tuple[torch.nn.Module, Callable[[], Tensor]]] = {}
    for kind in ("eager", "sdpa"):
        model: Any = Blip2ForImageTextRetrieval.from_pretrained(BASE, attn_implementation=kind)
        ways[f"transformers, {kind}"] = model, partial(plain, model, features, view, texts)
    settings = Settings(
        weights=BASE.as_posix(), image=SIDE, tokens=60, attention="eager", dropout=0.0
    )
    student = base.load(settings, seed=0).student
    ways["lskd, eager"] = student, partial(ours, student, features, view, texts)
    for model, _ in ways.values():
        model.eval()  # without dropout
    with torch.no_grad():
        first, *others = (way() for _, way in ways.values())
        apart = max(float((one - first).abs().max()) for one in others)
    print(f"answers are at most {apart:.1e} apart, of a size of {float(first.abs().mean()):.2f}")
    lowered = bf16("auto", torch.device("cpu"))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPETITIONS):
        for name, (model, way) in ways.items():
            model.zero_grad()
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
                loss: Any = way().float().square().mean()
            loss.backward()
            seconds[name].append(time.process_time() - began)
    medians = {name: statistics.median(some[1:]) for name, some in seconds.items()}
    for name, found in medians.items():
        print(f"{name}: {1e3 * found:.0f} ms")
    own = medians.pop("lskd, eager")
    kind = "bf16" if lowered else "float32"
    print(f"lskd is {min(medians.values()) / own:.1f} times as fast ({kind})")


if __name__ == "__main__":
    main()
