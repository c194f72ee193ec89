"""How varied the wording of triples is: distinct n-grams, exact copies, near-duplicates.

Words are compared in lower case, and every region tag is one and the same word: "[1] is cold" and
"[4] is cold" have one wording. Words become 64-bit hashes; all else is arithmetic on arrays.
"""

import functools
import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lskd.report.sketch import Distinct, Hashes, Smallest, lot
from lskd.types import Example, Triple

WORD = re.compile(r"\[\d+(?:\s*,\s*\d+)*\]|\w+(?:['\-]\w+)*")
TAG = "[]"
SHINGLE = 3  # words
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
ALIKE = 0.7  # Jaccard similarity from which two triples are near-duplicates
BANDS, ROWS = 24, 4  # a pair of similarity 0.7 is found with 99.8 %, one of 0.8 with 99.999 %
SAMPLE = 2_000  # triples; a share measured on them is within 2.2 points at 95 % confidence

Wording = Triple | Example
Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Diversity:
    """The variety of some triples; shares are in [0, 1], None where there is nothing to share.

    `distinct` are the shares of different ones among all 1-, 2- and 3-grams (within a question, an
    answer or a rationale). `copies` is the share of triples that repeat an earlier one letter for
    letter. `near_duplicates` is the share of triples that have another whose 3-word shingles are
    alike (Jaccard >= 0.7), measured on `sampled` of them. `exact` says that no count is estimated.
    """

    name: str
    triples: int
    words: int
    distinct: tuple[float | None, float | None, float | None]
    copies: float | None
    near_duplicates: float | None
    sampled: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Coded:
    """Triples with all their words as hashes, one after the other.

    `text` tells of each word in which text it is: 3 i is the question of triple i, 3 i + 1 its
    answer, 3 i + 2 its rationale.
    """

    rows: Sequence[Wording]
    codes: Hashes
    text: NDArray[np.int64]

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of words of each text, (triples, 3)."""
        return np.bincount(self.text, minlength=3 * len(self.rows)).reshape(-1, 3)

    def part(self, chosen: Chosen) -> "Coded":
        """Return the triples for which `chosen`, (triples,), is true."""
        if chosen.all():
            return self
        kept = chosen[self.text // 3]
        place = np.cumsum(chosen) - 1  # old number of a triple -> new one
        text = self.text[kept]
        rows = [row for row, is_in in zip(self.rows, chosen.tolist(), strict=True) if is_in]
        return Coded(rows, self.codes[kept], 3 * place[text // 3] + text % 3)


def found_words(text: str) -> list[str]:
    """Return the words of a text in lower case, region tags as they are."""
    return WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; a region tag as in "[2]" or "[0, 3]" is "[]"."""
    return [TAG if word[0] == "[" else word for word in found_words(text)]


def digest(text: str) -> int:
    """Return the 64-bit hash of a text, the same in every process."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


@functools.lru_cache(maxsize=1 << 17)
def code(word: str) -> int:
    """Return the hash of a word, one and the same for all region tags."""
    return digest(TAG if word[0] == "[" else word)


def texts(row: Wording) -> tuple[str, str, str]:
    """Return the three texts of a triple."""
    return row.question, row.answer, row.rationale


def coded(rows: Sequence[Wording]) -> Coded:
    """Return triples with their words as hashes."""
    codes: list[int] = []
    ends = [0]
    for row in rows:
        for text in texts(row):
            codes += map(code, found_words(text))
            ends.append(len(codes))
    numbers = np.repeat(np.arange(3 * len(rows)), np.diff(ends))
    return Coded(rows, np.array(codes, dtype=np.uint64), numbers)


def mixed(values: Hashes) -> Hashes:
    """Return 64-bit values spread evenly (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def grams(codes: Hashes, owner: NDArray[np.int64], length: int) -> Hashes:
    """Return the hash of every n-gram whose words are of one owner, in order."""
    count = max(0, len(codes) - length + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(length):
        # An odd factor before mixing keeps the order of the words in the hash.
        hashes = mixed(hashes * GOLDEN + codes[place:][:count])
    within: Chosen = owner[:count] == owner[length - 1 :][:count]
    return hashes[within]


@dataclass(frozen=True, slots=True)
class Prints:
    """The 3-word shingles of several triples, and the keys by which like ones are found.

    Those of triple i are shingles[starts[i] : starts[i + 1]]; `keys` are (triples, BANDS).
    """

    ids: Sequence[str]
    shingles: Hashes
    starts: NDArray[np.int64]
    keys: Hashes

    def of(self, row: int) -> Hashes:
        """Return the shingles of one triple."""
        return self.shingles[self.starts[row] : self.starts[row + 1]]


def prints(said: Coded) -> Prints:
    """Return the shingles and keys of triples; there are as many shingles as words, at least one.

    MinHash (Broder 1997) with locality-sensitive banding: a key stands for `ROWS` minima.
    """
    count = len(said.rows)
    sizes = said.lengths().sum(axis=1)
    # Zeros before the first word give even a single word a shingle, and a third one to no word.
    zeros = np.where(sizes == 0, SHINGLE, SHINGLE - 1)
    before = np.repeat(np.cumsum(sizes) - sizes, zeros)
    owner = np.repeat(np.arange(count), sizes + zeros)
    shingles = grams(np.insert(said.codes, before, 0), owner, SHINGLE)
    starts = np.concatenate(([0], np.cumsum(np.maximum(sizes, 1))))
    keys = np.zeros((BANDS, count), dtype=np.uint64)
    for number, (factor, summand) in enumerate(zip(*factors(), strict=True)):
        if count:
            minima = np.minimum.reduceat(mixed(shingles * factor + summand), starts[:-1])
            keys[number // ROWS] = mixed(keys[number // ROWS] * GOLDEN + minima)
    return Prints([row.id for row in said.rows], shingles, starts, keys.T)


@functools.cache
def factors() -> tuple[Hashes, Hashes]:
    """Return the factor and the summand of each of the MinHash functions."""
    drawn = np.random.default_rng(0).integers(1 << 63, size=(2, BANDS * ROWS), dtype=np.uint64)
    return drawn[0] * np.uint64(2) + np.uint64(1), drawn[1]


def alike(ours: Hashes, theirs: Hashes) -> float:
    """Return the Jaccard similarity of two sets of shingles."""
    left, right = set(ours.tolist()), set(theirs.tolist())
    return len(left & right) / len(left | right)


class NearDuplicates:
    """Tells which of some sampled triples have a near-duplicate among all that are shown to it.

    The sample is held, all others pass by: memory does not grow with the corpus, and the share
    found in the sample is that of the corpus but for the error of sampling.
    """

    def __init__(self, sample: Sequence[Wording]) -> None:
        self.prints = prints(coded(sample))
        self.found: set[int] = set()
        self._places: dict[int, list[int]] = defaultdict(list)
        for place, keys in enumerate(self.prints.keys.tolist()):
            for key in keys:
                self._places[key].append(place)
        self._keys = np.array(sorted(self._places), dtype=np.uint64)

    def look(self, theirs: Prints, chosen: Chosen) -> None:
        """Compare the chosen triples with the sample; none is its own near-duplicate."""
        if not self.prints.ids:
            return
        nearest = np.searchsorted(self._keys, theirs.keys).clip(max=len(self._keys) - 1)
        hits = (self._keys[nearest] == theirs.keys).any(axis=1) & chosen
        for row in np.nonzero(hits)[0].tolist():
            places = {p for key in theirs.keys[row].tolist() for p in self._places.get(key, ())}
            for place in places - self.found:
                if self.prints.ids[place] == theirs.ids[row]:
                    continue
                if alike(self.prints.of(place), theirs.of(row)) >= ALIKE:
                    self.found.add(place)

    @property
    def share(self) -> float | None:
        """Return the share of the sample that has a near-duplicate; None for an empty sample."""
        return len(self.found) / len(self.prints.ids) if self.prints.ids else None


class Variety:
    """Measures the diversity of a stream of triples, which passes twice: `add`, then `compare`."""

    def __init__(self, name: str, seed: int, sample: int = SAMPLE) -> None:
        self.name = name
        self.seed = seed
        self.triples = 0
        self.grams = (Distinct(), Distinct(), Distinct())
        self.texts = Distinct()
        self.sample: Smallest[Wording] = Smallest(sample)

    def add(self, said: Coded) -> None:
        """Count the n-grams and copies of triples, and perhaps sample some of them."""
        self.triples += len(said.rows)
        for length, distinct in enumerate(self.grams, 1):
            distinct.add(grams(said.codes, said.text, length))
        whole = (digest("\n".join(texts(row))) for row in said.rows)
        self.texts.add(np.fromiter(whole, dtype=np.uint64))
        for row in said.rows:
            self.sample.add((lot(self.seed, row.id), 0), row)

    @functools.cached_property
    def near(self) -> NearDuplicates:
        """Return what finds near-duplicates of the sample; no triple may be added afterwards."""
        return NearDuplicates(self.sample.items)

    def compare(self, theirs: Prints, chosen: Chosen) -> None:
        """Look for near-duplicates of the sample among triples, in a second pass over all."""
        self.near.look(theirs, chosen)

    def result(self) -> Diversity:
        """Return what was measured."""
        one, two, three = self.grams
        fresh = self.texts.share
        return Diversity(
            name=self.name,
            triples=self.triples,
            words=one.seen,
            distinct=(one.share, two.share, three.share),
            copies=None if fresh is None else 1 - fresh,
            near_duplicates=self.near.share,
            sampled=min(self.triples, self.sample.limit),
            exact=all(d.exact for d in (*self.grams, self.texts)),
        )
