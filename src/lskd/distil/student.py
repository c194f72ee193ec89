"""A student in a folder of its own: its weights, and all that is needed to ask it about a picture.

```
student.toml        who it is, how its pictures are marked and its texts are worded
config.json, model.safetensors    as `lskd.blip2.weights` writes them
vocab.txt           the words that its tokens stand for
```
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from lskd import marking, table
from lskd.blip2 import files, weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.pixels import view_pixels
from lskd.blip2.scoring import Answers, Ask, Batching, score, see
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.checkpoints.device import place
from lskd.distil import note
from lskd.distil.note import About
from lskd.errors import UserError
from lskd.storage.files import remove
from lskd.types import Region


def write(folder: Path, student: Stage1, about: About, vocabulary: Path) -> None:
    """Write a student's folder; the note comes last, so that where it lies the rest is whole.

    Raises UserError if the disk is full.
    """
    remove(folder / note.FILE)
    weights.save(student, folder)
    with table.draft(folder / VOCABULARY) as unfinished:
        shutil.copyfile(vocabulary, unfinished)
    note.write(folder, about)


class Student:
    """Ranks texts about a picture with its regions drawn. It needs nothing of the run it is from.

    `device` is torch's name of one, by default the accelerator if there is one.
    """

    def __init__(self, folder: str | Path, device: str | None = None, texts: int = 128) -> None:
        """Load a student; `texts` are judged at once."""
        folder = Path(folder)
        self.about = note.read(folder)
        self.model = new_student(files.read_size(folder), dropout=0.0)
        weights.load(self.model, folder)
        self.device = place("auto" if device is None else device)
        self.model.to(self.device).eval()
        self.tokenizer = Tokenizer(folder / VOCABULARY)
        self.batching = Batching(texts=texts)

    def rank(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        choices: Sequence[str],
    ) -> list[float]:
        """Return how well each choice answers a question, in [0, 1], in the order of the choices.

        Each is the probability of ITM that the text matches the upright picture with the regions
        drawn; texts name regions as "[2]" by their ids. Raises UserError for a text that names a
        region that is not drawn.
        """
        texts = [self.about.text.text(question, choice) for choice in choices]
        answers = self.answers(pixels, regions, texts)
        matching: list[float] = answers.verdict.match.softmax(dim=1)[:, 1].tolist()
        return matching

    def answers(
        self, pixels: PIL.Image.Image, regions: Sequence[Region], texts: Sequence[str]
    ) -> Answers:
        """Return logits of ITM and similarities of ITC for whole texts about one picture."""
        drawn = {region.id for region in regions if marking.visible(region, pixels.size)}
        for text in texts:
            if lacking := [number for number in marking.named(text) if number not in drawn]:
                known = ", ".join(f"[{number}]" for number in sorted(drawn)) or "none"
                raise UserError(f"{text!r} names [{lacking[0]}], but drawn are: {known}")
        view = view_pixels(pixels, regions, self.about.marking, self.about.image)
        encoded = self.tokenizer.encode(texts, self.about.tokens)
        asks = [Ask(0, ids) for ids in encoded]
        sight = see(self.model, lambda _: view[None])
        return score(self.model, asks, sight, self.batching, similarities=True)
