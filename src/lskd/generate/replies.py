"""Stage `generate`: the teacher is asked for triples about each image, and every reply is kept.

For each image one conversation refers to regions by id and one by description; each has 3 turns of
3 triples, so 18 triples an image (section 2.2). Replies are kept word for word, so that they can be
parsed again without being paid for again.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import PIL.Image
from pydantic import AfterValidator, NonNegativeFloat, PositiveInt

from lskd.marking import MarkStyle, mark, resized
from lskd.picture import JPEG_SIDE, Picture, scaled
from lskd.prompt import (
    DESCRIPTORS,
    Descriptor,
    Descriptors,
    filled,
    observations,
    prompt_file,
    tokens,
)
from lskd.protocols import Conversation, Teacher
from lskd.resources import Resources, Spread
from lskd.stage import Batch, Context, Cost, Model, Section, Shard, Stage, Worker, batches
from lskd.types import (
    Concepts,
    Dialogue,
    Image,
    Narratives,
    Record,
    Regions,
    Reject,
    Reply,
    Style,
)

PARTS = ("question", "answer", "rationale")
SCHEMA = json.dumps(
    {
        "name": "triples",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "triples": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {part: {"type": "string"} for part in PARTS},
                        "required": list(PARTS),
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["triples"],
            "additionalProperties": False,
        },
    }
)
TRIPLE_TOKENS = 110


def each_once(styles: tuple[Style, ...]) -> tuple[Style, ...]:
    """Return styles as they are; raises ValueError for none, and for one that is named twice."""
    if not styles:
        raise ValueError("none is named: give 'id', 'description' or both")
    # An image's conversation goes by its style, so a second one would have the name of the first.
    for style in styles:
        if styles.count(style) > 1:
            raise ValueError(f"{style!r} is named more than once: give it once")
    return styles


class Settings(Section):
    """Who teaches, from which descriptors, in which styles, and how much.

    Sampled at 0.8 (section 3). `reply_tokens` is the most that one reply may have. `system` stands
    before all; `id_prompt` and `description_prompt` ask for triples of a style, `more_prompt` for
    more in later turns: prompts that ship, or text files of yours. With `show_image` the teacher
    also sees the image with its regions marked in the style `marking` (beyond the paper).
    `conversations` are held in memory at a time.
    """

    teacher: Annotated[Model, Teacher]
    descriptors: tuple[Descriptor, ...] = DESCRIPTORS
    styles: Annotated[tuple[Style, ...], AfterValidator(each_once)] = ("id", "description")
    turns: PositiveInt = 3
    triples: PositiveInt = 3
    temperature: NonNegativeFloat = 0.8
    reply_tokens: PositiveInt = 1024
    system: str = "system"
    id_prompt: str = "id"
    description_prompt: str = "description"
    more_prompt: str = "more"
    show_image: bool = False
    marking: MarkStyle = "clear"
    conversations: Batch = 512
    resources: Spread = Resources()


def prompts(settings: Settings) -> list[Path]:
    """Return the files of the system prompt, of each style's prompt and of the later turns'."""
    names = (
        settings.system,
        settings.id_prompt,
        settings.description_prompt,
        settings.more_prompt,
    )
    return [prompt_file("lskd.generate", name) for name in names]


def conversation(seen: Descriptors, style: Style, settings: Settings) -> Conversation:
    """Return all that is said to the teacher about one image in one style."""
    system, by_id, by_description, more = prompts(settings)
    asking = filled(
        by_id if style == "id" else by_description,
        observations=observations(seen, style, settings.descriptors),
        count=settings.triples,
    )
    again = filled(more, count=settings.triples)
    return Conversation(
        id=f"{seen.image.id}-{style}",
        image_id=seen.image.id,
        style=style,
        system=filled(system),
        turns=(asking, *[again] * (settings.turns - 1)),
        temperature=settings.temperature,
        reply_tokens=settings.reply_tokens,
        schema=SCHEMA,
        picture=marked(seen, settings) if settings.show_image else None,
    )


def marked(seen: Descriptors, settings: Settings) -> bytes:
    """Return the image with all its regions drawn, as JPEG; smaller only if none can hold it."""
    data = io.BytesIO()
    pixels = Picture(seen.image).pixels
    size = scaled(pixels.size, JPEG_SIDE)
    regions = [resized(region, pixels.size, size) for region in seen.regions.regions]
    pixels = pixels.resize(size, PIL.Image.Resampling.LANCZOS)
    mark(pixels, regions, settings.marking).save(data, "JPEG", quality=90)
    return data.getvalue()


def descriptors(shard: Shard) -> Iterator[Descriptors]:
    """Yield what was said of each image of a shard."""
    concepts, narratives = shard.one_each(Concepts), shard.one_each(Narratives)
    regions, dialogue = shard.one_each(Regions), shard.one_each(Dialogue)
    for image in shard.read(Image):
        yield Descriptors(
            image,
            concepts[image.id],
            narratives[image.id],
            regions[image.id],
            dialogue[image.id],
        )


def each(settings: Settings, context: Context) -> Worker:
    """Load the teacher and return the function that makes a shard."""
    teacher = context.build(Teacher, settings.teacher)

    def work(shard: Shard) -> Iterable[Record]:
        at_a_time = max(1, settings.conversations // len(settings.styles))
        for group in batches(list(descriptors(shard)), at_a_time):
            # An image without regions is not asked about: nothing that came back could be used.
            yield from (
                Reject(seen.image.id, "no region to ask about", "")
                for seen in group
                if not seen.regions.regions
            )
            talks = [
                conversation(seen, style, settings)
                for seen in group
                if seen.regions.regions
                for style in settings.styles
            ]
            for replies in teacher.converse(talks):
                yield from replies
            context.tick(len(group))

    return work


def cost(settings: Settings, shards: Sequence[Shard], images: int) -> list[Cost]:
    """Estimate what `images` images would take, from the prompts of `shards`.

    A reply is taken to have about 110 tokens a triple; each later turn sends all before it again.
    """
    reply = settings.triples * TRIPLE_TOKENS
    firsts, laters = [], []
    for shard in shards:
        for seen in descriptors(shard):
            for style in settings.styles if seen.regions.regions else ():
                talk = conversation(seen, style, settings)
                firsts.append(tokens(talk.system + talk.turns[0]))
                laters.append(sum(tokens(turn) for turn in talk.turns[1:2]))
    first = sum(firsts) / len(firsts) if firsts else 900.0
    later = sum(laters) / len(laters) if laters else 40.0
    turns = settings.turns
    sent = turns * first + (later + reply) * turns * (turns - 1) / 2
    talks = images * len(settings.styles)
    calls = talks * turns
    sent_in_all = round(talks * sent)
    return [Cost(settings.teacher, calls, sent_in_all, calls * reply, measured=bool(firsts))]


STAGE = Stage(
    name="generate",
    settings=Settings,
    reads=(Image, Concepts, Narratives, Regions, Dialogue),
    writes=(Reply, Reject),
    each=each,
    files=prompts,
    cost=cost,
    at_once=4,
)
