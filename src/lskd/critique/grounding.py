"""A critic without weights: how much of a triple do the descriptors support?

Pointing at a region is support in itself, since the parser lets only known regions through.

It reads words only. A triple whose words were said by no describer is likely invented; one that
repeats them is at least about this image. It cannot see a description's mistakes, and it cannot
tell good reasoning from bad: that takes the trained critic.
"""

import functools
import re
from collections.abc import Iterable, Sequence

from lskd.protocols import Seen
from lskd.types import Region, Score, Triple

# Words of reasoning and of pointing: a triple is neither better nor worse grounded for them.
NEUTRAL = frozenset(
    """
    a about above across after again all almost along already also although among an and
    another any anything appear appears are area around as at away be because been before
    behind being below beside best between both but by can cause clear clearly close come
    could did do does doing done down during each either else enough even ever every expect
    explain fact far feel few first for from get give go going had happen happening has have
    having he help her here him his how however if image in indicate indicates inside into is
    it its itself just keep kind know last lead left let like likely look looking looks made
    make makes many may maybe me mean means might more most much must near need needs next no
    nor not nothing now number of off often on once one only onto or other others our out over
    own part people perhaps person photo picture place point possible possibly probably
    purpose put rather reason region right same scene see seem seems seen several she should
    show shows side since so some somebody someone something soon still such suggest suggests
    sure take tell tells than that the their them themselves then there these they thing
    things think this those though through thus to together too toward towards under until up
    upon us use used useful usual usually very visible was we were what when where whether
    which while who whole whom whose why will with within without would you your
    """.split()
)
SUFFIXES = ("ing", "ed", "es", "s", "ly")
POINTER = "[]"
MENTION = re.compile(r"\[[^\[\]]*\]")


@functools.lru_cache(maxsize=1 << 16)  # words come again and again
def stem(word: str) -> str:
    """Return a word without its commonest endings, so that "holding" meets "holds"."""
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)].rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word


NEUTRAL_STEMS = frozenset(stem(word) for word in NEUTRAL)


def content(text: str) -> list[str]:
    """Return the stems of the words of a text that say something of the image.

    A region in brackets, by id or by phrase, is one word, "[]", so that both styles are measured
    alike; pointing alone says nothing.
    """
    found = re.findall(r"[^\W\d_]+", MENTION.sub(" ", text).lower())
    stems = [stem(word) for word in found if len(word) > 1 and word not in NEUTRAL]
    words = [word for word in stems if word not in NEUTRAL_STEMS]
    return [*([POINTER] * len(MENTION.findall(text)) if words else []), *words]


def support(said: Sequence[str], known: frozenset[str]) -> float:
    """Return the share of content words, of which there is one at least, that are known."""
    return sum(word in known for word in said) / len(said)


def vocabulary(texts: Iterable[str]) -> frozenset[str]:
    """Return the stems of all content words of some texts."""
    return frozenset({POINTER, *(word for text in texts for word in content(text))})


def global_words(seen: Seen) -> frozenset[str]:
    """Return what is said of the image as a whole: labels, narratives and dialogue."""
    labels = (*seen.concepts.places, *seen.concepts.objects, *seen.concepts.concepts)
    asked = [f"{e.question} {e.answer}" for e in seen.dialogue.exchanges]
    return vocabulary([*(label.label for label in labels), *seen.narratives.texts, *asked])


def region_words(regions: Iterable[Region]) -> frozenset[str]:
    """Return what is said of some regions."""
    return vocabulary(f"{region.label} {region.description}" for region in regions)


class GroundingCritic:
    """Scores a triple by the share of its words that the descriptors support.

    `elsewhere` is what a word counts that is said only of regions that the triple does not name:
    it is about this image, but perhaps about the wrong place.
    """

    def __init__(self, elsewhere: float = 0.5) -> None:
        self.elsewhere = elsewhere

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        """Return the score of each of triples[i], which are about seen[i]; no picture is opened."""
        return [self.about(one, asked) for one, asked in zip(seen, triples, strict=True)]

    def about(self, seen: Seen, triples: Sequence[Triple]) -> tuple[Score, ...]:
        """Return the scores of the triples of one image.

        `qa` is the support of question and answer, `rationale` that of the rationale, `accept` the
        mean of those that could be measured; 0 where no word says anything of the image.
        """
        if not triples:
            return ()
        whole = global_words(seen)
        of_region = {region.id: region_words([region]) for region in seen.regions.regions}
        everywhere = whole.union(*of_region.values())
        scores = []
        for triple in triples:
            named = whole.union(*(of_region[n] for n in triple.region_ids if n in of_region))
            qa = self.graded(f"{triple.question} {triple.answer}", named, everywhere)
            rationale = self.graded(triple.rationale, named, everywhere)
            known = [part for part in (qa, rationale) if part is not None]
            accept = sum(known) / len(known) if known else 0.0
            scores.append(Score(triple.id, triple.image_id, accept, qa, rationale))
        return tuple(scores)

    def graded(self, text: str, named: frozenset[str], everywhere: frozenset[str]) -> float | None:
        """Return the support of a text, with words of unnamed regions counted in part."""
        said = content(text)
        if not said:
            return None
        near, far = support(said, named), support(said, everywhere)
        return near + self.elsewhere * (far - near)
