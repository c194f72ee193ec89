"""The processor of a model that chats: what turns its pictures and texts into tensors.

In: a checkpoint. Out: its processor, without the part for videos where this machine cannot have it.
Many families that read pictures read videos too, and their processors as a whole need torchvision,
although what they do with a picture does not.
"""

import re
from typing import Any

from transformers.models.auto import processing_auto
from transformers.processing_utils import ProcessorMixin

from lskd.checkpoints.checkpoint import (
    FAULTS,
    Checkpoint,
    image_processor_of,
    processor_of,
    tokenizer_of,
)
from lskd.errors import UserError

VIDEOS = "video_processor"
LACKING = re.compile(r"torchvision")


def reader_of(checkpoint: Checkpoint) -> Any:
    """Return what turns pictures and texts into tensors, padded on the left.

    Raises UserError for a checkpoint that has none, or one that needs a library that is missing.
    """
    try:
        return processor_of(checkpoint)
    except UserError as error:
        if not LACKING.search(str(error)):
            raise
        found = _without_videos(checkpoint)
        if found is None:
            raise
        return found


def _without_videos(checkpoint: Checkpoint) -> Any:
    """Return a processor that reads no videos, None if it is not that part of it that lacks."""
    try:
        told, _ = ProcessorMixin.get_processor_dict(
            checkpoint.name, revision=checkpoint.revision, trust_remote_code=False
        )
    except FAULTS:
        return None
    kind: Any = processing_auto.processor_class_from_name(told.get("processor_class", ""))
    if kind is None or VIDEOS not in kind.get_attributes():
        return None

    class Reader(kind):  # type: ignore[misc]
        def check_argument_for_proper_class(self, name: str, given: Any) -> Any:
            """Let the part for videos be None: nothing that reads pictures asks for it."""
            return None if name == VIDEOS else super().check_argument_for_proper_class(name, given)

    parts = {"image_processor": image_processor_of(checkpoint), VIDEOS: None}
    parts["tokenizer"] = tokenizer_of(checkpoint)
    parts["tokenizer"].padding_side = "left"
    try:
        return Reader.from_args_and_dict([parts[name] for name in kind.get_attributes()], told)
    except (ImportError, KeyError, TypeError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"cannot load the processor of {checkpoint.name}: {line}") from error
