"""Object detectors propose regions: those with a fixed list of categories, and those asked by word.

In: pictures. Out: for each, `Proposal`s in pixels of the upright image, clipped to it, best first.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image
import torch
import transformers

from lskd.checkpoints.checkpoint import (
    Checkpoint,
    image_processor_of,
    model_of,
    tokenizer_of,
)
from lskd.errors import UserError
from lskd.picture import Picture
from lskd.protocols import Proposal
from lskd.types import Box
from lskd.verbalize import labels

DETECTORS = "an object detector, such as DETR, RT-DETR, RF-DETR or D-FINE"
ZERO_SHOT_DETECTORS = "a zero-shot object detector: OWL-ViT, OWLv2 or (MM) Grounding DINO"

Tensors = Mapping[str, torch.Tensor]


class ObjectDetector:
    """A Proposer with the categories that it was trained on."""

    without_effect = frozenset({"batch_size", "device"})

    def __init__(
        self,
        checkpoint: str,
        threshold: float = 0.5,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 8,
    ) -> None:
        """Load the weights. Boxes with a score of `threshold` or less are left out.

        Raises UserError for a checkpoint or a setting that cannot be used.
        """
        _check(threshold, batch_size)
        self.threshold = threshold
        self.batch_size = batch_size
        source = Checkpoint(checkpoint, revision, device, dtype)
        kinds = transformers.MODEL_FOR_OBJECT_DETECTION_MAPPING
        self.model = model_of(source, kinds, DETECTORS)
        self.image_processor = image_processor_of(source)

    @torch.inference_mode()
    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        """Return the boxes of each image, most certain first."""
        found: list[list[Proposal]] = [[] for _ in pictures]
        for batch in _batches(pictures, self.image_processor, self.batch_size):
            outputs = self.model(**_moved(batch.inputs, self.model))
            results = _results(outputs, self.image_processor, self.threshold, batch.sizes)
            for index, result in zip(batch.indices, results, strict=True):
                found[index] = _proposals([result], [self.model.config.id2label])
        return found


@dataclass(frozen=True, slots=True)
class Query:
    """Words as one forward pass takes them, and which word each class of the output means."""

    inputs: Tensors
    names: Mapping[int, str]


class ZeroShotDetector:
    """A Proposer that is told in words what to look for."""

    without_effect = frozenset({"batch_size", "device"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        labels: Sequence[str] | str | None = None,
        threshold: float = 0.25,
        template: str = "{}",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 8,
    ) -> None:
        """Load the weights and prepare the words.

        `labels` is a list of words or the path of a label file; None means the built-in objects.
        `template` is what is asked for each ("a photo of a {}" suits OWLv2). Grounding DINO reads
        a limited text: more labels than fit are looked for in several passes.

        Raises UserError for a list, a checkpoint or a setting that cannot be used.
        """
        _check(threshold, batch_size)
        if template.count("{}") != 1:
            raise UserError(f"template = {template!r} must have one {{}}, where the label goes")
        self.threshold = threshold
        self.batch_size = batch_size
        words = _words(labels)
        source = Checkpoint(checkpoint, revision, device, dtype)
        kinds = transformers.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING
        self.model = model_of(source, kinds, ZERO_SHOT_DETECTORS)
        kind = self.model.config.model_type
        if kind not in QUERIES:
            raise UserError(f"{checkpoint} is a {kind} model; needed is {ZERO_SHOT_DETECTORS}")
        self.image_processor = image_processor_of(source)
        self.queries = QUERIES[kind](words, template, tokenizer_of(source), self.model.config)

    @torch.inference_mode()
    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        """Return the boxes of each image, most certain first."""
        found: list[list[Proposal]] = [[] for _ in pictures]
        names = [query.names for query in self.queries]
        for batch in _batches(pictures, self.image_processor, self.batch_size):
            passes = [self._looked_for(query, batch) for query in self.queries]
            for row, index in enumerate(batch.indices):
                found[index] = _proposals([results[row] for results in passes], names)
        return found

    def _looked_for(self, query: Query, batch: "Batch") -> list[dict[str, torch.Tensor]]:
        """Return what one query finds in each picture of a batch."""
        count = len(batch.indices)
        words = {name: rows.repeat(count, 1) for name, rows in query.inputs.items()}
        outputs = self.model(**_moved({**batch.inputs, **words}, self.model))
        return _results(outputs, self.image_processor, self.threshold, batch.sizes)


def _owl_queries(
    words: Sequence[str], template: str, tokenizer: Any, config: Any
) -> tuple[Query, ...]:
    """Return one query: a row of tokens for each word, a class for each row."""
    inputs = tokenizer(
        [template.format(word) for word in words],
        padding="max_length",
        truncation=True,
        max_length=config.text_config.max_position_embeddings,
        return_tensors="pt",
    )
    return (Query(dict(inputs), dict(enumerate(words))),)


def _dino_queries(
    words: Sequence[str], template: str, tokenizer: Any, config: Any
) -> tuple[Query, ...]:
    """Return queries of the form "a cat. a dog.", each as long as the model can read.

    Its classes are tokens; a token means the word that it is part of, a full stop the word before.
    """
    asked = [template.format(word).lower().replace(".", " ").strip() + "." for word in words]
    room = config.max_text_len - 2  # the tokens that begin and end a text
    lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in asked]
    if max(lengths) > room:
        raise UserError(f"label {words[lengths.index(max(lengths))]!r} is too long for the model")
    groups: list[list[int]] = [[]]
    for index, length in enumerate(lengths):
        if sum(lengths[other] for other in groups[-1]) + length > room:
            groups.append([])
        groups[-1].append(index)
    stop = tokenizer.convert_tokens_to_ids(".")
    queries = []
    for group in groups:
        inputs = tokenizer(" ".join(asked[index] for index in group), return_tensors="pt")
        stops = (inputs["input_ids"][0] == stop).long()
        owners = (stops.cumsum(0) - stops).clamp(max=len(group) - 1)
        names = {token: words[group[int(owner)]] for token, owner in enumerate(owners)}
        queries.append(Query(dict(inputs), names))
    return tuple(queries)


QUERIES = {
    "owlvit": _owl_queries,
    "owlv2": _owl_queries,
    "grounding-dino": _dino_queries,
    "mm-grounding-dino": _dino_queries,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures that have one size once prepared; `sizes` are (height, width) of the originals."""

    indices: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    inputs: Tensors


def _batches(pictures: Sequence[Picture], image_processor: Any, size: int) -> Iterator[Batch]:
    """Yield the pictures, prepared, at most `size` at a time.

    Pictures of unequal size would be padded in a batch, and the padding leaks into the boxes of a
    convolutional network: so only equals go together, and no result depends on its neighbours.
    """
    for start in range(0, len(pictures), size):
        pixels: list[PIL.Image.Image] = [one.pixels for one in pictures[start : start + size]]
        prepared = [image_processor(images=[one], return_tensors="pt") for one in pixels]
        equals: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, inputs in enumerate(prepared):
            equals[tuple(inputs["pixel_values"].shape)].append(row)
        for rows in equals.values():
            yield Batch(
                tuple(start + row for row in rows),
                tuple((pixels[row].height, pixels[row].width) for row in rows),
                {name: torch.cat([prepared[row][name] for row in rows]) for name in prepared[0]},
            )


def _moved(inputs: Tensors, model: Any) -> dict[str, torch.Tensor]:
    """Return the inputs on the model's device, numbers in its precision."""
    return {
        name: one.to(model.device, model.dtype if one.is_floating_point() else one.dtype)
        for name, one in inputs.items()
    }


def _results(
    outputs: Any, image_processor: Any, threshold: float, sizes: Sequence[tuple[int, int]]
) -> list[dict[str, torch.Tensor]]:
    """Return boxes (n, 4), scores (n,) and classes (n,) of each picture, in pixels."""
    outputs.logits = outputs.logits.float()
    outputs.pred_boxes = outputs.pred_boxes.float()
    found: list[dict[str, torch.Tensor]] = image_processor.post_process_object_detection(
        outputs, threshold=threshold, target_sizes=torch.tensor(sizes)
    )
    # A box that lies beside the picture is no region of it.
    kept = []
    for result, (height, width) in zip(found, sizes, strict=True):
        corners = result["boxes"].cpu()
        corners[:, 0::2].clamp_(0, width)
        corners[:, 1::2].clamp_(0, height)
        inside = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
        kept.append(
            {
                "boxes": corners[inside],
                "scores": result["scores"].cpu()[inside],
                "labels": result["labels"].cpu()[inside],
            }
        )
    return kept


def _proposals(
    results: Sequence[Mapping[str, torch.Tensor]], names: Sequence[Mapping[int, str]]
) -> list[Proposal]:
    """Return one picture's boxes of all passes, most certain first."""
    proposals = [
        Proposal(Box(*box), known[kind], score)
        for result, known in zip(results, names, strict=True)
        for box, kind, score in zip(
            result["boxes"].tolist(),
            result["labels"].tolist(),
            result["scores"].tolist(),
            strict=True,
        )
    ]
    return sorted(proposals, key=lambda one: -one.score)


def _words(chosen: Sequence[str] | str | None) -> tuple[str, ...]:
    """Return the distinct texts of a list, a label file or the built-in objects."""
    if chosen is None:
        found = labels.builtin("objects")
    elif isinstance(chosen, str):
        found = labels.read(Path(chosen))
    else:
        found = tuple(labels.Label(text, text.strip()) for text in chosen if text.strip())
    if not found:
        raise UserError("labels = [] is empty; say what to look for, such as ['person', 'cup']")
    return tuple(label.text for label in labels.distinct(found))


def _check(threshold: float, batch_size: int) -> None:
    """Raise UserError for a setting that makes no sense."""
    if not 0 <= threshold < 1:
        raise UserError(f"threshold = {threshold} must be at least 0 and below 1")
    if batch_size < 1:
        raise UserError(f"batch_size = {batch_size} must be 1 or more")
