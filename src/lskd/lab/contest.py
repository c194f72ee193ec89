"""Table 5 in the lab: simulated judges compare a teacher and a student over the studio's protocol.

In: two files of answers as `lskd answers` writes them, and the address of a studio that shows their
pictures. Out: what the judges prefer, as the studio exports it, and the table made from that.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd import table
from lskd.errors import UserError
from lskd.human import answers, preference
from lskd.human.answers import Answer
from lskd.human.preference import Preferences
from lskd.lab.people import Campaign, Crew, Done, employ
from lskd.lab.study import COMPARISONS, OPINIONS, TABLE
from lskd.lab.visitor import Visitor
from lskd.lab.wire import Sheet, Wanted
from lskd.types import Comparison

CAMPAIGN = Campaign("lab contest", "compare")


@dataclass(frozen=True, slots=True)
class Contest:
    """What came out: what judges did now, their preferences, and the folder with the files."""

    done: Done
    preferences: Preferences
    folder: Path


def contest(
    address: str, files: Sequence[Path], crew: Crew, duels: int, folder: Path, seed: int = 0
) -> Contest:
    """Let a crew judge `duels` pairs of answers, drawn by seed, and write Table 5 into a folder.

    The same again goes on where people stopped. Raises UserError for files that do not hold two
    systems' answers to the same questions, and where the studio refuses; EndpointError where there
    is no studio.
    """
    systems = paired([one for file in files for one in answers.read(file).answers], duels, seed)
    judges = min(OPINIONS, crew.people.count)
    wanted = Wanted(
        name=CAMPAIGN.name,
        first=systems[0][0].system,
        second=systems[1][0].system,
        judges=judges,
        seed=seed,
        files=tuple(
            Sheet(f"{place}.jsonl", "".join(answers.written(rows)))
            for place, rows in enumerate(systems)
        ),
    )
    done = asyncio.run(_held(address, wanted, crew, folder))
    given = table.read(Comparison, folder / COMPARISONS)
    found = preference.preferences(given, wanted=judges)
    preference.write(found, folder / TABLE)
    return Contest(done, found, folder)


def paired(given: Sequence[Answer], duels: int, seed: int) -> list[list[Answer]]:
    """Return the answers of two systems to `duels` questions that both answered, at most.

    Where both say the same there is nothing to choose, so such a question is none. Raises UserError
    if there are not two systems, or no such question.
    """
    first, second = _by_question(given)
    shared = [name for name in sorted(first) if name in second]
    differing = [name for name in shared if _said(first[name]) != _said(second[name])]
    if not differing:
        raise UserError("the two systems have no question that both answered differently")
    drawn = random.Random(f"{seed}/contest").sample(differing, min(duels, len(differing)))
    return [[rows[name] for name in drawn] for rows in (first, second)]


def shared(given: Sequence[Answer]) -> tuple[int, int]:
    """Return how many questions both of two systems answered, and how many of these alike.

    Raises UserError if there are not two systems.
    """
    first, second = _by_question(given)
    both = first.keys() & second.keys()
    return len(both), sum(_said(first[name]) == _said(second[name]) for name in both)


def told(found: Contest) -> str:
    """Return what came out, as text for a terminal."""
    done = found.done
    did = f"{CAMPAIGN.name}: {done.labelled} labels now ({done.undone} taken back)\n"
    return "\n".join([did, preference.markdown(found.preferences), f"{found.folder}\n"])


def _by_question(given: Sequence[Answer]) -> tuple[dict[str, Answer], dict[str, Answer]]:
    """Return the answers of either system by question; raises UserError if there are not two."""
    by_system: dict[str, dict[str, Answer]] = {}
    for one in given:
        by_system.setdefault(one.system, {})[one.question_id] = one
    if len(by_system) != 2:
        names = ", ".join(by_system) or "none"
        raise UserError(f"the files of answers have these systems: {names}; give two")
    first, second = by_system.values()
    return first, second


def _said(one: Answer) -> tuple[str, str]:
    return one.answer.strip().lower(), one.rationale.strip().lower()


async def _held(address: str, wanted: Wanted, crew: Crew, folder: Path) -> Done:
    """Have the campaign judged, and save what the studio exports."""
    async with Visitor(address) as owner:
        await owner.send("/api/compare/campaigns/upload", wanted)
        done = await employ(owner, CAMPAIGN, crew)
        with table.draft(folder / COMPARISONS) as unfinished:
            unfinished.write_bytes(await owner.data(f"{CAMPAIGN.root}/export/parquet"))
    return done
