"""A model of transformers is made ready for a writer that chats.

In: the model as it was loaded, and what a run file says of it. Out: the same model, of which it is
settled what is trained, how much it reads and where its texts end.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from lskd.errors import UserError
from lskd.writing import packing

# What is trained: adapters in the language model, or all of its layers (not its table of words).
Trains = Literal["adapters", "layers"]


def learning(model: Any) -> Any:
    """Return a model of which the layers of the language model are trained, in float32."""
    model.requires_grad_(False)
    model.float()
    decoder = model.get_decoder()
    decoder.requires_grad_(True)
    decoder.get_input_embeddings().requires_grad_(False)
    return model


def check(batch: int, trains: str, bits: int | None, attention: str | None) -> None:
    """Raise UserError for settings that make no sense."""
    if batch < 1:
        raise UserError(f"batch = {batch}: 1 is the least")
    if trains not in get_args(Trains):
        known = " or ".join(repr(one) for one in get_args(Trains))
        raise UserError(f"trains = {trains!r}: expected {known}")
    if attention not in (None, *packing.MASKED):
        known = " or ".join(repr(one) for one in packing.MASKED)
        raise UserError(f"attention = {attention!r}: expected {known}")
    if bits is not None and trains == "layers":
        raise UserError(f'bits = {bits} with trains = "layers": what is trained keeps all its bits')


def check_decoder(config: Any, name: str, wanted: str) -> None:
    """Raise UserError, which names what is wanted, for a model that reads prompts by an encoder."""
    if config.is_encoder_decoder or config.get_text_config().is_encoder_decoder:
        raise UserError(
            f"{name}: a {config.model_type} model reads its prompt by an encoder; needed is "
            f"{wanted}"
        )


def context_of(text: Any, wanted: int | None) -> int:
    """Return how many tokens are read; raises UserError for more than there are positions."""
    most = getattr(text, "max_position_embeddings", None)
    if wanted is None and most is None:
        raise UserError("this model does not say how many tokens it reads: set context")
    if wanted is not None and (wanted < 1 or (most is not None and wanted > most)):
        raise UserError(f"context = {wanted}: expected 1 to {most or 'any number of'} tokens")
    return int(wanted if wanted is not None else most or 0)


def recomputing(model: Any) -> None:
    """Have the model make states again for the gradient, under the name of either version."""
    later = getattr(model, "activation_checkpointing_enable", None)
    (later or model.gradient_checkpointing_enable)({"use_reentrant": False})


def stop_at(model: Any, ends: Sequence[int], token: int) -> None:
    """Have a text end at the token that ends a turn, too: it is what is learnt."""
    model.generation_config.eos_token_id = list(dict.fromkeys((*ends, token)))
