"""What each weight of a model is called in LAVIS' files and in Hugging Face folders."""

import re
from dataclasses import dataclass

from torch import nn

from lskd.blip2.vision import VisionTower

ZERO = ""  # in a link: a piece that a file does not hold, because it is always zero


@dataclass(frozen=True, slots=True)
class Link:
    """Weights of ours and tensors of a file that are equal once each side is joined along rows.

    The pieces of a side are equally large. `position` marks position embeddings, which may be of
    another image size.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    position: bool = False

    @property
    def stored(self) -> tuple[str, ...]:
        """Return the names that a file should hold."""
        return tuple(name for name in self.theirs if name != ZERO)


# Tensors of LAVIS' files that repeat another under a second name. A critic of the release holds the
# second alone: it froze its language head, and with it the word embeddings that are tied to it.
LAVIS_SAME = {
    "Qformer.bert.embeddings.word_embeddings.weight": "Qformer.cls.predictions.decoder.weight",
    "Qformer.cls.predictions.bias": "Qformer.cls.predictions.decoder.bias",
}

# Parts that a model of the other kind has; such a file may still be read, and these stay unused.
PARTS = (
    *("vision_proj.", "text_proj.", "temp.", "Qformer.cls.", "qa_head.", "r_head."),  # LAVIS
    *("vision_projection.", "text_projection.", "language_head."),  # Hugging Face
)

# Numbers from 0 on, which older files hold beside the weights.
COUNTERS = ("Qformer.bert.embeddings.position_ids", "embeddings.position_ids")

_VISION = "backbone.vision.model."
_CLIP_ATTENTION = re.compile(r"(.*\.self_attn\.)[qkv]_proj\.(weight|bias)")

# Patterns and what stands in their place, applied in turn.
Rules = tuple[tuple[str, str], ...]
_LAVIS: Rules = (
    (r"^backbone\.ln_vision", "ln_vision"),
    (r"^backbone\.qformer\.query_tokens", "query_tokens"),
    (r"^backbone\.qformer\.embeddings", "Qformer.bert.embeddings"),
    (r"^backbone\.qformer\.model\.layernorm", "Qformer.bert.embeddings.LayerNorm"),
    (r"^backbone\.qformer\.model\.encoder", "Qformer.bert.encoder"),
    (
        r"^backbone\.qformer\.memory\.(\d+)\.",
        r"Qformer.bert.encoder.layer.\1.crossattention.self.",
    ),
    (r"\.crossattention\.query", ".crossattention.self.query"),
    (r"attention\.attention\.", "attention.self."),
    (r"^contrast\.vision", "vision_proj"),
    (r"^contrast\.text", "text_proj"),
    (r"^contrast\.temperature", "temp"),
    (r"^matching", "itm_head"),
    (r"^language\.bias", "Qformer.cls.predictions.bias"),
    (r"^language\.dense", "Qformer.cls.predictions.transform.dense"),
    (r"^language\.norm", "Qformer.cls.predictions.transform.LayerNorm"),
    (r"^qa\.", "qa_head."),
    (r"^rationale\.", "r_head."),
)
_LAVIS_EVA: Rules = (
    (r"^backbone\.vision\.model\.", "visual_encoder."),
    (r"\.embeddings\.class_embedding", ".cls_token"),
    (r"\.embeddings\.position_embedding", ".pos_embed"),
    (r"\.embeddings\.patch_embedding", ".patch_embed.proj"),
    (r"\.encoder\.layers\.", ".blocks."),
    (r"\.layer_norm(\d)", r".norm\1"),
    (r"\.self_attn\.projection", ".attn.proj"),
    (r"\.self_attn\.", ".attn."),
)
_LAVIS_CLIP: Rules = (
    (r"^backbone\.vision\.model\.", "visual_encoder."),
    (r"\.embeddings\.class_embedding", ".class_embedding"),
    (r"\.embeddings\.position_embedding\.weight", ".positional_embedding"),
    (r"\.embeddings\.patch_embedding", ".conv1"),
    (r"\.pre_layrnorm", ".ln_pre"),
    (r"\.encoder\.layers\.", ".transformer.resblocks."),
    (r"\.layer_norm(\d)", r".ln_\1"),
    (r"\.mlp\.fc1", ".mlp.c_fc"),
    (r"\.mlp\.fc2", ".mlp.c_proj"),
    (r"\.self_attn\.", ".attn."),
)
_HUGGING_FACE: Rules = (
    (r"^backbone\.vision\.model", "vision_model"),
    (r"^backbone\.ln_vision", "vision_model.post_layernorm"),
    (r"^backbone\.qformer\.query_tokens", "query_tokens"),
    (r"^backbone\.qformer\.embeddings", "embeddings"),
    (r"^backbone\.qformer\.model", "qformer"),
    (
        r"^backbone\.qformer\.memory\.(\d+)\.",
        r"qformer.encoder.layer.\1.crossattention.attention.",
    ),
    (r"\.crossattention\.query", ".crossattention.attention.query"),
    (r"^contrast\.vision", "vision_projection"),
    (r"^contrast\.text", "text_projection"),
    (r"^contrast\.temperature", "temp"),
    (r"^matching", "itm_head"),
    (r"^language\.", "language_head."),
    (r"^qa\.", "qa_head."),
    (r"^rationale\.", "r_head."),
)


def lavis(model: nn.Module) -> list[Link]:
    """Return what the `.pth` files of LAVIS and of the paper's release call a model's weights."""
    clip = any(isinstance(m, VisionTower) and m.size.kind == "clip" for m in model.modules())
    links: list[Link] = []
    for name in (name for name, _ in model.named_parameters()):
        if found := _CLIP_ATTENTION.fullmatch(name):
            links.extend(_joint(found))
        elif name.startswith(_VISION) and name.endswith(".self_attn.qkv.bias"):
            place = _renamed(name, _LAVIS_EVA).removesuffix("qkv.bias")
            links.append(Link((name,), (f"{place}q_bias", ZERO, f"{place}v_bias")))
        else:
            vision = _LAVIS_CLIP if clip else _LAVIS_EVA
            theirs = _renamed(name, vision if name.startswith(_VISION) else _LAVIS)
            links.append(Link((name,), (theirs,), _is_position(name)))
    return links


def hugging_face(model: nn.Module) -> list[Link]:
    """Return what Hugging Face folders call a model's weights.

    The names are those of Blip2ForImageTextRetrieval, and for what it lacks our own: `temp`,
    `language_head`, `qa_head`, `r_head`.
    """
    return [
        Link((name,), (_renamed(name, _HUGGING_FACE),), _is_position(name))
        for name, _ in model.named_parameters()
    ]


def _renamed(name: str, rules: Rules) -> str:
    for ours, theirs in rules:
        name = re.sub(ours, theirs, name)
    return name


def _is_position(name: str) -> bool:
    return name.startswith(f"{_VISION}embeddings.position_embedding")


def _joint(found: re.Match[str]) -> list[Link]:
    """Return the link of all three projections at the first of them, and none at the others."""
    place, kind = found.groups()
    ours = tuple(f"{place}{one}_proj.{kind}" for one in "qkv")
    theirs = f"{_renamed(place, _LAVIS_CLIP)}in_proj_{kind}"
    return [Link(ours, (theirs,))] if found.string == ours[0] else []
