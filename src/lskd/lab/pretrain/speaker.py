"""A speaker: an InternVL of the lab's own tower and a tiny language model, which sees all patches.

```
picture -> tower (the base's, frozen) -> patches, four to a token -> projector -+-> Qwen2 -> answer
                                                                  question -----+
```

It is written and read in transformers' own classes and files, so that `lskd.writing.chat` takes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from lskd.blip2.pixels import MEAN, SPREAD
from lskd.lab.pretrain import speaker_words
from lskd.writing.eyes import eyes_of
from lskd.writing.trained import write_whole

library: Any = transformers
images: Any = GotOcr2ImageProcessorPil

POSITIONS = 512
SLOW = 1e6  # so that what is alike finds itself wherever it stands
RATIO = 0.5  # of the patches' grid to that of the tokens, on each side
BICUBIC = 3  # as pictures of the lab are resized everywhere

# BLIP-2's names and what InternVL calls the same.
NAMES = (
    ("embeddings.class_embedding", "embeddings.cls_token"),
    ("embeddings.position_embedding", "embeddings.position_embeddings"),
    ("embeddings.patch_embedding", "embeddings.patch_embeddings.projection"),
    ("encoder.layers", "encoder.layer"),
    ("self_attn.projection", "attention.projection_layer"),
    ("layer_norm1", "layernorm_before"),
    ("layer_norm2", "layernorm_after"),
    ("post_layernorm", "layernorm"),
)
TOWER, JOINED = "vision_model.", "self_attn.qkv"


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the language model: width, inner width, heads and layers."""

    width: int = 128
    inner: int = 256
    heads: int = 4
    layers: int = 3


def internvl(base: Path, shape: Shape) -> Any:
    """Return an InternVL of the base's tower before a language model that knows nothing yet.

    What the base is, is read from it; its tower sees the same here as there. Raises UserError if it
    is no BLIP-2.
    """
    eyes = eyes_of(str(base))
    tokenizer = speaker_words.whole()
    text = library.Qwen2Config(
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        vocab_size=len(tokenizer),
        max_position_embeddings=POSITIONS,
        initializer_range=0.05,
        rope_parameters={"rope_type": "default", "rope_theta": SLOW},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    own = eyes.vision
    vision = library.InternVLVisionConfig(
        hidden_size=own.hidden_size,
        intermediate_size=own.intermediate_size,
        num_hidden_layers=own.num_hidden_layers,
        num_attention_heads=own.num_attention_heads,
        image_size=own.image_size,
        patch_size=own.patch_size,
        hidden_act=own.hidden_act,
        layer_norm_eps=own.layer_norm_eps,
        attention_bias=True,
        layer_scale_init_value=1.0,  # BLIP-2 has none
        use_mean_pooling=False,  # so that the norm behind the last layer is there
    )
    config = library.InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(speaker_words.PICTURE),
        image_seq_length=int(RATIO * own.image_size / own.patch_size) ** 2,
        downsample_ratio=RATIO,
    )
    model = library.InternVLForConditionalGeneration(config)
    tower = model.model.vision_tower
    scales = {name: w for name, w in tower.state_dict().items() if ".lambda_" in name}
    tower.load_state_dict({**_renamed(eyes.weights), **scales})
    return model.eval().requires_grad_(False)


def written(folder: Path, model: Any) -> None:
    """Write a speaker with its processor, in the format of transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder, model, Processor(model))


class Processor:
    """The processor of a speaker: what transformers writes, without the part for videos.

    That part needs torchvision, and a speaker sees none.
    """

    def __init__(self, model: Any) -> None:
        self.pictures = _pictures(model)
        self.tokens = model.config.image_seq_length

    def save_pretrained(self, folder: Path) -> None:
        """Write its files into a folder."""
        self.pictures.save_pretrained(folder)
        speaker_words.whole().save_pretrained(folder)
        about = {"processor_class": "InternVLProcessor", "image_seq_length": self.tokens}
        text = json.dumps(about, indent=1) + "\n"
        (folder / "processor_config.json").write_text(text, encoding="utf-8")


def _pictures(model: Any) -> Any:
    """Return what makes pixels of pictures: one square, as everywhere in the lab."""
    high, wide = model.config.vision_config.image_size
    return images(
        size={"height": high, "width": wide},
        crop_to_patches=False,
        resample=BICUBIC,
        image_mean=list(MEAN),
        image_std=list(SPREAD),
    )


def shuffled(model: Any, states: Tensor) -> Tensor:
    """Return a tower's states as the projector takes them: (views, tokens, 4 * width).

    `states` is (views, patches and one, width).
    """
    side = int((states.shape[1] - 1) ** 0.5)
    grid = states[:, 1:].reshape(len(states), side, side, -1)
    joined: Tensor = model.model.pixel_shuffle(grid, scale_factor=RATIO).flatten(1, 2)
    return joined


@torch.no_grad()
def looked(model: Any, pixels: Tensor) -> Tensor:
    """Return what the tower sees of normalised pixels, (views, 3, side, side), see `shuffled`."""
    return shuffled(model, model.model.vision_tower(pixels).last_hidden_state)


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a BLIP-2's tower under InternVL's names."""
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if not name.startswith(TOWER):
            continue
        own = name.removeprefix(TOWER)
        for theirs, ours in NAMES:
            own = own.replace(theirs, ours)
        if JOINED not in own:
            found[own] = tensor
            continue
        for part, piece in zip("qkv", tensor.chunk(3), strict=True):
            found[own.replace(JOINED, f"attention.{part}_proj")] = piece.contiguous()
    return found
