"""Stage `parse`: a reply becomes triples. What cannot be used is kept with its reason, never lost.

A reply is JSON (alone, fenced, among other text or cut off) or text with "Question:", "Answer:" and
"Rationale:". `pieces` cuts it up so that every word lands in a piece but headings as "Triple 2";
`parse` judges the pieces.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import PositiveInt

from lskd.comparing import normal
from lskd.generate.phrases import Links
from lskd.resources import Resources, Spread
from lskd.stage import Context, Section, Shard, Stage, Worker
from lskd.types import Image, Mention, Record, Region, Regions, Reject, Reply, Style, Triple
from lskd.unicode import mended

PARTS = ("question", "answer", "rationale")
# "Question:", "**Answer 2**:", "3. _Rationale_:" and the like, at the start of a line. None has
# quotes, as keys of JSON have: what cannot be read as JSON is no text with parts. A run of
# signs is taken whole ("++"), never shared out between two groups: that would take its square.
MARKER = re.compile(
    r"^[ \t]*(?:[-•>#]+[ \t]*|\*[ \t]+)?(?:(?P<opened>[*_`]++)[ \t]*)?(?:\(?\d+[.)][ \t]*)?"
    r"(?P<inner>[*_`]*+)(?P<part>question|answer|rationale|q|a|r)(?:[ \t]*#?\d+)?"
    r"(?P<closed>[*_`]*[ \t]*[:：][*_`]*)[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
# Lines that say nothing: rules, fences, numbers, and headings such as "**Triple 2**". No two runs
# of blanks may stand next to each other here: a line of blanks alone would take its square.
HEADING = re.compile(
    r"^[ \t]*(?:[-*_=]{3,}|```[a-z]*|(?:[#*_]+[ \t]*)?#?[0-9]{1,3}[.):]?[*_:]*|"
    r"(?:[#*_]+[ \t]*)?(?:triple|example|set)[ \t]*#?[0-9]{1,3}[.):]?[*_:]*|"
    r"[#*_]+[ \t]*(?:triple|example|set)[ \t]*#?[0-9]{1,3}\b[^\r\n]*+)[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
NUMBER = re.compile(r"[\s#*_]*[0-9]+[.):*_]*\s*")
BLANK = re.compile(r"\n[ \t]*\r?\n")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
NUMBERS = re.compile(
    r"\s*(?:regions?\s+)?#?\d{1,6}(?:\s*(?:,|and|&|,\s*and)\s*#?\d{1,6})*\s*", re.IGNORECASE
)
REFUSAL = re.compile(
    r"\b(?:i(?:'|’)?m (?:so |very |truly )?sorry|i apologi[sz]e|as an ai\b|"
    r"i (?:cannot|can(?:'|’)t|am unable to|am not able to|won(?:'|’)t) "
    r"(?:help|assist|comply|provide|create|generate|write|do|answer|discuss))",
    re.IGNORECASE,
)
ENDS = (".", "!", "?", '"', "'", ")", "]", "”", "’", "。", "！", "？", "؟")  # noqa: RUF001
FRAME = re.compile(r'"triples"\s*:|```[a-z]*', re.IGNORECASE)


class Settings(Section):
    """How long each part of a triple may be, in words."""

    max_words: PositiveInt = 100
    resources: Spread = Resources()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a reply: a question, answer and rationale as far as they came, or other text.

    `text` is the piece word for word; `last` says that nothing but blanks follows it.
    """

    text: str
    question: str = ""
    answer: str = ""
    rationale: str = ""
    last: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the names of the parts that are not there."""
        return tuple(part for part in PARTS if not getattr(self, part))


def pieces(text: str) -> list[Piece]:
    """Cut a reply into pieces that together hold all of its words; headings are left out."""
    thoughts, end, spoken = text.rpartition("</think>")
    said, begun, unfinished = spoken.partition("<think>")  # cut off while it still thought
    found = [Piece(f"{thoughts}{end}".strip())] if end else []
    read = list(json_pieces(said)) if "{" in said else []
    if not any(len(piece.missing) < len(PARTS) for piece in read):
        read = list(text_pieces(said))
    found += read
    if begun:
        found.append(Piece(f"{begun}{unfinished}".strip()))
    if found:
        found[-1] = replace(found[-1], last=True)
    return found


def json_pieces(text: str) -> Iterator[Piece]:
    """Yield each object of a JSON reply that holds a question, and the text between them.

    The objects are looked for one by one, so that those before a cut are found.
    """
    decoder = json.JSONDecoder()
    start = done = 0
    while (start := text.find("{", start)) >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
            continue
        if not isinstance(value, dict) or not set(PARTS) & {str(key).lower() for key in value}:
            start += 1
            continue
        yield from rest(text[done:start])
        yield object_piece(text[start:end], {str(key).lower(): item for key, item in value.items()})
        start = done = end
    yield from rest(text[done:])


def object_piece(text: str, value: dict[str, object]) -> Piece:
    """Return the piece of one JSON object; a part that is not text counts as missing."""
    return of_parts(
        text,
        {part: mended(said).strip() for part in PARTS if isinstance(said := value.get(part), str)},
    )


def of_parts(text: str, parts: Mapping[str, str]) -> Piece:
    """Return a piece with the parts that there are."""
    question, answer, rationale = (parts.get(part, "") for part in PARTS)
    return Piece(text, question, answer, rationale)


def rest(text: str) -> Iterator[Piece]:
    """Yield what stands between the objects of JSON, unless it is only the frame of a list."""
    if FRAME.sub("", text).strip(" \t\r\n,[]{}"):
        yield from text_pieces(text.strip(" \t\r\n,"))


def text_pieces(text: str) -> Iterator[Piece]:
    """Yield a piece for each run of marked parts that begins with a question, and text between.

    The last part of a run ends with its paragraph: what follows is a remark, not the teacher's
    rationale.
    """
    marks = list(MARKER.finditer(text))
    yield from remark(text[: marks[0].start()] if marks else text)
    parts: dict[str, str] = {}
    start = 0
    for number, mark in enumerate(marks):
        part = part_of(mark)
        if not parts:
            start = mark.start()
        after = marks[number + 1] if number + 1 < len(marks) else None
        end = after.start() if after else len(text)
        # A part that is there already, or comes before its turn, begins a new piece.
        done = after is None or part_of(after) == "question" or part_of(after) in {*parts, part}
        stop = paragraph(text, mark.end(), end) if done else end
        parts[part] = unmarked(mark, text[mark.end() : stop].strip())
        if done:
            yield of_parts(text[start:stop].strip(), parts)
            yield from remark(text[stop:end])
            parts = {}


def part_of(mark: re.Match[str]) -> str:
    """Return which part a marker begins."""
    return next(name for name in PARTS if name.startswith(mark["part"].lower()[:1]))


def paragraph(text: str, start: int, end: int) -> int:
    """Return where the first paragraph between two places ends: at a blank line or a heading.

    A number on a line of its own heads only what follows behind the end.
    """
    begin = start + len(text[start:end]) - len(text[start:end].lstrip())
    blank = BLANK.search(text, begin, end)
    stop = blank.start() if blank else end
    for heading in HEADING.finditer(text, begin, stop):
        if not NUMBER.fullmatch(heading[0]):
            return heading.start()
        if heading.start() > begin and not text[heading.end() : end].strip():
            return heading.start()
    return stop


def unmarked(mark: re.Match[str], said: str) -> str:
    """Return a part's text without the end of an emphasis that its marker began: "*A: …*"."""
    opened = mark["opened"] or mark["inner"]
    closed = not opened or any(sign in mark["closed"] for sign in opened)
    return said if closed else said.removesuffix(opened).rstrip()


def remark(text: str) -> Iterator[Piece]:
    """Yield text that is no part of a triple, unless it is blank or only heads one."""
    if HEADING.sub("", text).strip():
        yield Piece(text.strip())


def canonical(piece: Piece) -> Piece:
    """Return a piece whose tags are written as "[2]" or "[0, 2]", however the teacher did."""

    def rewritten(tag: re.Match[str]) -> str:
        if not NUMBERS.fullmatch(tag[1]):
            return tag[0]
        tidy = ", ".join(str(int(number)) for number in re.findall(r"\d+", tag[1]))
        return f"[{tidy}]"

    question, answer, rationale = (BRACKETS.sub(rewritten, getattr(piece, p)) for p in PARTS)
    return Piece(piece.text, question, answer, rationale, piece.last)


def without_parts(text: str, cut: bool) -> str:
    """Return what is wrong with a piece of no triple; what a model thinks is no refusal."""
    thought = text.startswith("<think>") or text.endswith("</think>")
    if REFUSAL.search(text) and not thought:
        return "refusal"
    return "cut off" if cut else "not a triple"


@dataclass
class Parser:
    """Judges the replies about one image in order, and remembers them to find repetitions."""

    regions: Sequence[Region]
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.known = {region.id for region in self.regions}
        self.links = Links(self.regions)
        self.said: dict[tuple[str, str], str] = {}

    def parse(self, reply: Reply) -> Iterator[Triple | Reject]:
        """Yield a triple or a reject for each piece of a reply."""
        if reply.error is not None:
            yield Reject(reply.id, f"no reply: {reply.error}", reply.text)
            return
        found = pieces(reply.text)
        if not found:
            yield Reject(reply.id, "empty reply", reply.text)
        for number, piece in enumerate(found):
            name = f"{reply.id}-{number}"
            reason = self.problem(piece, reply)
            mentions: tuple[Mention, ...] = ()
            if reply.style == "id":
                piece = canonical(piece)
            if not reason:
                reason, ids, mentions = self.grounded(piece, reply.style)
            if not reason:
                reason = self.repeated(piece, name)
            if reason:
                yield Reject(reply.id, reason, piece.text)
                continue
            yield Triple(
                id=name,
                reply_id=reply.id,
                image_id=reply.image_id,
                style=reply.style,
                question=piece.question,
                answer=piece.answer,
                rationale=piece.rationale,
                region_ids=tuple(sorted(ids)),
                mentions=mentions,
            )

    def problem(self, piece: Piece, reply: Reply) -> str:
        """Return what is wrong with a piece as such, or ""."""
        cut = reply.finish == "length" and piece.last
        if len(piece.missing) == len(PARTS):
            return without_parts(piece.text, cut)
        if piece.missing:
            return "cut off" if cut else f"no {' and no '.join(piece.missing)}"
        if cut and not piece.text.startswith("{") and not piece.rationale.endswith(ENDS):
            return "cut off"
        if REFUSAL.search(piece.answer) or REFUSAL.search(piece.rationale):
            return "refusal"
        for part in PARTS:
            count = len(getattr(piece, part).split())
            if count > self.settings.max_words:
                return f"{part} too long: over {self.settings.max_words} words"
        return ""

    def grounded(self, piece: Piece, style: Style) -> tuple[str, set[int], tuple[Mention, ...]]:
        """Return what is wrong with the regions that a piece names, their ids, and its mentions."""
        whole = f"{piece.question}\n{piece.answer}\n{piece.rationale}"
        inside = BRACKETS.findall(whole)
        left = BRACKETS.sub("", whole)
        if "[" in left or "]" in left:
            return "a bracket is not closed", set(), ()
        if not inside:
            return "names no region", set(), ()
        return self.by_id(inside) if style == "id" else self.by_description(inside)

    def by_id(self, inside: Iterable[str]) -> tuple[str, set[int], tuple[Mention, ...]]:
        """Return the ids that brackets hold; a problem if one holds none, or an unknown one."""
        ids: set[int] = set()
        for text in inside:
            if not NUMBERS.fullmatch(text):
                return "brackets without a region's number", set(), ()
            ids |= {int(number) for number in re.findall(r"\d+", text)}
        if ids - self.known:
            return "names an unknown region", set(), ()
        return "", ids, ()

    def by_description(self, inside: Iterable[str]) -> tuple[str, set[int], tuple[Mention, ...]]:
        """Return the regions that phrases stand for; a problem if one stands for no single one."""
        mentions: dict[str, Mention] = {}
        for phrase in inside:
            ids = self.links.find(phrase)
            if len(ids) != 1:
                return (
                    ("a phrase fits several regions" if ids else "names an unknown region"),
                    set(),
                    (),
                )
            mentions.setdefault(phrase, Mention(phrase, ids[0]))
        return "", {mention.region_id for mention in mentions.values()}, tuple(mentions.values())

    def repeated(self, piece: Piece, name: str) -> str:
        """Return "duplicate" if the image was asked and answered so before, else ""."""
        key = (normal(piece.question), normal(piece.answer))
        return "duplicate" if self.said.setdefault(key, name) != name else ""


def each(settings: Settings, context: Context) -> Worker:
    """Return the function that makes a shard."""

    def work(shard: Shard) -> Iterable[Record]:
        parsers = {row.image_id: Parser(row.regions, settings) for row in shard.read(Regions)}
        for reply in shard.read(Reply):
            yield from parsers[reply.image_id].parse(reply)
        context.tick(len(parsers))

    return work


STAGE = Stage(
    name="parse",
    settings=Settings,
    reads=(Image, Regions, Reply),
    writes=(Triple, Reject),
    each=each,
    version=2,
)
