"""What the writers of tiny checkpoints share, and a picture to show to the models."""

import string
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import transformers as typed_transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from lskd.picture import Picture, image_id
from lskd.types import Image

torch.set_num_threads(1)  # the models are too small to share out

# Its types lag behind what its constructors take.
transformers: Any = typed_transformers

WIDTH = 32
CATEGORIES = ("person", "dog", "cup")
CLIP_IMAGE: dict[str, Any] = {
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
}
SQUARE: dict[str, Any] = {"size": {"height": 32, "width": 32}}
TEXT: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
ENDS: dict[str, Any] = {"projection_size": WIDTH, "bos_token_id": 1, "eos_token_id": 2}
VISION: dict[str, Any] = {**TEXT, "image_size": 32, "patch_size": 8}
CHAT = (
    "{% for message in messages %}{{ message.role | capitalize }}: "
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def picture(folder: Path, width: int, height: int, seed: int) -> Picture:
    """Write a picture of coloured blocks, the same for the same seed, and return it."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = folder / f"{seed}-{width}x{height}.png"
    PIL.Image.fromarray(blocks).resize((width, height), PIL.Image.Resampling.BICUBIC).save(path)
    return Picture(Image(image_id(path.read_bytes()), str(path), width, height))


def byte_tokenizer(*special: str, starts: bool = False, **named: str) -> Any:
    """Return a tokenizer with a token for each byte and for each special text.

    `<pad>`, `<s>` and `</s>` are tokens 0, 1 and 2; with `starts`, a text begins with `<s>`. Those
    special texts that are `named` can be asked for by that name.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if starts:
        tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=named or list(special),
    )


def bert_tokenizer() -> Any:
    """Return a word-piece tokenizer that knows letters and a few words."""
    pieces = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "cat", "dog", "remote", "control"]
    return transformers.BertTokenizer(vocab={w: i for i, w in enumerate([*words, *pieces])})


def clip_tokenizer(**special: str) -> tuple[Any, dict[str, int]]:
    """Return a CLIP tokenizer with a token for each byte, and the text settings that match it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], **special)
    return tokenizer, {
        "vocab_size": len(pieces),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def opt_config(tokenizer: Any) -> Any:
    """Return an OPT for a byte tokenizer."""
    return transformers.OPTConfig(
        hidden_size=WIDTH,
        word_embed_proj_dim=WIDTH,
        ffn_dim=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        vocab_size=len(tokenizer),
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def t5_config(tokenizer: Any) -> Any:
    """Return a T5 for a byte tokenizer."""
    return transformers.T5Config(
        d_model=WIDTH,
        d_kv=8,
        d_ff=37,
        num_layers=1,
        num_heads=4,
        vocab_size=len(tokenizer),
        pad_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )


def written(folder: Path, kind: Any, config: Any, processor: Any) -> Path:
    """Write a model with random weights, the same in every run, and its processor."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config).eval()
        # The usual tiny initial weights would make every answer of a tiny model alike.
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.data.normal_(std=0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
