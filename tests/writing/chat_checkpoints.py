"""Writers of tiny image-text-to-text models that chat, each in its family's own format.

Their processors are written file by file: those of most families read videos too, and as a whole
need torchvision. Templates are short, in the words of each family.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from lskd.writing.chat import ChatWriter
from lskd.writing.writer import Line, Sight
from tiny_models import CLIP_IMAGE, SQUARE, TEXT, VISION, WIDTH, byte_tokenizer, transformers

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As LLaVA 1.5 is spoken to: nothing but the model's own token ends a turn.
ROLES = (
    "{% for message in messages %}{{ message.role | upper }}: "
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
# As SmolVLM is: the model's turn begins without a blank, its words come after one.
UTTERANCES = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content[0].type == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
# As Gemma is: it writes the token that begins a text, and calls itself "model".
TURNS = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<start_of_image>{% else %}{{ part.text | trim }}{% endif %}"
    "{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

LANGUAGE: dict[str, Any] = {
    **TEXT,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def write(folder: Path, kind: Any, config: Any, parts: Mapping[str, Any], **settings: Any) -> Path:
    """Write a model with random weights, the same in every run, and its processor's files.

    `parts` are image processor and tokenizer; `settings` go into processor_config.json.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config).eval()
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.data.normal_(std=0.3)
    model.save_pretrained(folder)
    for part in parts.values():
        part.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return folder


def chatml_tokenizer(image: str, *special: str, **named: str) -> Any:
    """Return a byte tokenizer with the control tokens of ChatML and its template."""
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>", *special, starts=False, **named)
    if named:  # those that are named are all that the constructor takes
        tokenizer.add_special_tokens(
            {"additional_special_tokens": ["<|im_start|>", "<|im_end|>", *special]}
        )
    tokenizer.chat_template = CHATML.replace("IMAGE", image)
    return tokenizer


def write_smolvlm(folder: Path, **images: Any) -> Path:
    """Write a SmolVLM: pictures of up to 64 pixels in tiles of 32, 4 tokens each."""
    rows = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    tokenizer = byte_tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
        "<|im_start|>", *rows,
    )  # fmt: skip
    tokenizer.chat_template = UTTERANCES
    number = tokenizer.convert_tokens_to_ids
    config = transformers.SmolVLMConfig(
        vision_config={**VISION, "model_type": "smolvlm_vision"},
        text_config=transformers.LlamaConfig(**LANGUAGE, vocab_size=len(tokenizer)),
        image_token_id=number("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    settings = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}, **images}
    parts = {
        "images": transformers.SmolVLMImageProcessorPil(**settings),
        "tokenizer": tokenizer,
    }
    return write(
        folder,
        transformers.SmolVLMForConditionalGeneration,
        config,
        parts,
        processor_class="SmolVLMProcessor",
        image_seq_len=4,
    )


def write_idefics3(folder: Path) -> Path:
    """Write an Idefics3: pictures of up to 64 pixels in tiles of 32, 4 tokens each."""
    rows = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    tokenizer = byte_tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
        "<|im_start|>", *rows,
    )  # fmt: skip
    tokenizer.chat_template = UTTERANCES
    config = transformers.Idefics3Config(
        vision_config={**VISION, "model_type": "idefics3_vision"},
        text_config=transformers.LlamaConfig(**LANGUAGE, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    return write(
        folder,
        transformers.Idefics3ForConditionalGeneration,
        config,
        {"images": images, "tokenizer": tokenizer},
        processor_class="Idefics3Processor",
        image_seq_len=4,
    )


def write_llava(folder: Path) -> Path:
    """Write a LLaVA: 32 x 32 pixels cut from the middle, 16 tokens; texts begin with <s>."""
    tokenizer = byte_tokenizer("<image>", starts=True)
    tokenizer.chat_template = ROLES
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(**LANGUAGE, vocab_size=len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return write(
        folder,
        transformers.LlavaForConditionalGeneration,
        config,
        {"images": transformers.CLIPImageProcessorPil(**CLIP_IMAGE), "tokenizer": tokenizer},
        processor_class="LlavaProcessor",
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def write_llava_onevision(folder: Path) -> Path:
    """Write a LLaVA-OneVision: a view of 32 pixels and tiles of it, rows that end with a token."""
    tokenizer = chatml_tokenizer("<image>", "<image>", "<video>")
    number = tokenizer.convert_tokens_to_ids
    grid = [[32, 32], [32, 64], [64, 32], [64, 64]]
    config = transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**VISION, vision_use_head=False),
        text_config=transformers.Qwen2Config(**LANGUAGE, vocab_size=len(tokenizer)),
        image_token_index=number("<image>"),
        video_token_index=number("<video>"),
        image_grid_pinpoints=grid,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    images = transformers.LlavaOnevisionImageProcessorPil(**SQUARE, image_grid_pinpoints=grid)
    return write(
        folder,
        transformers.LlavaOnevisionForConditionalGeneration,
        config,
        {"images": images, "tokenizer": tokenizer},
        processor_class="LlavaOnevisionProcessor",
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
    )


QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN_TOKENS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")


def write_qwen(folder: Path, family: str) -> Path:
    """Write a Qwen2-VL, Qwen2.5-VL or Qwen3-VL: pictures of 28 or 32 pixels a token."""
    tokenizer = chatml_tokenizer(QWEN_IMAGE, *QWEN_TOKENS)
    number = tokenizer.convert_tokens_to_ids
    text = {**LANGUAGE, "vocab_size": len(tokenizer)}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    towers: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
        "qwen2_vl": ("Qwen2VL", {"embed_dim": WIDTH, "hidden_size": WIDTH, "mlp_ratio": 2}, {}, 14),
        "qwen2_5_vl": (
            "Qwen2_5_VL",
            {
                "hidden_size": WIDTH,
                "intermediate_size": 37,
                "out_hidden_size": WIDTH,
                "window_size": 56,
                "fullatt_block_indexes": [1],
            },
            {},
            14,
        ),
        "qwen3_vl": (
            "Qwen3VL",
            {
                "hidden_size": WIDTH,
                "intermediate_size": 37,
                "out_hidden_size": WIDTH,
                "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0, 1],
            },
            {"head_dim": 8},
            16,
        ),
    }
    name, vision, more, patch = towers[family]
    config = getattr(transformers, f"{name}Config")(
        text_config={**text, **more, "rope_parameters": rope},
        vision_config={"depth": 2, "num_heads": 4, "patch_size": patch, **vision},
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    side = 2 * patch
    images = transformers.Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": side * side, "longest_edge": 9 * side * side}
    )
    kind = getattr(transformers, f"{name}ForConditionalGeneration")
    parts = {"images": images, "tokenizer": tokenizer}
    return write(folder, kind, config, parts, processor_class=f"{name}Processor")


def write_gemma3(folder: Path) -> Path:
    """Write a Gemma 3: 32 x 32 pixels, 4 tokens that see each other; one layer sees 24 tokens."""
    tokenizer = byte_tokenizer(
        starts=True,
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]},
        replace_extra_special_tokens=False,
    )
    tokenizer.chat_template = TURNS
    number = tokenizer.convert_tokens_to_ids
    config = transformers.Gemma3Config(
        text_config={
            **LANGUAGE,
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            "sliding_window": 24,  # fewer tokens than the tests' prompts have
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config=VISION,
        mm_tokens_per_image=4,
        image_token_index=number("<image_soft_token>"),
        boi_token_index=number("<start_of_image>"),
        eoi_token_index=number("<end_of_image>"),
    )
    return write(
        folder,
        transformers.Gemma3ForConditionalGeneration,
        config,
        {"images": transformers.Gemma3ImageProcessorPil(**SQUARE), "tokenizer": tokenizer},
        processor_class="Gemma3Processor",
        image_seq_length=4,
    )


def write_internvl(folder: Path) -> Path:
    """Write an InternVL: tiles of 32 pixels and a view of all, 4 tokens each."""
    tokenizer = chatml_tokenizer(
        "<IMG_CONTEXT>",
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = transformers.InternVLConfig(
        vision_config=transformers.InternVLVisionConfig(
            **{**VISION, "image_size": [32, 32], "patch_size": [8, 8]}
        ),
        text_config=transformers.Qwen2Config(**LANGUAGE, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    images = transformers.models.got_ocr2.image_processing_pil_got_ocr2.GotOcr2ImageProcessorPil(
        **SQUARE, crop_to_patches=True, min_patches=1, max_patches=4
    )
    return write(
        folder,
        transformers.InternVLForConditionalGeneration,
        config,
        {"images": images, "tokenizer": tokenizer},
        processor_class="InternVLProcessor",
        image_seq_length=4,
    )


def write_qwen2_vl(folder: Path) -> Path:
    """Write a Qwen2-VL."""
    return write_qwen(folder, "qwen2_vl")


def write_qwen2_5_vl(folder: Path) -> Path:
    """Write a Qwen2.5-VL."""
    return write_qwen(folder, "qwen2_5_vl")


def write_qwen3_vl(folder: Path) -> Path:
    """Write a Qwen3-VL."""
    return write_qwen(folder, "qwen3_vl")


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "smolvlm": write_smolvlm,
    "idefics3": write_idefics3,
    "llava": write_llava,
    "llava_onevision": write_llava_onevision,
    "qwen2_vl": write_qwen2_vl,
    "qwen2_5_vl": write_qwen2_5_vl,
    "qwen3_vl": write_qwen3_vl,
    "gemma3": write_gemma3,
    "internvl": write_internvl,
}


def noise(seed: int, size: tuple[int, int]) -> PIL.Image.Image:
    """Return a picture of coloured blocks, the same for the same seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return PIL.Image.fromarray(blocks).resize(size, PIL.Image.Resampling.NEAREST)


def trained(
    writer: ChatWriter, sights: list[Sight], lines: Sequence[Line], steps: int
) -> list[float]:
    """Train the adapters on the same lines for some steps; return the mean loss of each."""
    weights = [weight for weight in writer.module.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=0.02)
    losses = []
    writer.module.train()
    for _ in range(steps):
        optimiser.zero_grad()
        total, count = writer.loss(sights, lines)
        mean: Any = total / count
        mean.backward()
        optimiser.step()
        losses.append(float(total.detach() / count))
    writer.module.eval()
    return losses
