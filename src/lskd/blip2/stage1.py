"""The two models of the paper: the student (stage 1 of BLIP-2) and the critic."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lskd.blip2.heads import Contrast, Language, Rating
from lskd.blip2.memory import Memory
from lskd.blip2.qformer import QFormer
from lskd.blip2.size import Attention, Size
from lskd.blip2.text import Texts
from lskd.blip2.vision import VisionTower


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model says of texts about views.

    `match` is (texts, 2): logits of "does not match" and "matches". `qa` and `rationale`, (texts,),
    are the critic's ratings; None where a model gives none.
    """

    match: Tensor
    qa: Tensor | None = None
    rationale: Tensor | None = None


class Backbone(nn.Module):
    """Vision tower, `ln_vision` and Q-Former: what student and critic have in common."""

    def __init__(self, vision: VisionTower, qformer: QFormer) -> None:
        super().__init__()
        self.vision = vision
        self.ln_vision = nn.LayerNorm(vision.size.width, eps=1e-5)  # the towers' own eps is smaller
        self.qformer = qformer

    def freeze(self, vision: bool = True, ln_vision: bool = False) -> None:
        """Freeze the vision tower, and `ln_vision`, which LAVIS' freeze_vit leaves trainable."""
        self.vision.requires_grad_(not vision)
        self.ln_vision.requires_grad_(not ln_vision)

    def recompute(self, vision: bool = True) -> None:
        """Recompute activations in the backward pass, of the Q-Former's layers and the tower's."""
        layers = [*self.qformer.model.encoder.layer]
        if vision:
            layers += self.vision.model.encoder.layers
        for layer in layers:  # the two settings of transformers' GradientCheckpointingLayer
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def features(self, pixels: Tensor) -> Tensor:
        """Return features before `ln_vision`, (views, tokens, width), without gradient if frozen.

        These are what may be kept on disk while the tower is frozen.
        """
        trained = any(weight.requires_grad for weight in self.vision.parameters())
        with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
            seen: Tensor = self.vision(pixels)
        return seen

    def remember(self, features: Tensor) -> Memory:
        """Return the memory of views, from features as `features` returns them."""
        return self.qformer.remember(self.ln_vision(features))


class Stage1(nn.Module):
    """The discriminative student: BLIP-2 stage 1 with its three heads (section 2.4)."""

    def __init__(
        self, backbone: Backbone, contrast: Contrast, matching: nn.Linear, language: Language
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.contrast = contrast
        self.matching = matching
        self.language = language

    def judge(self, memory: Memory, texts: Texts) -> Verdict:
        """Return match logits of texts about views, in the views' order, equally many for each."""
        queries = self.backbone.qformer.match(memory, texts)
        return Verdict(self.matching(queries).mean(dim=1))  # (texts, queries, 2) -> (texts, 2)

    def written(self, states: Tensor) -> Tensor:
        """Return logits of the next tokens, (texts, tokens, vocabulary)."""
        logits: Tensor = self.language(
            states, self.backbone.qformer.embeddings.word_embeddings.weight
        )
        return logits


class Critic(nn.Module):
    """The critic: the matching head as classifier, and two ratings (section 2.3)."""

    def __init__(
        self, backbone: Backbone, matching: nn.Linear, qa: Rating, rationale: Rating
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.matching = matching
        self.qa = qa
        self.rationale = rationale

    def judge(self, memory: Memory, texts: Texts) -> Verdict:
        """Return logits and ratings of texts about views, equally many for each, in their order."""
        queries = self.backbone.qformer.match(memory, texts)
        return Verdict(
            self.matching(queries).mean(dim=1),  # (texts, queries, 2) -> (texts, 2)
            self.qa.rate(queries),
            self.rationale.rate(queries),
        )


def new_backbone(size: Size, attention: Attention = "sdpa", dropout: float = 0.1) -> Backbone:
    """Return a backbone with random weights; `dropout` is the Q-Former's."""
    qformer = QFormer(size.qformer, size.vision.width, attention, dropout)
    return Backbone(VisionTower(size.vision, attention), qformer)


def new_student(size: Size, attention: Attention = "sdpa", dropout: float = 0.1) -> Stage1:
    """Return a student with random weights, drawn from torch's global generator."""
    width = size.qformer.width
    return Stage1(
        new_backbone(size, attention, dropout),
        Contrast(width, size.embedding),
        nn.Linear(width, 2),
        Language(size.qformer),
    )


def new_critic(size: Size, attention: Attention = "sdpa", dropout: float = 0.1) -> Critic:
    """Return a critic with random weights, drawn from torch's global generator."""
    width = size.qformer.width
    backbone = new_backbone(size, attention, dropout)
    return Critic(backbone, nn.Linear(width, 2), Rating(width), Rating(width))
