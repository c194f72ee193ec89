"""What is read off the Q-Former: similarity, match, next words, and the critic's ratings."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.size import QFormerSize


class Contrast(nn.Module):
    """Images and texts in one space; `temperature` divides their similarity in training."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.vision = nn.Linear(width, embedding)
        self.text = nn.Linear(width, embedding)
        self.temperature = nn.Parameter(torch.tensor(0.07))  # LAVIS' start

    def of_views(self, queries: Tensor) -> Tensor:
        """Return unit features, (views, queries, embedding), of query states."""
        return functional.normalize(self.vision(queries), dim=-1)

    def of_texts(self, states: Tensor) -> Tensor:
        """Return unit features, (texts, embedding), from states that begin with [CLS]'s."""
        return functional.normalize(self.text(states[:, 0]), dim=-1)


def similarity(views: Tensor, texts: Tensor) -> Tensor:
    """Return (views, texts): for each pair that of the query that is nearest to the text."""
    products = torch.einsum("vqe,te->vtq", views, texts)  # (views, texts, queries)
    return products.max(dim=-1).values


class Language(nn.Module):
    """BERT's head for the next token; the embeddings of the words are its last weights."""

    def __init__(self, size: QFormerSize) -> None:
        super().__init__()
        self.dense = nn.Linear(size.width, size.width)
        self.norm = nn.LayerNorm(size.width, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(size.vocabulary))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """Return logits, (texts, tokens, vocabulary); `words` is (vocabulary, width)."""
        return functional.linear(self.norm(functional.gelu(self.dense(states))), words, self.bias)


class Rating(nn.Sequential):
    """A regression from each query, averaged over the queries (section 2.3)."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def rate(self, queries: Tensor) -> Tensor:
        """Return ratings, (texts,), of query states, (texts, queries, width)."""
        rated: Tensor = self(queries)  # (texts, queries, 1)
        return rated.mean(dim=1).squeeze(1)
