"""Stage `dialogue`: a teacher asks short questions, a model that sees the image answers (2.1).

The questions come in rounds of `at_a_time`; each round shows the teacher what was answered so far,
and a question that was answered is not asked again.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from lskd.comparing import normal
from lskd.picture import Picture
from lskd.prompt import Descriptors, filled, observations, prompt_file, tokens
from lskd.protocols import Answerer, Conversation, Teacher
from lskd.resources import Resources, Spread
from lskd.stage import Batch, Context, Cost, Model, Section, Shard, Stage, Worker, batches, looks
from lskd.types import (
    Annotation,
    Concepts,
    Dialogue,
    Exchange,
    Image,
    Narratives,
    Record,
    Regions,
    Reject,
    Reply,
)
from lskd.verbalize.replies import spoken

SCHEMA = json.dumps(
    {
        "name": "questions",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"questions": {"type": "array", "items": {"type": "string"}}},
            "required": ["questions"],
            "additionalProperties": False,
        },
    }
)
BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):]|Q\d*[.:])\s*")
FENCED = re.compile(r"```[^`\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
ASKING = ("?", "？", "؟")  # noqa: RUF001 - as in English, Chinese and Japanese, and Arabic
REPLY_TOKENS = 30


class Settings(Section):
    """Who asks and who answers: 15 questions an image (section 2.1); 0 for no dialogue.

    `at_a_time` questions are asked in one reply; 1 is the paper's one at a time, dearer and better
    informed. `prompt` asks for them, `system` stands before it: prompts that ship, or text files of
    yours.
    """

    teacher: Annotated[Model, Teacher]
    answerer: Annotated[Model, Answerer]
    questions: NonNegativeInt = 15
    at_a_time: PositiveInt = 15
    temperature: NonNegativeFloat = 0.8
    prompt: str = "dialogue"
    system: str = "dialogue_system"
    batch: Batch = 8
    resources: Spread = Resources()


def prompts(settings: Settings) -> tuple[Path, Path]:
    """Return the files of the system prompt and of the question prompt."""
    package = "lskd.verbalize"
    return prompt_file(package, settings.system), prompt_file(package, settings.prompt)


def conversation(seen: Descriptors, settings: Settings, turn: int, count: int) -> Conversation:
    """Return what is said to the teacher to get `count` further questions."""
    system, asking = prompts(settings)
    block = observations(seen, "id", ("concepts", "narratives", "regions", "dialogue"))
    return Conversation(
        id=f"{seen.image.id}-dialogue-{turn}",
        image_id=seen.image.id,
        style="id",
        system=filled(system),
        turns=(filled(asking, observations=block, count=count),),
        temperature=settings.temperature,
        reply_tokens=max(256, 2 * REPLY_TOKENS * count),
        schema=SCHEMA,
    )


def questions_in(text: str) -> list[str]:
    """Return the questions of a reply, JSON or a line each; lines that ask nothing are left out."""
    said = spoken(text)
    fenced = FENCED.search(said)
    try:
        found = json.loads(fenced[1] if fenced else said)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, Mapping):
        found = found.get("questions")
    lines = found if isinstance(found, list) else said.splitlines()
    clean = [BULLET.sub("", line).strip() for line in lines if isinstance(line, str)]
    return [line for line in clean if line.endswith(ASKING)]


def fresh(asked: Sequence[str], before: Sequence[Exchange], most: int) -> list[str]:
    """Return the first `most` questions that were not answered before and do not repeat."""
    met = {normal(exchange.question) for exchange in before}
    kept: list[str] = []
    for question in asked:
        if normal(question) not in met and len(kept) < most:
            met.add(normal(question))
            kept.append(question)
    return kept


class Talk:
    """The dialogues of some images as they grow round by round."""

    def __init__(self, settings: Settings, teacher: Teacher, answerer: Answerer) -> None:
        self.settings = settings
        self.teacher = teacher
        self.answerer = answerer

    def about(self, shard: Shard) -> Iterator[Record]:
        """Yield the replies, rejects and dialogues of one shard."""
        pictures = {picture.image.id: picture for picture in shard.pictures()}
        said: dict[str, tuple[Exchange, ...]] = dict.fromkeys(pictures, ())
        seen = descriptors(shard, said)
        open_ones = list(pictures) if self.settings.questions else []
        turn = 0
        while open_ones:
            wanted = self.settings.questions
            turns = [
                conversation(one, self.settings, turn, self.count(said[one.image.id]))
                for one in descriptors_of(seen, open_ones, said)
            ]
            asked: dict[str, list[str]] = {}
            for replies in self.teacher.converse(turns):
                for reply in replies:
                    yield reply
                    found = questions_in(reply.text)
                    before = said[reply.image_id]
                    asked[reply.image_id] = fresh(found, before, wanted - len(before))
                    if not found:
                        reason = reply.error or "asks nothing"
                        yield Reject(reply.id, reason, reply.text)
            for image, question, answer in self.answers(pictures, asked):
                if answer:
                    said[image] += (Exchange(question, answer),)
                else:
                    yield Reject(image, "no answer", question)
            turn += 1
            open_ones = [
                image
                for image in open_ones
                if asked.get(image) and len(said[image]) < wanted and turn < self.rounds()
            ]
        for image in pictures:
            yield Dialogue(image, said[image])

    def rounds(self) -> int:
        """Return the number of rounds at most."""
        return -(-self.settings.questions // self.settings.at_a_time)

    def count(self, before: Sequence[Exchange]) -> int:
        """Return how many questions the next round asks for."""
        return min(self.settings.at_a_time, self.settings.questions - len(before))

    def answers(
        self, pictures: Mapping[str, Picture], asked: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[str, str, str]]:
        """Yield (image id, question, answer), `batch` images in memory at a time."""
        for group in batches(list(asked), self.settings.batch):
            pairs = [(image, question) for image in group for question in asked[image]]
            opened = {image: pictures[image].fresh() for image in group}
            told = self.answerer.answer(
                [opened[image] for image, _ in pairs], [q for _, q in pairs]
            )
            for (image, question), answer in zip(pairs, told, strict=True):
                yield image, question, " ".join(answer.split())


def descriptors(shard: Shard, said: Mapping[str, tuple[Exchange, ...]]) -> dict[str, Descriptors]:
    """Return what was said of each image of a shard before its dialogue."""
    concepts, narratives = shard.one_each(Concepts), shard.one_each(Narratives)
    regions = shard.one_each(Regions)
    return {
        image.id: Descriptors(
            image,
            concepts[image.id],
            narratives[image.id],
            regions[image.id],
            Dialogue(image.id, said[image.id]),
        )
        for image in shard.read(Image)
    }


def descriptors_of(
    seen: Mapping[str, Descriptors], ids: Sequence[str], said: Mapping[str, tuple[Exchange, ...]]
) -> list[Descriptors]:
    """Return the descriptors of some images with what was answered so far."""
    return [
        Descriptors(
            seen[i].image,
            seen[i].concepts,
            seen[i].narratives,
            seen[i].regions,
            Dialogue(i, said[i]),
        )
        for i in ids
    ]


def each(settings: Settings, context: Context) -> Worker:
    """Load the teacher and the answerer and return the function that makes a shard."""
    talk = Talk(
        settings,
        context.build(Teacher, settings.teacher),
        context.build(Answerer, settings.answerer),
    )

    def work(shard: Shard) -> Iterable[Record]:
        for row in talk.about(shard):
            if isinstance(row, Dialogue):
                context.tick(1)
            yield row

    return work


def cost(settings: Settings, shards: Sequence[Shard], images: int) -> list[Cost]:
    """Estimate what the questions about `images` images would take, from prompts of `shards`."""
    lengths = [
        tokens(talk.system + talk.turns[0])
        for shard in shards
        for seen in descriptors(shard, {i.id: () for i in shard.read(Image)}).values()
        for talk in [conversation(seen, settings, 0, settings.at_a_time)]
    ]
    rounds = -(-settings.questions // settings.at_a_time)
    # Each round repeats the questions answered before it: half of them on average.
    growth = REPLY_TOKENS * settings.questions // 2 if rounds > 1 else 0
    mean = sum(lengths) / len(lengths) if lengths else 600.0
    asked = images * settings.questions
    return [
        Cost(
            model=settings.teacher,
            calls=images * rounds,
            input_tokens=round(images * rounds * (mean + growth)),
            output_tokens=asked * REPLY_TOKENS // 2,
            measured=bool(lengths),
        ),
        looks(settings.answerer, asked, REPLY_TOKENS // 2, most=True),
    ]


STAGE = Stage(
    name="dialogue",
    settings=Settings,
    reads=(Image, Annotation, Concepts, Narratives, Regions),
    writes=(Dialogue, Reply, Reject),
    each=each,
    files=prompts,
    cost=cost,
    at_once=4,
    version=2,
)
