"""VisualCOMET's annotations: what people in a still wanted, needed before and will do after.

An inference becomes an example: the event and its place are the question, the inference the answer,
worded by its relation as the benchmark's choices are ("[0] wanted to ..."). There is no rationale.
The files number people from 1: "2" becomes "[1]" where the image has such a person, and stays a
number elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from lskd.corpora.source import Source, beside, blank, read, split_of, untagged
from lskd.evaluate.rows import Row, Wrong, several, text
from lskd.evaluate.scene import Scene, Scenes
from lskd.evaluate.visualcomet import PROMPTS, keys_of, tagged
from lskd.marking import named
from lskd.types import Example, Reject

NAME = "visualcomet"


def examples(source: Source) -> Iterator[Example | Reject]:
    """Yield an example for each inference of train_annots.json or val_annots.json.

    Pictures and their metadata lie below one of the folders, or in its vcr1images. An inference
    that is empty, or names a person whose box is outside of the picture, is a Reject of its own.
    All boxes of the metadata are regions; their polygons are left out, since ten or more examples
    would repeat each. Raises UserError if the file cannot be read.
    """
    split = split_of(source)
    # Rows of one image stand together; all scenes of the training split would not fit in memory.
    scene_of = lru_cache(maxsize=256)(Scenes(*source.roots).read)

    def made(row_name: str, row: Row) -> Iterator[Example | Reject]:
        said = {
            relation: several(row.fields, key)
            for relation, key in keys_of(row).items()
            if row.fields.get(key)
        }
        if not said:
            raise Wrong(f"it has none of {', '.join(PROMPTS)}: nothing to learn (a test row?)")
        scene = scene_of(text(row.fields, "img_fn"), text(row.fields, "metadata_fn"))
        event = tagged(untagged(row.fields.get("event"), "'event'"), scene.persons)
        place = row.fields.get("place")
        question = f"{event}, {untagged(place, 'a place')}" if place else event
        subject = next((f"[{region_id}]" for region_id in named(event)), "PersonX")
        for relation, number, inference in _each(said):
            try:
                answer = tagged(untagged(inference, f"an inference of {relation!r}"), scene.persons)
                yield _example(
                    blank(f"{row_name}-{relation}-{number}", scene.image, NAME, split),
                    scene,
                    question,
                    f"{subject} {PROMPTS[relation]} {answer}",
                    beside(relation=relation, movie=row.fields.get("movie")),
                )
            except Wrong as error:
                yield Reject(f"{row.source} {relation} {number}", str(error), row.text)

    return read(source, made)


def _each(said: Mapping[str, Sequence[object]]) -> Iterator[tuple[str, int, object]]:
    """Yield every inference with its relation and its place among those of the relation."""
    for relation, inferences in said.items():
        for number, inference in enumerate(inferences):
            yield relation, number, inference


def _example(bare: Example, scene: Scene, question: str, answer: str, extra: str) -> Example:
    """Return an example of an inference; raises Wrong if it names what cannot be seen."""
    ids = tuple(sorted({*named(question), *named(answer)}))
    scene.check_visible(ids)
    return replace(
        bare,
        style="id",
        regions=tuple(replace(region, polygons=()) for region in scene.regions),
        region_ids=ids,
        question=question,
        answer=answer,
        extra=extra,
    )
