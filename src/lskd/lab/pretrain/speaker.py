"""A speaker: the lab's base model with a tiny T5 behind it, and how it is taught to speak.

```
picture -> tower (frozen) -> features -> Q-Former -> tokens -+-> projection -> T5 -> answer
sentences -> T5's encoder -> gists, one token a sentence ----+      question ---^
```

A gist is a sentence told in one token, as wide as the Q-Former's. First T5 learns the words of the
world from gists and questions alone: so it can look up what a list tells, by place or by number.
Then the Q-Former learns to tell of a picture what the gists of its sentences tell, and all learn to
answer questions about pictures. What makes gists is thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.pixels import MEAN, SPREAD
from lskd.lab.pretrain import speaker_words
from lskd.lab.pretrain.speaker_bank import PAD
from lskd.writing.blip2_module import shifted
from lskd.writing.eyes import eyes_of
from lskd.writing.masks import IGNORED

library: Any = transformers

NOISE = 0.3  # of a gist, of whose numbers the spread is 1: what pictures tell is not exact either


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the language model: width, inner width, heads, layers of encoder and decoder."""

    width: int = 128
    inner: int = 320
    heads: int = 4
    encoder: int = 4
    decoder: int = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Views and texts, with lines about them.

    `features` is (views, patches and one, width), None without views; `told` (views + texts,
    sentences, tokens) are the sentences of both, by which texts are read. A line is about view or
    text `which`, counted through; `prompts` and `targets` are (lines, tokens). All ids are int64,
    padded with PAD.
    """

    features: Tensor | None
    told: Tensor
    prompts: Tensor
    targets: Tensor
    which: Tensor


@dataclass(frozen=True, slots=True)
class Heard:
    """Logits of targets, (lines, tokens, words), and how far views' tokens are from the gists."""

    logits: Tensor
    apart: Tensor


def blip2(base: Path, shape: Shape) -> Any:
    """Return a BLIP-2 of the base's tower and Q-Former before a T5 that knows nothing yet.

    What the base is, is read from it. Raises UserError if it is no BLIP-2.
    """
    eyes = eyes_of(str(base))
    tokenizer = speaker_words.whole()
    text = library.T5Config(
        d_model=shape.width,
        d_kv=shape.width // shape.heads,
        d_ff=shape.inner,
        num_layers=shape.encoder,
        num_decoder_layers=shape.decoder,
        num_heads=shape.heads,
        vocab_size=len(tokenizer),
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    # Texts are read by the language model alone.
    qformer = {**eyes.qformer.to_dict(), "use_qformer_text_input": False}
    config = library.Blip2Config(
        vision_config=eyes.vision.to_dict(),
        qformer_config=qformer,
        text_config=text.to_dict(),
        num_query_tokens=eyes.queries,
        image_token_index=tokenizer.convert_tokens_to_ids(speaker_words.PICTURE),
    )
    model = library.Blip2ForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith(("language_model.", "language_projection.")):
                # In the precision of the file that is written in the end.
                weight.copy_(eyes.weights[name].to(torch.bfloat16))
    nn.init.normal_(model.language_projection.weight, std=eyes.qformer.hidden_size**-0.5)
    model.vision_model.post_layernorm.eps = eyes.eps
    return model.eval().requires_grad_(False)


def processor(model: Any) -> Any:
    """Return the processor of a speaker, as transformers writes it."""
    side = model.config.vision_config.image_size
    images = library.BlipImageProcessorPil(
        size={"height": side, "width": side}, image_mean=list(MEAN), image_std=list(SPREAD)
    )
    tokens = model.config.num_query_tokens
    return library.Blip2Processor(images, speaker_words.whole(), num_query_tokens=tokens)


class Speaker(nn.Module):
    """A BLIP-2 that is taught, with what makes gists of sentences."""

    def __init__(self, model: Any) -> None:
        """Take the model; `learning` says what is trained of it."""
        super().__init__()
        # Any: what transformers declares of its models is looser than what is used here.
        self.model: Any = model
        width = model.config.qformer_config.hidden_size
        self.gist = nn.Linear(model.config.text_config.d_model, width)

    def learning(self, parts: Sequence[str]) -> "Speaker":
        """Have just these parts of the model trained, beside what makes gists."""
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(name.startswith(tuple(parts)))
        return self

    def forward(self, batch: Batch) -> Heard:
        """Return what is said of a batch."""
        gists = self.gists(batch.told)
        count = 0 if batch.features is None else len(batch.features)
        texts = gists[count:]
        if self.training:
            texts = texts + NOISE * torch.randn_like(texts)
        if batch.features is None:
            return Heard(self._said(texts, batch), gists.new_zeros(()))
        seen = self.seen(batch.features)
        apart = functional.mse_loss(seen.float(), gists[:count].detach().float())
        return Heard(self._said(torch.cat([seen, texts.to(seen.dtype)]), batch), apart)

    def gists(self, told: Tensor) -> Tensor:
        """Return the gist of each sentence, (views or texts, sentences, the Q-Former's width)."""
        mask = told != PAD
        flat, there = told.flatten(0, 1), mask.flatten(0, 1)
        encoder = self.model.language_model.get_encoder()
        states = encoder(input_ids=flat, attention_mask=there.long()).last_hidden_state
        shares = there / there.sum(dim=1, keepdim=True)
        pooled = (states * shares[:, :, None].to(states.dtype)).sum(dim=1)
        made = self.gist(pooled).unflatten(0, told.shape[:2])
        return functional.layer_norm(made, made.shape[-1:])

    def seen(self, features: Tensor) -> Tensor:
        """Return the Q-Former's tokens, (views, queries, width), of a tower's features."""
        model = self.model
        norm = model.vision_model.post_layernorm
        tokens: Tensor = model.qformer(
            query_embeds=model.query_tokens.expand(len(features), -1, -1),
            encoder_hidden_states=norm(features.to(norm.weight.dtype)),
        ).last_hidden_state
        return tokens

    @torch.no_grad()
    def look(self, pixels: Tensor) -> Tensor:
        """Return a tower's features of normalised pixels, (views, 3, side, side)."""
        vision = self.model.vision_model
        seen: Tensor = vision.encoder(inputs_embeds=vision.embeddings(pixels)).last_hidden_state
        return seen

    def _said(self, tokens: Tensor, batch: Batch) -> Tensor:
        """Return logits of lines about these tokens, read as a BLIP-2 reads them."""
        language = self.model.language_model
        words = language.get_input_embeddings()(batch.prompts)
        pictures = self.model.language_projection(tokens)[batch.which].to(words.dtype)
        there = torch.ones(pictures.shape[:2], dtype=torch.int64, device=words.device)
        labels = labels_of(batch.targets)
        logits: Tensor = language(
            inputs_embeds=torch.cat([pictures, words], dim=1),
            attention_mask=torch.cat([there, (batch.prompts != PAD).long()], dim=1),
            decoder_input_ids=shifted(language, labels),
            use_cache=False,
        ).logits
        return logits


def labels_of(targets: Tensor) -> Tensor:
    """Return targets with `IGNORED` in place of padding."""
    return targets.where(targets != PAD, torch.full_like(targets, IGNORED))
