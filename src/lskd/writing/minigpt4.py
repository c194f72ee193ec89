"""Mini-GPT4 as a writer: vision tower and Q-Former of BLIP-2 before Vicuna (section 2.4).

In: Vicuna, a BLIP-2, and the file of Mini-GPT4's authors: a `.pth` that has under "model" the
tensors `llama_proj.weight` and `llama_proj.bias`, and those of the Q-Former where it was trained
too. Out: a writer on Blip2ForConditionalGeneration, with the picture in mid-prompt and the words
about it that its authors trained it with.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from lskd.blip2 import files
from lskd.blip2.pixels import MEAN, SPREAD
from lskd.checkpoints.checkpoint import Checkpoint, config_of, model_of, tokenizer_of
from lskd.errors import UserError
from lskd.writing import fourbit
from lskd.writing.bridged import BridgedWriter
from lskd.writing.eyes import PARTS, Eyes, by_our_names, eyes_of
from lskd.writing.masks import Layout
from lskd.writing.note import Note, lasting, without_none
from lskd.writing.parts import Settings, assembled
from lskd.writing.trained import base_of, commit_of

library: Any = transformers

USE = "lskd.writing.minigpt4:MiniGPT4Writer"
WANTED = "Vicuna or another LLaMA that writes, such as lmsys/vicuna-13b-v1.5"
PROJECTION = "language_projection."
# The words of its authors about the picture, the user's turn and the model's.
LAYOUT = Layout(before="###Human: <Img>", head="</Img> ", tail=" ###Assistant:", end="###")
SHOWN = 3  # names in an error


class MiniGPT4Writer(BridgedWriter):
    """A Writer on Mini-GPT4; see `Writer`."""

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        projection: str,
        blip2: str,
        vision: str | None = None,
        size: str = "vit_g",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        trained: str | None = None,
        image: int | None = None,
        context: int | None = None,
        ln_vision: bool = False,
        recompute: bool = False,
        batch: int = 8,
        bits: int | None = None,
    ) -> None:
        """Load the weights.

        `checkpoint` is Vicuna, `projection` the file of Mini-GPT4's authors; `blip2`, `vision` and
        `size` are those of `eyes.eyes_of`, the others of `parts.Settings`. With `bits` = 4 Vicuna's
        weights are shortened to that, see `fourbit`. Raises UserError for a file or a setting that
        cannot be used.
        """
        source = Checkpoint(checkpoint, revision, device, dtype)
        short = fourbit.settings(bits, source, fourbit.SPARED)
        text = config_of(source)
        if text.model_type != "llama":
            raise UserError(f"{checkpoint} is a {text.model_type} model; needed is {WANTED}")
        mapped = _mapped(Path(projection), text.hidden_size)
        eyes = eyes_of(blip2, vision, size)
        language = model_of(source, library.MODEL_FOR_CAUSAL_LM_MAPPING, WANTED, short)
        model = _joined(eyes, language, {**eyes.weights, **mapped}, f"{blip2} with {projection}")
        images = library.BlipImageProcessorPil(image_mean=MEAN, image_std=SPREAD)
        parts = assembled(
            model.to(source.place),
            tokenizer_of(source),
            images,
            LAYOUT,
            Settings(image, context, ln_vision, recompute, batch),
        )
        keys = without_none(
            checkpoint=lasting(checkpoint),
            projection=lasting(projection),
            blip2=lasting(blip2),
            vision=None if vision is None else lasting(vision),
            size=lasting(size),
            revision=commit_of(checkpoint, revision),
            image=image,
            context=context,
            ln_vision=ln_vision,
            bits=bits,
        )
        super().__init__(parts, Note(USE, keys, base_of(checkpoint, revision)), trained)


def _mapped(path: Path, width: int) -> dict[str, Tensor]:
    """Return the tensors of the authors' file by transformers' names.

    `width` is the language model's. Raises UserError if the file is not theirs, or does not fit.
    """
    tensors = by_our_names(files.read(path))
    weight = tensors.get(f"{PROJECTION}weight")
    if weight is None or f"{PROJECTION}bias" not in tensors:
        raise UserError(
            f"{path} is no projection of Mini-GPT4: it has no llama_proj.weight and llama_proj.bias"
        )
    if weight.shape[0] != width:
        raise UserError(
            f"{path} leads to a language model of width {weight.shape[0]}, not {width}: give the "
            "file that belongs to this size of Vicuna"
        )
    known = (*PARTS, PROJECTION)
    if unknown := sorted(name for name in tensors if not name.startswith(known)):
        raise UserError(f"{path} holds tensors that Mini-GPT4 has not, as {unknown[0]}")
    return tensors


def _joined(eyes: Eyes, language: Any, tensors: Mapping[str, Tensor], where: str) -> Any:
    """Return one model of its parts, frozen and in evaluation mode."""
    config = library.Blip2Config(
        vision_config=eyes.vision.to_dict(),
        qformer_config=eyes.qformer.to_dict(),
        text_config=language.config.to_dict(),
        num_query_tokens=eyes.queries,
    )
    with torch.device("meta"):  # its weights come from the files
        model = library.Blip2ForConditionalGeneration(config)
    model.language_model = language
    rest = {
        name: weight
        for name, weight in model.named_parameters()
        if not name.startswith("language_model.")
    }
    wrong = sorted(
        name
        for name, weight in rest.items()
        if name not in tensors or tensors[name].shape != weight.shape
    )
    if wrong:
        more = " ..." if len(wrong) > SHOWN else ""
        raise UserError(
            f"{where}: {len(wrong)} weights of tower, Q-Former and projection are missing or of "
            f"another size ({', '.join(wrong[:SHOWN])}{more})"
        )
    found = {name: tensors[name].to(language.dtype) for name in rest}
    model.load_state_dict(found, strict=False, assign=True)
    model.vision_model.post_layernorm.eps = eyes.eps
    return model.eval().requires_grad_(False)
