"""Records to Parquet's columns and back: `lskd.columns` beside Arrow's own row by row.

    python bench/tables.py            # 3,000 triples and 300 images' regions

The other way makes a dict of each record for `pa.Table.from_pylist`, and records from the dicts of
`Table.to_pylist`. Both give equal tables and equal records, which is checked. What is printed are
ratios of processor time, the best of several runs in turn.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from lskd import table
from lskd.columns import arrow_of, records_of, schema
from lskd.types import Box, Mention, Region, Regions, Triple

IMAGES, REGIONS, TRIPLES = 300, 4, 10
RUNS = 7


def triples(chance: random.Random) -> list[Triple]:
    """Return triples as long as a teacher writes them."""
    said = [" ".join(chance.choices(WORDS, k=many)) for many in (9, 12, 25) for _ in range(50)]
    return [
        Triple(
            id=f"{number:08x}",
            image_id=f"{number // TRIPLES:08x}",
            reply_id=f"{number // 3:08x}",
            style="id",
            question=said[number % 50],
            answer=said[50 + number % 50],
            rationale=said[100 + number % 50],
            region_ids=(number % REGIONS,),
            mentions=(Mention("the one", number % REGIONS),),
        )
        for number in range(IMAGES * TRIPLES)
    ]


def regions(chance: random.Random) -> list[Regions]:
    """Return the regions of images, each with a mask of twenty corners."""
    return [
        Regions(
            f"{number:08x}",
            tuple(
                Region(
                    n,
                    Box(*(chance.uniform(0, 640) for _ in range(4))),
                    "person",
                    "a man in a red coat who holds a ball",
                    chance.random(),
                    (tuple(chance.uniform(0, 1) for _ in range(40)),),
                )
                for n in range(REGIONS)
            ),
        )
        for number in range(IMAGES)
    ]


WORDS = "why is the man in a red coat here to play with his ball on sand by sea".split()


def best(work: Callable[[], Any]) -> float:
    """Return the least seconds of processor time that a piece of work took."""
    taken = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def compare(kind: type, rows: Sequence[Any]) -> None:
    """Print how many times as fast a kind of record is written and read."""
    convert = table.converter(kind)

    def by_row() -> pa.Table:
        return pa.Table.from_pylist([table.plain(row) for row in rows], schema=schema(kind))

    content = arrow_of(kind, rows)
    assert content.equals(by_row())
    assert records_of(kind, content) == [convert(row) for row in content.to_pylist()] == list(rows)
    written = best(by_row) / best(lambda: arrow_of(kind, rows))
    read = best(lambda: [convert(row) for row in content.to_pylist()]) / best(
        lambda: records_of(kind, content)
    )
    print(f"{len(rows):,} {kind.__name__}: to columns {written:.1f}, back {read:.1f} times as fast")


def main() -> None:
    """Compare both kinds of records."""
    chance = random.Random(0)
    compare(Triple, triples(chance))
    compare(Regions, regions(chance))


if __name__ == "__main__":
    main()
