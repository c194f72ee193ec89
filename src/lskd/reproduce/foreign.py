"""Corpora of other makers' forms about the lab's scenes, to train the same student on (Table 4).

In: a world. Out: files as their authors ship them, and the examples that `lskd import` reads from
them. "sherlock" is what people say: a clue and what follows from it, of one region each, without a
mistake. "visualcomet" is what they say of one person of each picture: what was wanted, needed
before, and will come. "llava" is what a teacher says who is told the truth: questions about whole
pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lskd import exchange
from lskd.corpora.source import Source
from lskd.lab.gold import visualcomet as gold_visualcomet
from lskd.lab.gold import whole
from lskd.lab.gold.files import chance, number_of, put_json, put_picture
from lskd.lab.gold.regions import numbered, put_image
from lskd.lab.knowledge import INFERRED
from lskd.lab.words import answer, phrase, use_of
from lskd.lab.world import Staged, World

EACH = 3  # rows of a picture: as many as the lab keeps of its own
SURE = 3.0  # Sherlock's highest confidence


def corpus(name: str, world: World, folder: Path) -> Path:
    """Return the folder of a corpus about the world's scenes to train on; it is made once.

    Raises UserError if it cannot be read in.
    """
    out = folder / name
    if not (out / "corpus").is_dir():
        source = FORMS[name](folder / f"{name}-files", world)
        exchange.read(name, source, out)
    return out


def sherlock(folder: Path, world: World) -> Source:
    """Write sherlock_train_v1_1.json and its pictures, and return where they are."""
    rows = []
    for staged in world.of("train"):
        put_picture(world.folder, staged, folder / _image(staged))
        rng = chance(world.seed, staged, "sherlock corpus")
        entities = list(range(len(staged.scene.entities)))
        for entity in rng.sample(entities, min(EACH, len(entities))):
            rows.append(_clue(staged, entity, answer(staged.scene, entity, rng.choice(INFERRED))))
    file = folder / "sherlock_train_v1_1.json"
    put_json(file, rows)
    return Source(file, (folder,), split="train")


def visualcomet(folder: Path, world: World) -> Source:
    """Write train_annots.json and VCR's pictures with their boxes, and return where they are."""
    rows = []
    for staged in world.of("train"):
        one = numbered(staged, world.seed)
        rng = chance(world.seed, staged, "visualcomet corpus")
        if events := gold_visualcomet.events_of(one):
            put_image(folder, world.folder, one)
            rows.append(gold_visualcomet.row(rng.choice(events)))
    file = folder / "train_annots.json"
    put_json(file, rows)
    return Source(file, (folder,), split="train")


def llava(folder: Path, world: World) -> Source:
    """Write llava_train.json, and return where it is."""
    rows = []
    for staged in world.of("train"):
        rng = chance(world.seed, staged, "llava corpus")
        asked = whole.questions(staged.scene, rng)
        chosen = rng.sample(asked, min(EACH, len(asked)))
        rows.append(
            {
                "id": f"{number_of(staged):06}",
                "image": staged.file,
                "conversations": _turns([(one.text, _sentence(one.answer)) for one in chosen]),
            }
        )
    file = folder / "llava_train.json"
    put_json(file, rows)
    return Source(file, (world.folder,), split="train")


FORMS: Mapping[str, Callable[[Path, World], Source]] = {
    "sherlock": sherlock,
    "visualcomet": visualcomet,
    "llava": llava,
}


def _image(staged: Staged) -> str:
    return f"VG_100K/{number_of(staged):06}.jpg"


def _clue(staged: Staged, entity: int, inference: str) -> dict[str, object]:
    scene, box = staged.scene, staged.boxes[entity]
    return {
        "inputs": {
            "image": {
                "url": f"lab/{_image(staged)}",
                "width": scene.width,
                "height": scene.height,
            },
            "bboxes": [
                {
                    "left": int(box.x0),
                    "top": int(box.y0),
                    "width": int(box.width),
                    "height": int(box.height),
                }
            ],
            "clue": f"{phrase(scene.entities[entity])} {use_of(scene, entity)}",
            "confidence": SURE,
            "obs_idx": entity,
        },
        "targets": {"inference": inference},
        "instance_id": f"{number_of(staged):06}-{entity}",
    }


def _turns(said: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    turns = []
    for number, (question, answered) in enumerate(said):
        mark = "<image>\n" if number == 0 else ""
        turns += [
            {"from": "human", "value": f"{mark}{question}"},
            {"from": "gpt", "value": answered},
        ]
    return turns


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
