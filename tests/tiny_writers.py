"""Tiny checkpoints of models that write, with random weights, and pictures to write about.

Each function writes a folder that `from_pretrained` reads and returns it, as those of
`checkpoints.py` do. The words are few, but there are enough for a model to be trained on them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from tiny_models import SQUARE, TEXT, VISION, WIDTH, transformers, written

Language = Literal["t5", "opt", "llama"]
Family = Literal["bytes", "pieces"]

SIDE = 32  # pixels of a picture's side
QUERIES = 4
POSITIONS = 128  # tokens that a decoder reads
CORPUS = (
    "question: what is [0] doing? answer: [0] is riding the red bicycle. rationale: [1] is a "
    "helmet, and people who ride wear one. Where is [2]? it is left of the green cup [3].",
    "Question: who holds [1]? Short answer: the woman in blue, yes or no ###Human: ###Assistant:",
)


def word_tokenizer(starts: bool = False, ends: bool = False, family: Family = "bytes") -> Any:
    """Return a tokenizer trained on a few sentences; any ASCII text can be spelt with it.

    "bytes" is byte-level as OPT's, "pieces" marks blanks as T5's and LLaMA's do. A text begins with
    `<s>` or ends with `</s>` on demand; those and `<pad>` are tokens 1, 2 and 0.
    """
    if family == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        alphabet = [chr(code) for code in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 120,
        special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
        initial_alphabet=list(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    first, last = "<s> " if starts else "", " </s>" if ends else ""
    if starts or ends:
        tokenizer.post_processor = TemplateProcessing(
            single=f"{first}$A{last}",
            special_tokens=[("<s>", 1), ("</s>", 2)],
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=["<image>"],
    )


def write_blip2_writer(folder: Path, language: Language = "t5") -> Path:
    """Write a BLIP-2 in front of a T5, an OPT or a LLaMA: 4 queries, 32 x 32 pixels."""
    family: Family = "bytes" if language == "opt" else "pieces"
    encodes = language == "t5"
    tokenizer = word_tokenizer(starts=not encodes, ends=encodes, family=family)
    text = {"t5": t5_text, "opt": opt_text, "llama": llama_text}[language](len(tokenizer))
    config = transformers.Blip2Config(
        vision_config=VISION,
        qformer_config={**TEXT, "vocab_size": 99, "encoder_hidden_size": WIDTH},
        text_config=text.to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    images = transformers.BlipImageProcessorPil(**SQUARE)
    processor = transformers.Blip2Processor(images, tokenizer, num_query_tokens=QUERIES)
    return written(folder, transformers.Blip2ForConditionalGeneration, config, processor)


def write_vicuna(folder: Path) -> Path:
    """Write a LLaMA with its tokenizer, as Vicuna is: no picture."""
    tokenizer = word_tokenizer(starts=True, family="pieces")
    return written(folder, transformers.LlamaForCausalLM, llama_text(len(tokenizer)), tokenizer)


def write_minigpt4(
    file: Path,
    text_width: int = WIDTH,
    width: int = WIDTH,
    more: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write a projection as Mini-GPT4's authors do: a .pth with its tensors under "model".

    It leads from a Q-Former's `width` to a language model's; `more` tensors lie beside.
    """
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "llama_proj.weight": torch.randn(text_width, width, generator=generator) * 0.3,
        "llama_proj.bias": torch.randn(text_width, generator=generator) * 0.3,
    }
    torch.save({"model": {**tensors, **(more or {})}, "optimizer": {}, "epoch": 3}, file)
    return file


def t5_text(words: int) -> Any:
    """Return a T5 of two layers."""
    return transformers.T5Config(
        d_model=WIDTH,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        vocab_size=words,
        pad_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )


def opt_text(words: int) -> Any:
    """Return an OPT of two layers."""
    return transformers.OPTConfig(
        hidden_size=WIDTH,
        word_embed_proj_dim=WIDTH,
        ffn_dim=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=POSITIONS,
        vocab_size=words,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def llama_text(words: int) -> Any:
    """Return a LLaMA of two layers."""
    return transformers.LlamaConfig(
        **TEXT,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        vocab_size=words,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def blocks(seed: int, side: int = SIDE) -> PIL.Image.Image:
    """Return a square picture of coloured blocks, the same for the same seed."""
    numbers = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return PIL.Image.fromarray(numbers).resize((side, side), PIL.Image.Resampling.NEAREST)
