"""A run's model with eyes answers a question about places of a picture: `lskd ask RUN.toml`.

In: a run whose dialogue is answered by a vision-language model, served or loaded here, and a
picture into which the places are drawn. Out: the model's words. Replies that are paid for are kept
in the run's journal: the same question about the same picture is not paid for again, and the run's
`max_price` holds.
"""

import inspect
from pathlib import Path

from lskd.errors import UserError
from lskd.picture import Picture, image_id, size_of
from lskd.protocols import Answerer
from lskd.run import Run
from lskd.stage import Model, named
from lskd.types import Image
from lskd.verbalize import dialogue

PROMPT = "vlm_asked"
TOKENS = 200  # of an answer


def answerer(run: Run, tokens: int | None) -> Model:
    """Return the model that answers, as it is to be asked by people.

    Raises UserError if the run has none that sees.
    """
    settings = run.settings.get("dialogue")
    if not isinstance(settings, dialogue.Settings):
        raise UserError(f"the run {run.name} has no [dialogue], so nobody in it answers")
    model = settings.answerer
    if "answer_prompt" not in inspect.signature(named(model.use)).parameters:
        raise UserError(
            f"in the run {run.name} {model.use} answers, which is no vision-language model: name "
            "one as [models] answerer, as runs/hosted.toml does, or give a student's folder"
        )
    own = {"answer_prompt": PROMPT, "answer_tokens": tokens or TOKENS}
    return Model(use=model.use, **{**model.keys, **own})


def answered(run: Run, model: Model, marked: Path, question: str) -> str:
    """Return what a model says to a question about a marked picture.

    Raises UserError if it says nothing, and what the model raises.
    """
    data = marked.read_bytes()
    width, height = size_of(data)
    picture = Picture(Image(image_id(data), str(marked), width, height), None)
    seeing = run.context(dialogue.STAGE).build(Answerer, model)
    (text,) = seeing.answer([picture], [question])
    if not text:
        raise UserError(f"{model.use} said nothing to {question!r}")
    return text
