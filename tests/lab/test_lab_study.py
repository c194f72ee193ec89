"""Simulated people go through the studio's own doors, and Table 5 and Figure 3 come out."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from lab_house import small_world
from lab_studio import judged_by_truth, studio
from typer.testing import CliRunner

from lskd import table
from lskd.cli import app
from lskd.critique import judgments
from lskd.errors import EndpointError, UserError
from lskd.human.preference import Row
from lskd.lab.annotators import Annotators, opinions, verdicts
from lskd.lab.people import Habits
from lskd.lab.rivals import DROPPED, KEPT, rivals
from lskd.lab.study import COMPARING, JUDGING, Staff, Study, study
from lskd.lab.visitor import Visitor
from lskd.lab.wire import Token
from lskd.lab.world import World
from lskd.run import Run
from lskd.types import Comparison, Regions, Sample, Triple

ITEMS, DUELS = 24, 14
# Who passes an item on never gets it again: so many that two, or three, are always left.
PEOPLE = Annotators(count=6, errors=0.0, unsure=0.0)
JUDGES = Annotators(count=7, errors=0.0)
TOKEN = "a token that is long enough"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small_world(tmp_path_factory.mktemp("world"), train=20, test=1)


@pytest.fixture(scope="module")
def run(scenes: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return judged_by_truth(scenes, tmp_path_factory.mktemp("run"), ITEMS)


@pytest.fixture(scope="module")
def sure(
    run: Run, scenes: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, dict[str, Counter[str]]]:
    """Return a study whose people never err, and how often each said each kind of thing."""
    folder = tmp_path_factory.mktemp("sure")
    habits = Habits(skips=0.1, flags=0.1, undone=0.2)
    with studio(run, folder) as (address, store):
        found = study(address, run, scenes, Staff(PEOPLE, JUDGES, habits, DUELS), folder)
        said = {
            name: Counter[str](entry.kind for entry in store.entries(name))
            for name in (JUDGING.name, COMPARING.name)
        }
    return found, said


def row(found: Study, aspect: str) -> Row:
    return next(one for one in found.preferences.rows if one.aspect == aspect)


def test_every_item_gets_its_people_and_nobody_has_one_twice(
    sure: tuple[Study, dict[str, Counter[str]]],
) -> None:
    found, _ = sure
    for part, overlap, size in ((found.judging, 2, ITEMS), (found.comparing, 3, DUELS)):
        assert part.overview.items == part.overview.complete == size
        assert part.overview.labels == size * overlap
    given = judgments.read(found.folder / "judgments.parquet")
    assert not given.rejects
    assert set(Counter(one.triple_id for one in given.judgments).values()) == {2}
    compared = table.read(Comparison, found.folder / "comparisons.parquet")
    assert set(Counter(one.question_id for one in compared).values()) == {3}
    for rows in (
        [(one.triple_id, one.annotator) for one in given.judgments],
        [(one.question_id, one.annotator) for one in compared],
    ):
        assert len(set(rows)) == len(rows)


def test_people_skip_flag_and_take_back_now_and_then(
    sure: tuple[Study, dict[str, Counter[str]]],
) -> None:
    found, said = sure
    for part, name in ((found.judging, JUDGING.name), (found.comparing, COMPARING.name)):
        assert part.done.labelled - part.done.undone == part.overview.labels
        told = said[name]
        counts = (part.done.labelled, part.done.skipped, part.done.flagged, part.done.undone)
        assert counts == (told["label"], told["skip"], told["flag"], told["undo"])
    # Who gets which item is a matter of who asks first: of this many all is seen in any order.
    assert {*said[JUDGING.name], *said[COMPARING.name]} >= {"label", "skip", "flag", "undo"}


def test_who_never_errs_says_the_truth_and_agrees_with_all(
    sure: tuple[Study, dict[str, Counter[str]]], run: Run, scenes: World
) -> None:
    found, _ = sure
    right: dict[str, tuple[int, int | None]] = {}
    for shard in run.tables.shards(Triple):
        rows = run.tables.read(Triple, shard), run.tables.read(Regions, shard)
        for triple, holds in verdicts(*rows, scenes):
            first = next(opinions(triple, holds, PEOPLE))
            right[triple.id] = first.qa, first.rationale
    for one in judgments.read(found.folder / "judgments.parquet").judgments:
        assert (one.qa, one.rationale) == right[one.triple_id]
        assert one.seconds is not None
    for question in found.ratings.questions:
        assert question.agreement.value == 1.0
    assert row(found, "overall").agreement.value == 1.0


def test_figure_3_says_that_what_was_kept_is_rated_higher(
    sure: tuple[Study, dict[str, Counter[str]]], run: Run
) -> None:
    found, _ = sure
    sample = [row for shard in run.tables.shards(Sample) for row in run.tables.read(Sample, shard)]
    apart = [row for row in sample if row.purpose == "evaluate"]
    assert 0 < found.ratings.kept < found.ratings.triples == len(apart) < len(sample) == ITEMS
    assert found.ratings.left_out == ITEMS - len(apart)
    for question in found.ratings.questions:
        assert question.kept.value == 3.0  # the critic of this run knows the truth
        assert question.without.value is not None
        assert question.without.value < 2.7
        assert question.gain.low is not None
        assert question.gain.low > 0
    drawn = (found.folder / "figure3.svg").read_text()
    assert drawn.startswith("<svg")
    assert "3.00" in drawn
    assert "QA → R" in (found.folder / "figure3.md").read_text()


def test_table_5_says_that_kept_answers_are_preferred(
    sure: tuple[Study, dict[str, Counter[str]]],
) -> None:
    found, _ = sure
    for one in found.preferences.rows:
        assert (one.first, one.second) == (KEPT, DROPPED)
        assert one.undecided == 0  # who never errs is never of two minds
    assert row(found, "correctness").second_wins.value == 0.0
    overall = row(found, "overall")
    assert overall.first_wins.value is not None
    assert overall.second_wins.value is not None
    assert overall.first_wins.value > 0.6 > 0.25 > overall.second_wins.value
    assert f"| {KEPT} |" in (found.folder / "table5.md").read_text()


def test_who_errs_agrees_less_and_blurs_both(run: Run, scenes: World, tmp_path: Path) -> None:
    people, judges = (replace(some, errors=0.45) for some in (PEOPLE, JUDGES))
    with studio(run, tmp_path, TOKEN) as (address, _):
        found = study(address, run, scenes, Staff(people, judges, Habits(), DUELS), tmp_path)
    assert found.judging.overview.complete == ITEMS
    assert found.comparing.overview.complete == DUELS
    for question in found.ratings.questions:
        assert question.agreement.value is not None
        assert question.agreement.value < 0.8
    assert row(found, "overall").agreement.value < 0.8  # type: ignore[operator]
    # Who never errs finds nothing right in what was dropped, and always agrees on a majority.
    right = row(found, "correctness")
    assert right.second_wins.value or any(one.undecided for one in found.preferences.rows)


def test_the_command_tells_what_came_out_and_goes_on_where_it_stopped(
    run: Run, scenes: World, tmp_path: Path
) -> None:
    def people(*options: str) -> str:
        given = [
            *("lab", "people", str(run.own), "--url", address),
            *("--world", str(scenes.folder), "--judges", "2", "--duels", "4", *options),
        ]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, done.output
        return done.output

    with studio(run, tmp_path) as (address, store):
        said = people("--each", "3")
        assert "labels now" in said
        assert "| rating |" in said
        assert "| kept |" in said
        assert len(list(store.valid(JUDGING.name))) == 12
        people("--each", "2")
        assert len(list(store.valid(JUDGING.name))) == 20
        assert len(list(store.valid(COMPARING.name))) == 8
    for name in ("table5.md", "figure3.svg", "figure3.md", "judgments.parquet"):
        assert (run.own / "people" / name).stat().st_size > 0


def test_rivals_answer_the_same_question_and_kept_is_never_worse(run: Run) -> None:
    both = rivals(run, 1000, 0)
    assert [one.system for one in both[:2]] == [KEPT, DROPPED]
    for kept, dropped in zip(both[::2], both[1::2], strict=True):
        assert (kept.question_id, kept.question) == (dropped.question_id, dropped.question)
        assert (kept.answer, kept.rationale) != (dropped.answer, dropped.rationale)
        assert "[" in kept.question
    assert [one.question_id for one in rivals(run, 5, 0)] == [
        one.question_id for one in rivals(run, 5, 0)
    ]
    assert len(rivals(run, 5, 0)) == 10


def test_rivals_leave_out_the_images_that_the_critic_learnt_from(run: Run) -> None:
    samples = [row for shard in run.tables.shards(Sample) for row in run.tables.read(Sample, shard)]
    learnt = {row.image_id for row in samples if row.purpose == "train"}
    asked = {
        row.image_id
        for shard in run.tables.shards(Triple)
        for row in run.tables.read(Triple, shard)
    }
    assert learnt and asked - learnt
    assert {one.image for one in rivals(run, 1000, 0)} <= asked - learnt


@pytest.mark.parametrize("address", ["", "studio", "ftp://here", "http://", "http://[::1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="is no address of a studio"):
        Visitor(address)


def test_where_no_studio_is_that_is_said() -> None:
    async def visit() -> None:
        async with Visitor("http://127.0.0.1:9", patience=0.0) as visitor:
            await visitor.get("/api/csrf", Token)

    with pytest.raises(EndpointError, match="no studio answers at"):
        asyncio.run(visit())


def test_a_wrong_token_is_refused_in_the_studios_words(run: Run, tmp_path: Path) -> None:
    async def visit(address: str) -> None:
        async with Visitor(address.replace("long", "short")):
            pass

    with (
        studio(run, tmp_path, TOKEN.replace(" ", "-")) as (address, _),
        pytest.raises(UserError, match="403: this is not the studio's token"),
    ):
        asyncio.run(visit(address))
