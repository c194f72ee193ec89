"""A study in the lab: simulated people judge and compare at the studio, and its tables are written.

In: the address of a studio that shows a run of the lab, and that run. Out: the judgments and
comparisons that the studio keeps, as it exports them; Figure 3 and Table 5 made from these files.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from lskd import table
from lskd.critique import judgments
from lskd.errors import UserError
from lskd.human import answers, likert, preference
from lskd.human.likert import Likert
from lskd.human.preference import Preferences
from lskd.human.work import JUDGE
from lskd.lab.annotators import Annotators
from lskd.lab.people import Campaign, Crew, Done, Habits, employ
from lskd.lab.rivals import DROPPED, KEPT, rivals
from lskd.lab.visitor import Visitor
from lskd.lab.wire import Overview, Sheet, Wanted
from lskd.lab.world import World
from lskd.run import Run
from lskd.types import Comparison

JUDGING = Campaign(JUDGE, "judge")
COMPARING = Campaign("lab comparison", "compare")
OPINIONS = 3  # of judges on each pair of answers (section 3.4)
JUDGMENTS, COMPARISONS = "judgments.parquet", "comparisons.parquet"
FIGURE, RATINGS, TABLE = "figure3.svg", "figure3.md", "table5.md"


@dataclass(frozen=True, slots=True)
class Staff:
    """Who takes part: annotators who judge triples, judges who compare `duels` pairs of answers.

    Three judges see each pair, or all where there are fewer; one more lets each pass something on.
    """

    annotators: Annotators
    judges: Annotators
    habits: Habits
    duels: int = 100


@dataclass(frozen=True, slots=True)
class Part:
    """What became of a campaign: what people did now, and how far it is."""

    done: Done
    overview: Overview


@dataclass(frozen=True, slots=True)
class Study:
    """What came out: both campaigns, Figure 3, Table 5, and the folder with the files."""

    judging: Part
    comparing: Part
    ratings: Likert
    preferences: Preferences
    folder: Path


def study(address: str, run: Run, world: World, staff: Staff, folder: Path) -> Study:
    """Let people work at a studio, and write what they said and what it comes to into a folder.

    The same again goes on where people stopped. Raises UserError where the studio refuses, where it
    shows another run, or the run is not at its end; EndpointError where there is no studio.
    """
    parts = asyncio.run(_taken(address, run, world, staff, folder))
    given = judgments.read(folder / JUDGMENTS)
    assert not given.rejects  # what the studio exports, the critic reads
    ratings = likert.of_run(given.judgments, run.tables)
    compared = table.read(Comparison, folder / COMPARISONS)
    found = preference.preferences(compared, wanted=_opinions(staff))
    likert.write(ratings, folder / FIGURE, folder / RATINGS)
    preference.write(found, folder / TABLE)
    return Study(*parts, ratings, found, folder)


def told(found: Study) -> str:
    """Return what came out, as text for a terminal: what people did, Figure 3 and Table 5."""
    lines = []
    for campaign, part in ((JUDGING, found.judging), (COMPARING, found.comparing)):
        done, overview = part.done, part.overview
        lines.append(
            f"{campaign.name}: {done.labelled} labels now ({done.undone} taken back), "
            f"{done.skipped} skipped, {done.flagged} flagged; {overview.complete} of "
            f"{overview.items} items have all of theirs\n"
        )
    tables = likert.markdown(found.ratings), preference.markdown(found.preferences)
    return "\n".join(["".join(lines), *tables, f"{found.folder}\n"])


def _opinions(staff: Staff) -> int:
    return min(OPINIONS, staff.judges.count)


async def _taken(
    address: str, run: Run, world: World, staff: Staff, folder: Path
) -> tuple[Part, Part]:
    """Take both campaigns, and save what the studio exports."""
    lines = "".join(answers.written(rivals(run, staff.duels, run.seed)))
    wanted = Wanted(
        name=COMPARING.name,
        first=KEPT,
        second=DROPPED,
        judges=_opinions(staff),
        seed=run.seed,
        files=(Sheet("answers.jsonl", lines),),
    )
    async with Visitor(address) as owner:
        judging = await _part(owner, JUDGING, Crew(staff.annotators, staff.habits, world))
        await owner.send("/api/compare/campaigns/upload", wanted)
        comparing = await _part(owner, COMPARING, Crew(staff.judges, staff.habits, world))
        exports = (
            (f"{JUDGING.root}/export/judgments.parquet", JUDGMENTS),
            (f"{COMPARING.root}/export/parquet", COMPARISONS),
        )
        for path, name in exports:
            with table.draft(folder / name) as unfinished:
                unfinished.write_bytes(await owner.data(path))
    return judging, comparing


async def _part(owner: Visitor, campaign: Campaign, crew: Crew) -> Part:
    done = await employ(owner, campaign, crew)
    found = await owner.get(f"{campaign.root}/overview", Overview)
    if not found.items:
        raise UserError(f"the campaign {campaign.name!r} has no items")
    return Part(done, found)
