"""Any image-text-to-text model of transformers that chats, as a writer: adapters are trained.

```
picture -> vision tower and connector (frozen) -> features: kept ---------+
prompt, target -> chat template -> tokens, of which the target is learnt -+-> language model + LoRA
```

Instead of adapters, all layers of the language model can be trained: so a small one learns more.

SmolVLM, Qwen-VL, LLaVA-OneVision, Gemma 3, InternVL and their like: nothing here knows their names.
`chat_model.py` makes a model ready, `turns.py` spells lines by the model's own template,
`pictures.py` looks and gives back what was seen, `canvas.py` measures the size at which pictures
are seen, `adapter.py` holds the adapters, `chat_module.py` has the loss.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import PIL.Image
import torch
import transformers
from torch import Tensor

from lskd.checkpoints.checkpoint import Checkpoint, model_of
from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.stage import batches
from lskd.training.memory import guarded
from lskd.writing import adapter, fourbit, note, packing
from lskd.writing.canvas import Canvases
from lskd.writing.chat_model import (
    Trains,
    check,
    check_decoder,
    context_of,
    learning,
    recomputing,
    stop_at,
)
from lskd.writing.chat_module import ChatModule
from lskd.writing.decode import Asked, ends_of, generated
from lskd.writing.masks import check_asked
from lskd.writing.note import Key, Note, check_base, lasting, without_none
from lskd.writing.packing import BLANK
from lskd.writing.pictures import Pictures
from lskd.writing.readers import reader_of
from lskd.writing.trained import base_of, commit_of, read_trained, write_trained
from lskd.writing.turns import Turns, odd_tag
from lskd.writing.writer import Cut, Decoding, Line, Sight, Written

USE = "lskd.writing.chat:ChatWriter"
WANTED = "an image-text-to-text model with a chat template, such as SmolVLM, Qwen-VL or Gemma 3"


class ChatWriter:
    """A Writer on an image-text-to-text model of transformers; see `Writer`."""

    without_effect = frozenset({"attention", "batch", "device", "recompute"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        checkpoint: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        trained: str | None = None,
        context: int | None = None,
        rank: int | None = None,
        alpha: float | None = None,
        dropout: float | None = None,
        seed: int = 0,
        recompute: bool = False,
        batch: int = 8,
        bits: int | None = None,
        trains: Trains = "adapters",
        attention: str | None = None,
    ) -> None:
        """Load the weights and put adapters into the language model.

        `context` is the most tokens that are read, the picture's included, None for as many as the
        model can. `rank`, `alpha` and `dropout` are those of `adapter.Size`, None for its own or,
        of adapters that were `trained`, for theirs; `seed` is for adapters as they begin. With
        `trains` = "layers" there are none, and all layers of the language model are trained
        instead, the whole model in float32. `attention` is transformers' name of one, "eager" being
        faster for short rows on a processor; `recompute` makes states again for the gradient;
        `batch` lines are asked at once. With `bits` = 4 the language model's weights are shortened
        to that, see `fourbit`. Raises UserError for a checkpoint or a setting that cannot be used.
        """
        check(batch, trains, bits, attention)
        given: dict[str, Any] = without_none(rank=rank, alpha=alpha, dropout=dropout)
        size = adapter.Size(**given)
        source = Checkpoint(checkpoint, revision, device, dtype)
        short = fourbit.settings(bits, source, fourbit.SPARED)
        model = model_of(source, transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, WANTED, short)
        if attention is not None:
            model.set_attn_implementation(attention)
        text = model.config.get_text_config()
        check_decoder(model.config, checkpoint, WANTED)
        processor = reader_of(source)
        self.tokenizer = processor.tokenizer
        self.canvases = Canvases(processor.image_processor)
        ends = ends_of(model, self.tokenizer)
        turns = Turns(processor, checkpoint, context_of(text, context), next(iter(ends), None))
        pictures = Pictures(model, processor, turns)
        pictures.place(self.canvas(BLANK, BLANK))  # so that what cannot work is told now
        self.batch = batch
        adapters: dict[str, Key] = {**asdict(size), "seed": seed}
        keys = without_none(
            checkpoint=lasting(checkpoint),
            revision=commit_of(checkpoint, revision),
            context=context,
            bits=bits,
            **(adapters if trains == "adapters" else {"trains": trains}),
        )
        self.note = Note(USE, keys, base_of(checkpoint, revision))
        if recompute:
            recomputing(model)
        if trains == "layers":
            held = learning(model)
            if trained is not None:
                read_trained(Path(trained), held, self.note)
        elif trained is not None:
            held = self._held(model, trained, given)
            own = asdict(adapter.size_of(held))
            self.note = replace(self.note, keys={**self.note.keys, **own})
        else:
            held = adapter.adapted(model, size, seed)
        stop_at(model, ends, turns.last)
        self._module = ChatModule(held, turns, pictures)

    @property
    def module(self) -> ChatModule:
        """Return the module; its forward is `loss`."""
        return self._module

    @property
    def family(self) -> str:
        """Return the type of the model, for `coordinates.codec_of`."""
        return str(self.module.model.config.model_type)

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the size at which the model sees a picture in most detail."""
        return self.canvases.canvas(width, height)

    def doubts(self, width: int, height: int, style: MarkStyle | None) -> list[str]:
        """Return warnings about pictures of a size, in pixels, that are marked in a style.

        A style of None is for regions that are told by coordinates. No warning is a reason to stop.
        """
        marks = None if style is None else self.canvases.doubt(width, height, style)
        return [doubt for doubt in (marks, odd_tag(self.tokenizer)) if doubt is not None]

    def look(self, pictures: Sequence[PIL.Image.Image]) -> list[Sight]:
        """Return the features that stand in the place of a picture's tokens, (tokens, width)."""
        of_size: dict[tuple[int, int], list[int]] = {}
        for number, picture in enumerate(pictures):
            of_size.setdefault(picture.size, []).append(number)
        seen: dict[int, Sight] = {}
        with self._asking("while pictures are looked at"):
            for numbers in of_size.values():
                for some in batches(numbers, self.batch):
                    sights = self.module.pictures.look([pictures[n] for n in some])
                    seen.update(zip(some, sights, strict=True))
        return [seen[number] for number in range(len(pictures))]

    def cuts(self, sights: Sequence[Sight], lines: Sequence[Line], new: int = 0) -> list[Cut]:
        """Return the lines whose prompts lose their first tokens."""
        rows = (
            self.module.row(sights[line.view], line, number, new)
            for number, line in enumerate(lines)
        )
        return [Cut(number, row.cut) for number, row in enumerate(rows) if row.cut]

    def loss(self, sights: Sequence[Sight], lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
        """Return the targets' negative log-likelihood, and the number of their tokens."""
        told: tuple[Tensor, Tensor] = self.module(sights, lines)
        return told

    def pack(self) -> None:
        """Have the loss read lines side by side; raises UserError for a model that cannot."""
        fault = packing.unfit_chat(self.module.model)
        if fault != packing.AXES and self.module.pictures.place(self.canvas(BLANK, BLANK)).kinds:
            fault = "tokens of its picture see those behind them"
        packing.begin(self, self.module, str(self.note.keys["checkpoint"]), fault)

    def write(
        self, sights: Sequence[Sight], lines: Sequence[Line], decoding: Decoding
    ) -> list[Written]:
        """Return what is written after each prompt."""
        check_asked(lines)
        rows = [
            self.module.row(sights[line.view], line, number, decoding.tokens)
            for number, line in enumerate(lines)
        ]
        told: dict[int, Written] = {}
        order = sorted(range(len(rows)), key=lambda n: len(rows[n].before) + len(rows[n].after))
        with self._asking("while texts are written"):
            for some in batches(order, self.batch):
                given = self.module.asked(
                    [sights[lines[n].view] for n in some], [rows[n] for n in some]
                )
                asked = Asked(some, given["input_ids"].shape[1])
                texts = generated(self.module.model, given, self.tokenizer, decoding, asked)
                told.update(zip(some, texts, strict=True))
        return [told[number] for number in range(len(lines))]

    def likelihoods(self, sights: Sequence[Sight], lines: Sequence[Line]) -> list[float]:
        """Return the mean log-probability of a token of each target."""
        rows = [
            self.module.row(sights[line.view], line, number, ended=False)
            for number, line in enumerate(lines)
        ]
        alike: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for number, row in enumerate(rows):
            if row.target:
                alike.setdefault((lines[number].view, row.after), []).append(number)
        values = [math.nan] * len(lines)
        with self._asking("while likelihoods are measured"):
            for (view, _), numbers in alike.items():
                # Targets of like length are read together, so that little is padded.
                order = sorted(numbers, key=lambda n: len(rows[n].target))
                told = self.module.behind(sights[view], [rows[n] for n in order], self.batch)
                for number, value in zip(order, told, strict=True):
                    values[number] = value
        return values

    def save(self, folder: Path) -> None:
        """Write what was trained and the note; the base stays where it is.

        Adapters are written as PEFT does, layers as `trained` does.
        """
        if not self.module.adapted:
            write_trained(folder, self.module.model, self.note)
            return
        (folder / note.FILE).unlink(missing_ok=True)
        adapter.save(folder, self.module.held)
        note.write(folder, self.note)

    def _held(self, model: Any, trained: str, given: Mapping[str, Key]) -> Any:
        """Return the model with trained adapters.

        Raises UserError if they are of another base, or of another size than is `given`.
        """
        folder = Path(trained)
        told = note.read(folder)
        check_base(folder, told, self.note)
        held = adapter.restored(model, folder)
        for name, own in asdict(adapter.size_of(held)).items():
            # Notes of older versions may tell what was given to adapters that had another size.
            if given.get(name, own) not in (own, told.keys.get(name)):
                raise UserError(
                    f"{name} = {given[name]}, but the adapters of {folder} have {name} = {own}: "
                    "leave it out, or say the same"
                )
        return held

    @contextmanager
    def _asking(self, when: str) -> Iterator[None]:
        """Ask the model as it is after training: nothing drops out, no gradient is kept."""
        training = self.module.training
        self.module.eval()
        try:
            # Not torch's inference mode: what it makes cannot be learnt from later.
            with torch.no_grad(), guarded(when, f"lower batch ({self.batch})"):
                yield
        finally:
            self.module.train(training)
