"""Tiny checkpoints of the real classes, with random weights, in the format of the model hub.

Each function writes a folder that `from_pretrained` reads, processors and tokenizer included, and
returns it. Sizes are the smallest that keep every part of the architecture.
"""

import json
import string
from pathlib import Path
from typing import Literal

import torch

from lskd.blip2 import weights
from lskd.distil import student
from lskd.distil.note import About
from lskd.distil.wording import Wording
from tiny_models import (
    CATEGORIES,
    CHAT,
    CLIP_IMAGE,
    ENDS,
    SQUARE,
    STAGE1_WORDS,
    TEXT,
    VISION,
    WIDTH,
    bert_tokenizer,
    byte_tokenizer,
    clip_tokenizer,
    openai_names,
    opt_config,
    stage1,
    stage1_size,
    t5_config,
    transformers,
    written,
)


def write_clip(folder: Path) -> Path:
    """Write a CLIP: 32 x 32 pixels, 77 tokens."""
    tokenizer, text = clip_tokenizer()
    config = transformers.CLIPConfig(
        text_config={**TEXT, **text, "max_position_embeddings": 77},
        vision_config=VISION,
        projection_dim=16,
    )
    images = transformers.CLIPImageProcessorPil(**CLIP_IMAGE)
    return written(
        folder, transformers.CLIPModel, config, transformers.CLIPProcessor(images, tokenizer)
    )


def write_siglip(folder: Path) -> Path:
    """Write a SigLIP: 32 x 32 pixels, 64 tokens."""
    tokenizer = byte_tokenizer()
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 64, **ENDS}
    config = transformers.SiglipConfig(text_config={**TEXT, **text}, vision_config=VISION)
    images = transformers.SiglipImageProcessorPil(**SQUARE)
    return written(
        folder, transformers.SiglipModel, config, transformers.SiglipProcessor(images, tokenizer)
    )


def write_siglip2(folder: Path) -> Path:
    """Write a SigLIP 2 that takes pictures of any shape: 16 patches, 64 tokens."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pieces = [*special, "▁", *string.ascii_lowercase, *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = transformers.Siglip2Tokenizer(vocab={one: i for i, one in enumerate(pieces)})
    text = {"vocab_size": len(pieces), "max_position_embeddings": 64, **ENDS}
    config = transformers.Siglip2Config(
        text_config={**TEXT, **text}, vision_config={**TEXT, "patch_size": 8, "num_patches": 16}
    )
    images = transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    processor = transformers.Siglip2Processor(images, tokenizer)
    return written(folder, transformers.Siglip2Model, config, processor)


def write_detr(folder: Path) -> Path:
    """Write a DETR with a ResNet backbone: 5 queries, 3 categories."""
    config = transformers.DetrConfig(
        use_timm_backbone=False,
        backbone=None,
        backbone_config=transformers.ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            out_features=["stage2"],
        ),
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=37,
        decoder_ffn_dim=37,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=5,
        id2label=dict(enumerate(CATEGORIES)),
        label2id={name: index for index, name in enumerate(CATEGORIES)},
    )
    images = transformers.DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    return written(folder, transformers.DetrForObjectDetection, config, images)


def write_rt_detr_v2(folder: Path) -> Path:
    """Write an RT-DETRv2: 64 x 64 pixels, 7 queries, 3 categories."""
    config = transformers.RTDetrV2Config(
        backbone_config=transformers.RTDetrResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16, 16, 16],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
        ),
        encoder_hidden_dim=WIDTH,
        encoder_in_channels=[16, 16, 16],
        encoder_ffn_dim=37,
        encoder_attention_heads=4,
        d_model=WIDTH,
        decoder_in_channels=[WIDTH, WIDTH, WIDTH],
        decoder_ffn_dim=37,
        decoder_attention_heads=4,
        decoder_layers=2,
        num_queries=7,
        num_denoising=0,
        id2label=dict(enumerate(CATEGORIES)),
        label2id={name: index for index, name in enumerate(CATEGORIES)},
    )
    images = transformers.RTDetrImageProcessorPil(size={"height": 64, "width": 64})
    return written(folder, transformers.RTDetrV2ForObjectDetection, config, images)


def write_owlv2(folder: Path) -> Path:
    """Write an OWLv2: 64 x 64 pixels, 16 tokens."""
    tokenizer, text = clip_tokenizer(pad_token="!")
    config = transformers.Owlv2Config(
        text_config={**TEXT, **text, "max_position_embeddings": 16},
        vision_config={**VISION, "image_size": 64, "patch_size": 16},
        projection_dim=WIDTH,
    )
    images = transformers.Owlv2ImageProcessorPil(size={"height": 64, "width": 64})
    processor = transformers.Owlv2Processor(images, tokenizer)
    return written(folder, transformers.Owlv2ForObjectDetection, config, processor)


def write_grounding_dino(folder: Path) -> Path:
    """Write a Grounding DINO with a Swin backbone and a BERT: 5 queries, 24 tokens of text."""
    tokenizer = bert_tokenizer()
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            image_size=32,
            embed_dim=8,
            depths=[1, 1, 1],
            num_heads=[1, 2, 2],
            window_size=2,
            out_features=["stage2", "stage3"],
        ),
        backbone=None,
        use_timm_backbone=False,
        text_config={**TEXT, "model_type": "bert", "vocab_size": len(tokenizer)},
        num_feature_levels=3,
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=37,
        decoder_ffn_dim=37,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=5,
        max_text_len=24,
    )
    size = {"shortest_edge": 64, "longest_edge": 96}
    images = transformers.GroundingDinoImageProcessorPil(size=size)
    processor = transformers.GroundingDinoProcessor(images, tokenizer)
    return written(folder, transformers.GroundingDinoForObjectDetection, config, processor)


def write_blip2(folder: Path, language: str = "opt") -> Path:
    """Write a BLIP-2 in front of an OPT, or of a T5: 4 queries, 32 x 32 pixels."""
    tokenizer = byte_tokenizer(starts=language == "opt")
    images = transformers.BlipImageProcessorPil(**SQUARE)
    processor = transformers.Blip2Processor(images, tokenizer, num_query_tokens=4)
    text = opt_config(tokenizer) if language == "opt" else t5_config(tokenizer)
    config = transformers.Blip2Config(
        vision_config=VISION,
        qformer_config={**TEXT, "vocab_size": 99, "encoder_hidden_size": WIDTH},
        text_config=text.to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return written(folder, transformers.Blip2ForConditionalGeneration, config, processor)


def write_instructblip(folder: Path) -> Path:
    """Write an InstructBLIP in front of an OPT: 4 queries, 32 x 32 pixels."""
    tokenizer = byte_tokenizer(starts=True)
    images = transformers.BlipImageProcessorPil(**SQUARE)
    processor = transformers.InstructBlipProcessor(
        images, tokenizer, bert_tokenizer(), num_query_tokens=4
    )
    config = transformers.InstructBlipConfig(
        vision_config=VISION,
        qformer_config={**TEXT, "vocab_size": 99, "encoder_hidden_size": WIDTH},
        text_config=opt_config(tokenizer).to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return written(folder, transformers.InstructBlipForConditionalGeneration, config, processor)


def write_idefics3(folder: Path) -> Path:
    """Write an Idefics3 (the class of SmolVLM): it is asked in chat messages."""
    tokenizer = byte_tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"
    )
    config = transformers.Idefics3Config(
        vision_config={**VISION, "model_type": "idefics3_vision"},
        text_config=transformers.LlamaConfig(
            **TEXT,
            num_key_value_heads=2,
            vocab_size=len(tokenizer),
            max_position_embeddings=1024,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    processor = transformers.Idefics3Processor(
        images, tokenizer, image_seq_len=4, chat_template=CHAT
    )
    return written(folder, transformers.Idefics3ForConditionalGeneration, config, processor)


def write_florence2(folder: Path) -> Path:
    """Write a Florence-2 in front of a BART: 5 image tokens, 32 x 32 pixels."""
    tokenizer = byte_tokenizer(image_token="<image>")
    config = transformers.Florence2Config(
        vision_config=transformers.Florence2VisionConfig(
            depths=[1, 1],
            patch_size=[7, 3],
            patch_stride=[4, 4],
            patch_padding=[3, 1],
            patch_prenorm=[False, True],
            embed_dim=[8, 16],
            num_heads=[2, 2],
            num_groups=[2, 2],
            window_size=2,
            projection_dim=WIDTH,
        ),
        text_config=transformers.BartConfig(
            d_model=WIDTH,
            encoder_layers=1,
            decoder_layers=1,
            encoder_ffn_dim=37,
            decoder_ffn_dim=37,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            max_position_embeddings=256,
            vocab_size=len(tokenizer),
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_eos_token_id=2,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    images = transformers.CLIPImageProcessorPil(
        size={"height": 32, "width": 32}, do_center_crop=False, image_seq_length=5
    )
    processor = transformers.Florence2Processor(images, tokenizer)
    return written(folder, transformers.Florence2ForConditionalGeneration, config, processor)


def write_qwen2_5_vl(folder: Path) -> Path:
    """Write a Qwen2.5-VL; its processor, for videos too, can be loaded only with torchvision."""
    tokenizer = byte_tokenizer(
        "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"
    )
    tokenizer.chat_template = CHAT.replace(
        "<image>", "<|vision_start|><|image_pad|><|vision_end|>"
    ).replace("<end_of_utterance>", "")
    number = tokenizer.convert_tokens_to_ids
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(tokenizer),
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        vision_config={
            "depth": 2,
            "hidden_size": WIDTH,
            "intermediate_size": 37,
            "num_heads": 4,
            "out_hidden_size": WIDTH,
            "patch_size": 14,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    size = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    images = transformers.Qwen2VLImageProcessorPil(size=size)
    written(folder, transformers.Qwen2_5_VLForConditionalGeneration, config, images)
    tokenizer.save_pretrained(folder)
    settings = folder / "preprocessor_config.json"
    told = json.loads(settings.read_text()) | {"processor_class": "Qwen2_5_VLProcessor"}
    settings.write_text(json.dumps(told))
    return folder


def write_blip(folder: Path) -> Path:
    """Write a BLIP with heads for retrieval: 32 x 32 pixels, 128 tokens."""
    tokenizer = bert_tokenizer()
    text = {"vocab_size": len(tokenizer) + 2, "max_position_embeddings": 128}  # [DEC] and [ENC]
    config = transformers.BlipConfig(
        text_config={**TEXT, **text, "encoder_hidden_size": WIDTH, "projection_dim": 16},
        vision_config={**VISION, "projection_dim": 16},
        image_text_hidden_size=16,
    )
    processor = transformers.BlipProcessor(transformers.BlipImageProcessorPil(**SQUARE), tokenizer)
    return written(folder, transformers.BlipForImageTextRetrieval, config, processor)


def write_llava(folder: Path) -> Path:
    """Write a LLaVA: 32 x 32 pixels cut from the middle, 16 image tokens, chat messages."""
    tokenizer = byte_tokenizer("<end_of_utterance>", "<image>")
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(
            **TEXT,
            num_key_value_heads=2,
            vocab_size=len(tokenizer),
            max_position_embeddings=1024,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(**CLIP_IMAGE),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )
    return written(folder, transformers.LlavaForConditionalGeneration, config, processor)


def write_openai_clip(file: Path, checkpoint: Path, prefix: str = "", under: str = "") -> Path:
    """Write the weights of a tiny CLIP as a file of OpenAI's names.

    Names begin with `prefix`; the tensors lie under the key `under`, if it is not "".
    """
    tensors = transformers.CLIPModel.from_pretrained(checkpoint).state_dict()
    theirs = {f"{prefix}{name}": tensor for name, tensor in openai_names(tensors).items()}
    torch.save({under: theirs, "epoch": 3} if under else theirs, file)
    return file


def write_stage1(folder: Path, kind: Literal["eva", "clip"] = "eva") -> Path:
    """Write a stage 1 of BLIP-2: 28 x 28 pixels, 48 tokens; with vocab.txt."""
    size = stage1_size(kind)
    weights.save(stage1(size), folder)
    (folder / "vocab.txt").write_text("\n".join(STAGE1_WORDS) + "\n")
    return folder


def write_without_tower(file: Path, whole: Path) -> None:
    """Write a LAVIS file without its vision tower, as LAVIS does where the tower is frozen."""
    content = torch.load(whole, weights_only=True)
    kept = {n: one for n, one in content["model"].items() if not n.startswith("visual_encoder.")}
    assert len(kept) < len(content["model"])
    torch.save({"model": kept}, file)


def write_student(folder: Path) -> Path:
    """Write a student's folder: as `write_stage1` has it, with its note."""
    vocabulary = write_stage1(folder.with_name(f"{folder.name}-base")) / "vocab.txt"
    about = About(
        use="lskd.distil.student:Student",
        marking="clear",
        image=28,
        tokens=48,
        base="tiny",
        seed=0,
        fingerprint="0",
        text=Wording(),
    )
    student.write(folder, stage1(stage1_size("eva")), about, vocabulary)
    return folder


def write_gemma3(folder: Path) -> Path:
    """Write a Gemma 3: 32 x 32 pixels, 4 image tokens that see each other, chat messages."""
    tokenizer = byte_tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    number = tokenizer.convert_tokens_to_ids
    config = transformers.Gemma3Config(
        text_config={
            **TEXT,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 1024,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        vision_config=VISION,
        mm_tokens_per_image=4,
        image_token_index=number("<image_soft_token>"),
        boi_token_index=number("<start_of_image>"),
        eoi_token_index=number("<end_of_image>"),
    )
    processor = transformers.Gemma3Processor(
        transformers.Gemma3ImageProcessorPil(**SQUARE),
        tokenizer,
        chat_template=CHAT.replace("<image>", "<start_of_image>"),
        image_seq_length=4,
    )
    return written(folder, transformers.Gemma3ForConditionalGeneration, config, processor)
