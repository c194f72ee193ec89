"""What lines of one view and prompt share is read once by the frozen language model.

In: embeddings of what is given, one row for each distinct view and prompt. Out: what the model
remembers of them (a decoder's keys and values, or an encoder's states), laid out for as many
targets as there are behind each.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

library: Any = transformers


@dataclass(frozen=True, slots=True)
class Stacked:
    """Rows of embeddings, (rows, longest, width), and their mask, (rows, longest) int64."""

    embeds: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a model has read: `memory` is its own, `mask` (prefixes, tokens) tells padding.

    A decoder has not read the last embedding of each, `last` (prefixes, 1, width): behind it the
    target begins. An encoder has read all; its `last` is None.
    """

    memory: Any
    mask: Tensor
    last: Tensor | None


def stacked(rows: Sequence[Tensor], left: bool = False) -> Stacked:
    """Return rows, each (tokens, width), padded with zeros on the right, or on the left."""
    width = max(len(row) for row in rows)
    embeds = rows[0].new_zeros(len(rows), width, rows[0].shape[1])
    mask = torch.zeros(len(rows), width, dtype=torch.int64, device=rows[0].device)
    for number, row in enumerate(rows):
        places = slice(width - len(row), None) if left else slice(0, len(row))
        embeds[number, places] = row
        mask[number, places] = 1
    return Stacked(embeds, mask)


def encoded(model: Any, given: Sequence[Tensor]) -> Prefix:
    """Return what the encoder of a language model makes of some rows."""
    rows = stacked(given)
    states = model.get_encoder()(inputs_embeds=rows.embeds, attention_mask=rows.mask)
    return Prefix(states.last_hidden_state, rows.mask, None)


def remembered(model: Any, given: Sequence[Tensor]) -> Prefix:
    """Return what a decoder makes of some rows, each at least two tokens long."""
    rows = stacked([row[:-1] for row in given])
    # Its logits are of no use: one token's are the fewest that can be asked for.
    told = model(
        inputs_embeds=rows.embeds, attention_mask=rows.mask, use_cache=True, logits_to_keep=1
    )
    return Prefix(told.past_key_values, rows.mask, torch.stack([row[-1:] for row in given]))


def written_behind(
    model: Any, prefix: Prefix, which: Sequence[int], targets: Tensor, mask: Tensor
) -> Tensor:
    """Return logits, (rows, tokens, vocabulary), of targets behind the prefix of each row.

    `which` names each row's prefix. For an encoder's, `targets` are token ids shifted to the right,
    (rows, tokens); for a decoder's, embeddings of all but the last token, (rows, tokens - 1,
    width). `mask`, (rows, tokens), tells padding.
    """
    places = torch.tensor(which, device=prefix.mask.device)
    before = prefix.mask[places]
    if prefix.last is None:
        states = library.modeling_outputs.BaseModelOutput(prefix.memory[places])
        logits: Tensor = model(
            encoder_outputs=states,
            attention_mask=before,
            decoder_input_ids=targets,
            use_cache=False,
        ).logits
        return logits
    memory = _branch(prefix.memory, places)
    steps = torch.arange(mask.shape[1], device=mask.device)
    behind: Tensor = model(
        inputs_embeds=torch.cat([prefix.last[places], targets], dim=1),
        attention_mask=torch.cat([before, mask], dim=1),
        position_ids=before.sum(dim=1, keepdim=True) + steps,
        past_key_values=memory,
        use_cache=True,
    ).logits
    return behind


def _branch(memory: Any, places: Tensor) -> Any:
    """Return a decoder's memory of these prefixes; what a model adds to it leaves the first alone.

    Keys and values themselves are never written into, only replaced by longer ones.
    """
    branch = copy.copy(memory)
    branch.layers = [copy.copy(layer) for layer in memory.layers]
    branch.batch_select_indices(places)
    return branch
