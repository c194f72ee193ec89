"""A dual encoder (CLIP, SigLIP, SigLIP 2) names places, objects and concepts of a whole image.

In: pictures and three label lists. Out: `Concepts`, the labels nearest to each picture. The labels
of a list are embedded once and kept in a cache file.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import transformers

from lskd.checkpoints.checkpoint import (
    Checkpoint,
    digest,
    image_processor_of,
    model_of,
    tokenizer_of,
)
from lskd.errors import UserError
from lskd.picture import Picture
from lskd.types import Concept, Concepts
from lskd.verbalize import labels

WANTED = "a dual encoder with text and image features, such as CLIP, SigLIP or SigLIP 2"
TEXTS = 256  # prompts that are embedded at once


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The distinct labels of a list and how many of them a picture gets."""

    texts: tuple[str, ...]
    top: int


class DualEncoder:
    """A Tagger: zero-shot scores of every label of three lists (section 2.1).

    A model of the CLIP kind gives a softmax over its list: the scores of all labels sum to 1. One
    of the SigLIP kind (it has a `logit_bias`) gives each label its own sigmoid. Labels whose texts
    are equal count once.
    """

    without_effect = frozenset({"batch_size", "cache", "device"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        places: str | None = None,
        objects: str | None = None,
        concepts: str | None = None,
        top_places: int = 2,  # section 2.1, as are the next two
        top_objects: int = 3,
        top_concepts: int = 3,
        template: str | Sequence[str] = "a photo of {}",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 16,
        cache: str | None = None,
    ) -> None:
        """Load the weights and read the lists; labels are embedded when first asked for.

        `places`, `objects` and `concepts` are paths of label files, None for the built-in lists.
        Several templates make an ensemble: the mean of the unit-length text features, made
        unit-length again. `cache` is the folder of embedded labels, by default
        `$XDG_CACHE_HOME/lskd/labels` or `~/.cache/lskd/labels`.

        Raises UserError for a list, a checkpoint or a setting that cannot be used.
        """
        self.templates = (template,) if isinstance(template, str) else tuple(template)
        for one in self.templates:
            if one.count("{}") != 1:
                raise UserError(f"template = {one!r} must have one {{}}, where the label goes")
        if not self.templates:
            raise UserError("template = [] is empty; give at least one, such as 'a photo of {}'")
        if batch_size < 1 or min(top_places, top_objects, top_concepts) < 0:
            raise UserError("batch_size must be 1 or more, top_* 0 or more")
        self.vocabularies = (
            _vocabulary("places", places, top_places),
            _vocabulary("objects", objects, top_objects),
            _vocabulary("concepts", concepts, top_concepts),
        )
        self.cache = Path(cache) if cache is not None else _cache_home() / "lskd" / "labels"
        self.batch_size = batch_size
        self.checkpoint = Checkpoint(checkpoint, revision, device, dtype)
        self.model = model_of(self.checkpoint, transformers.MODEL_MAPPING, WANTED)
        for part in ("get_text_features", "get_image_features", "logit_scale"):
            if not hasattr(self.model, part):
                raise UserError(
                    f"{checkpoint} is a {self.model.config.model_type} model; needed is {WANTED}"
                )
        self.tokenizer = tokenizer_of(self.checkpoint)
        self.image_processor = image_processor_of(self.checkpoint)

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        """Return the labels of each image, most likely first."""
        tagged: list[Concepts] = []
        for start in range(0, len(pictures), self.batch_size):
            batch = pictures[start : start + self.batch_size]
            seen = self.image_features([picture.pixels for picture in batch])
            scored = [self._scores(seen, features) for features in self._label_features]
            for row, picture in enumerate(batch):
                places, objects, concepts = (
                    _best(vocabulary, scores[row])
                    for vocabulary, scores in zip(self.vocabularies, scored, strict=True)
                )
                tagged.append(Concepts(picture.image.id, places, objects, concepts))
        return tagged

    @torch.inference_mode()
    def image_features(self, pixels: Sequence[PIL.Image.Image]) -> torch.Tensor:
        """Return (images, width), float32, each row of unit length."""
        inputs = self.image_processor(images=list(pixels), return_tensors="pt")
        inputs = inputs.to(self.model.device, self.model.dtype)
        return _unit(self.model.get_image_features(**inputs))

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, width), float32, each row of unit length: the mean over the templates."""
        kept: list[torch.Tensor] = []
        for start in range(0, len(texts), TEXTS):
            part = texts[start : start + TEXTS]
            each = [
                self._prompt_features([one.format(text) for text in part]) for one in self.templates
            ]
            mean = torch.stack(each).mean(dim=0)  # (templates, texts, width) -> (texts, width)
            kept.append(torch.nn.functional.normalize(mean, dim=-1))
        return torch.cat(kept)

    def _prompt_features(self, prompts: list[str]) -> torch.Tensor:
        """Return (prompts, width), float32, each row of unit length."""
        # SigLIP was trained on lower-case texts of full length; for CLIP neither changes anything.
        inputs = self.tokenizer(
            [prompt.lower() for prompt in prompts] if self._has_sigmoid else prompts,
            padding="max_length" if self._has_sigmoid else "longest",
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        return _unit(self.model.get_text_features(**inputs.to(self.model.device)))

    @property
    def _has_sigmoid(self) -> bool:
        return hasattr(self.model, "logit_bias")

    @torch.inference_mode()
    def _scores(self, seen: torch.Tensor, features: torch.Tensor) -> np.ndarray[Any, Any]:
        """Return (images, labels), float32: the probability of each label."""
        logits = seen @ features.T * self.model.logit_scale.float().exp()
        if self._has_sigmoid:
            scores: torch.Tensor = (logits + self.model.logit_bias.float()).sigmoid()
        else:
            scores = logits.softmax(dim=-1)
        return scores.cpu().numpy()

    @cached_property
    def _label_features(self) -> tuple[torch.Tensor, ...]:
        """Return (labels, width) of each list, from the cache or freshly embedded."""
        weights = digest(self.checkpoint.name, self.checkpoint.revision)
        return tuple(self._embedded(one.texts, weights) for one in self.vocabularies)

    def _embedded(self, texts: tuple[str, ...], weights: str) -> torch.Tensor:
        """Return (labels, width) of one list; write the cache file if it is not there."""
        parts = (weights, str(self.model.dtype), *self.templates, "", *texts)
        key = hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
        path = self.cache / f"{key}.npy"
        kept = _kept(path, len(texts))
        if kept is None:
            _writable(self.cache)  # said before minutes of work, not after
            kept = self.text_features(texts).cpu().numpy()
            partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
            with partial.open("wb") as stream:
                np.save(stream, kept, allow_pickle=False)
            partial.replace(path)
        return torch.from_numpy(kept).to(self.model.device)


def _vocabulary(kind: labels.Kind, path: str | None, top: int) -> Vocabulary:
    """Return the distinct labels of a file, or of the built-in list."""
    found = labels.builtin(kind) if path is None else labels.read(Path(path))
    return Vocabulary(tuple(label.text for label in labels.distinct(found)), top)


def _best(vocabulary: Vocabulary, scores: np.ndarray[Any, Any]) -> tuple[Concept, ...]:
    """Return the most likely labels; of equals, the first in the file."""
    order: Iterable[int] = np.argsort(-scores, kind="stable")
    return tuple(
        Concept(vocabulary.texts[index], float(scores[index]))
        for index in islice(order, vocabulary.top)
    )


def _unit(output: Any) -> torch.Tensor:
    """Return a model's features as float32 rows of unit length.

    From version 5 on, transformers wraps them in an output with a `pooler_output`.
    """
    features = output if isinstance(output, torch.Tensor) else output.pooler_output
    return torch.nn.functional.normalize(features.float(), dim=-1)


def _kept(path: Path, rows: int) -> np.ndarray[Any, Any] | None:
    """Return what a cache file holds; None if it is absent or not whole."""
    try:
        kept: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.ndim == 2 and len(kept) == rows else None


def _cache_home() -> Path:
    """Return the user's cache folder, as the XDG convention and the model hub have it."""
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home) if home else Path.home() / ".cache"


def _writable(folder: Path) -> None:
    """Make the cache folder; raise UserError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; set `cache`") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write {folder}: no permission; set `cache` to another folder")
