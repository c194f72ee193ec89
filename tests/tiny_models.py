"""What the writers of tiny checkpoints share, and a picture to show to the models."""

import string
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
import transformers as typed_transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import Stage1, new_student
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


STAGE1_WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] [ ] 0 1 2 3 ? . , : question answer rationale the a is what "
    "does this live feel comfortable house person dog cup left right red green no yes it because "
    "contradiction neutral entailment"
).split()


def stage1_size(kind: Literal["eva", "clip"]) -> Size:
    """Return a size of 2 x 2 patches for the words above."""
    return Size(
        VisionSize(kind, 28, 14, width=24, depth=2, heads=2, mlp=40),
        QFormerSize(
            width=16,
            depth=2,
            heads=2,
            mlp=32,
            queries=3,
            vocabulary=len(STAGE1_WORDS) + 1,
            positions=48,
            cross_every=1,
        ),
        embedding=8,
    )


def stage1(size: Size) -> Stage1:
    """Return a stage 1 of BLIP-2 with weights so large that texts and pictures matter."""
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng():
        model = new_student(size, dropout=0.0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return model.eval()


def openai_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a CLIPModel by the names and in the shapes of OpenAI's files."""
    theirs: dict[str, torch.Tensor] = {}
    for tower, start in (("vision_model", "visual."), ("text_model", "")):
        part = {n.removeprefix(f"{tower}."): t for n, t in tensors.items() if n.startswith(tower)}
        for name, tensor in part.items():
            if not name.startswith("encoder.layers."):
                theirs[start + OPENAI[name]] = tensor
                continue
            _, _, layer, *rest = name.split(".")
            block, inside = f"{start}transformer.resblocks.{layer}.", ".".join(rest)
            if inside.startswith("self_attn.q_proj."):
                kind = rest[-1]
                three = [part[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
                theirs[f"{block}attn.in_proj_{kind}"] = torch.cat(three)
            elif inside.startswith(("self_attn.k_proj.", "self_attn.v_proj.")):
                continue
            else:
                words = {"self_attn": "attn", "layer_norm1": "ln_1", "layer_norm2": "ln_2"}
                words |= {"fc1": "c_fc", "fc2": "c_proj"}
                theirs[block + ".".join(words.get(word, word) for word in rest)] = tensor
    theirs["visual.proj"] = tensors["visual_projection.weight"].T.contiguous()
    theirs["text_projection"] = tensors["text_projection.weight"].T.contiguous()
    theirs["logit_scale"] = tensors["logit_scale"]
    return theirs


OPENAI = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "pre_layrnorm.weight": "ln_pre.weight",
    "pre_layrnorm.bias": "ln_pre.bias",
    "post_layernorm.weight": "ln_post.weight",
    "post_layernorm.bias": "ln_post.bias",
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
