"""Explore: the index is what the tables are, filters find what they say, pages hold it all."""

import dataclasses
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import judging
import pytest
from house_of_studio import THINGS, Served, put, run_of
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from lskd import table
from lskd.human.work import Rating
from lskd.run import Run
from lskd.studio import index
from lskd.studio.catalogue import Card, Catalogue
from lskd.studio.dossier import dossier
from lskd.studio.filters import Turn, Wanted
from lskd.types import Example, Image, Reject, Reply, Score, Triple

R = TypeVar("R")


def rows(run: Run, kind: type[R], stage: str | None = None) -> list[R]:
    return [
        row
        for shard in run.tables.shards(kind, stage)
        for row in run.tables.read(kind, shard, stage)
    ]


@pytest.fixture(scope="module", params=[True, False], ids=["fts5", "like"])
def catalogue(
    request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Catalogue:
    """Return the index of the small run, with SQLite's full text search and without."""
    if request.param and not index.has_fts5():
        pytest.skip("this SQLite has no FTS5")
    folder = tmp_path_factory.mktemp("index")
    elsewhere = dataclasses.replace(run, own=folder)
    found = Catalogue(index.make(elsewhere, lambda text: None, full_text=request.param))
    assert found.full_text is request.param
    return found


def test_the_summary_counts_what_the_tables_hold(run: Run, catalogue: Catalogue) -> None:
    summary = catalogue.summary()
    rejects = sum(len(rows(run, Reject, stage)) for stage in ("parse", "corpus"))
    assert (summary.images, summary.triples) == (30, 90)
    assert summary.accepted == len(rows(run, Example))
    assert summary.rejects == rejects == sum(one.count for one in summary.reasons)
    assert {one.reason for one in summary.reasons} == {
        "scores below the threshold",
        "names region #",
    }
    assert summary.styles == ("id", "description")


Judged = list[tuple[Triple, float, bool, int]]


@pytest.fixture(scope="module")
def judged(run: Run) -> Judged:
    """Return each triple with its score, whether it was kept, and its image's regions."""
    kept = {row.id for row in rows(run, Example)}
    score = {row.triple_id: row.accept for row in rows(run, Score)}
    place = {row.id: n for n, row in enumerate(rows(run, Image))}
    return [
        (row, score[row.id], row.id in kept, 1 if place[row.image_id] % 5 == 4 else 2)
        for row in rows(run, Triple)
    ]


Holds = Callable[[Triple, float, bool, int], bool]
CASES: list[tuple[Wanted, Holds]] = [
    (Wanted(), lambda t, s, k, n: True),
    (Wanted(accepted="yes"), lambda t, s, k, n: k),
    (Wanted(accepted="no"), lambda t, s, k, n: not k),
    (Wanted(accepted="unfiltered"), lambda t, s, k, n: False),
    (Wanted(low=0.3, high=0.6), lambda t, s, k, n: 0.3 <= s <= 0.6),
    (Wanted(low=0.0), lambda t, s, k, n: True),
    (Wanted(style="description"), lambda t, s, k, n: t.style == "description"),
    (Wanted(fewest=2), lambda t, s, k, n: n >= 2),
    (Wanted(most=1, accepted="yes"), lambda t, s, k, n: n <= 1 and k),
    (Wanted(text="kite"), lambda t, s, k, n: "kite" in t.question),
    (Wanted(text="Move KITE"), lambda t, s, k, n: "kite" in t.question),
    (Wanted(text="kit", low=0.5), lambda t, s, k, n: "kite" in t.question and s >= 0.5),
    (Wanted(text="zebra"), lambda t, s, k, n: False),
]


def test_an_index_is_found_under_a_path_that_begins_here(run: Run, tmp_path: Path) -> None:
    file = index.make(dataclasses.replace(run, own=tmp_path), lambda text: None)
    relative = Path(os.path.relpath(file))
    assert not relative.is_absolute()
    assert Catalogue(relative).summary().images == 30


@pytest.mark.parametrize("order", ["corpus", "best", "worst"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_filters_find_each_triple_that_fits_once_in_order(
    judged: Judged, catalogue: Catalogue, case: int, order: str
) -> None:
    wanted, holds = CASES[case]
    expected = [row for row in judged if holds(*row)]
    found: list[Card] = []
    turn = Turn(size=7, order=order)  # type: ignore[arg-type]
    while True:
        page = catalogue.triples(wanted, turn)
        assert page.count == len(expected)
        found += page.rows
        if not page.more:
            break
        assert len(page.rows) == 7
        last = page.rows[-1]
        turn = dataclasses.replace(turn, after=last.number, score=last.score)
    if order == "corpus":
        assert [card.id for card in found] == [row[0].id for row in expected]
    else:
        assert sorted(card.id for card in found) == sorted(row[0].id for row in expected)
        scores = [card.score or 0.0 for card in found]
        assert scores == sorted(scores, reverse=order == "best")


def test_an_image_is_found_by_its_descriptors_triples_and_rejects(
    judged: Judged, catalogue: Catalogue
) -> None:
    every = Turn(size=60)
    kites = {n for n in range(30) if THINGS[n % 6] == "kite"}
    assert len(catalogue.images(Wanted(text="kite"), every).rows) == len(kites)
    only = catalogue.images(Wanted(text="kitchen number 17"), every).rows
    assert len(only) == 1 and only[0].name == "017.png"
    assert len(catalogue.images(Wanted(text="day 9"), every).rows) >= 1
    parsed = catalogue.images(Wanted(stage="parse"), every).rows
    assert [one.name for one in parsed] == [f"{n:03d}.png" for n in range(0, 30, 3)]
    assert catalogue.images(Wanted(stage="parse", reason="names region #"), every).count == 10
    assert catalogue.images(Wanted(most=1), every).count == 6
    accepted = {row[0].image_id for row in judged if row[2]}
    assert {one.id for one in catalogue.images(Wanted(accepted="yes"), every).rows} == accepted
    tile = catalogue.images(Wanted(), Turn(size=1)).rows[0]
    assert (tile.triples, tile.rejects, tile.best) == (3, 4, 0.1)
    assert tile.regions is not None and tile.regions[1].label == "ball"


def test_rejects_are_found_by_stage_reason_and_text(catalogue: Catalogue) -> None:
    assert catalogue.rejects(Wanted(stage="parse"), Turn()).count == 10
    found = catalogue.rejects(Wanted(text="names region 8"), Turn()).rows
    assert [one.text for one in found] == ["[8]"]
    assert found[0].image_id and found[0].source.startswith(found[0].image_id)


def told(texts: list[str], wanted: str, full_text: bool) -> bool:
    """Return whether texts hold all words of another: parts of them, or all and one's beginning."""
    words = wanted.replace("\0", " ").lower().split()
    if not full_text:
        return all(any(word in text.lower() for text in texts) for word in words)
    plain = [f" {' '.join(re.findall('[a-z0-9]+', text.lower()))} " for text in texts]
    sought = [f" {' '.join(re.findall('[a-z0-9]+', word))} " for word in words]
    ends = [*sought[:-1], *(one.rstrip() for one in sought[-1:])]
    # A word without letters says nothing; where there is no other, nothing is found.
    said = [end for word, end in zip(sought, ends, strict=True) if word.strip()]
    return (not words or bool(said)) and all(any(one in text for text in plain) for one in said)


OPERATORS = ['"', "'", "*", "AND", "NOT x", "a OR", "(", "^", "-x", "col:x", "%", "_", "\\", "{}"]


@pytest.fixture(scope="module")
def rejects(run: Run) -> list[Reject]:
    return [row for stage in ("parse", "corpus") for row in rows(run, Reject, stage)]


@pytest.mark.parametrize("text", [*OPERATORS, 'near "', 'near " [1]', "\0"])
def test_no_text_is_taken_for_an_operator(
    judged: Judged, rejects: list[Reject], catalogue: Catalogue, text: str
) -> None:
    held = [
        row
        for row, *_ in judged
        if told([row.question, row.answer, row.rationale], text, catalogue.full_text)
    ]
    assert catalogue.triples(Wanted(text=text), Turn()).count == len(held)
    # What descriptors say holds none of these, or where triples do.
    of_images = {row.image_id for row in held}
    assert catalogue.images(Wanted(text=text), Turn()).count == len(of_images)
    whole = text.replace("\0", "").lower()
    places = [f"{one.text}\n{one.reason}\n{one.source}".lower() for one in rejects]
    assert catalogue.rejects(Wanted(text=text), Turn()).count == sum(whole in p for p in places)


def test_a_mark_is_found_where_it_stands_and_only_there(catalogue: Catalogue) -> None:
    counts = {
        text: catalogue.triples(Wanted(text=text), Turn()).count for text in ('"', "_", "%", "AND")
    }
    # Full text search knows words alone. Each image's third triple has the two others.
    assert counts == {'"': 0 if catalogue.full_text else 30, "_": 0, "%": 0, "AND": 30}


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=6, shard_size=2)
    told: list[str] = []
    file = index.make(run, told.append)
    assert told == ["making the index of 3 of 3 shards, once"]
    index.make(run, told.append)
    assert len(told) == 1
    shard = "00001"
    kept = run.tables.read(Triple, shard)[:-1]
    table.write(Triple, run.tables.file(Triple, shard), kept)
    index.make(run, told.append)
    assert told[1:] == ["making the index of 1 of 3 shards, once"]
    assert Catalogue(file).summary().triples == 17
    for made in tmp_path.rglob("00002.parquet"):
        made.unlink()
    index.make(run, told.append)
    found = Catalogue(file)
    assert (found.summary().images, found.summary().triples) == (4, 11)
    assert found.images(Wanted(), Turn(size=60)).rows[-1].name == "003.png"
    assert found.triples(Wanted(text="kite"), Turn()).count == 1


def test_a_broken_or_foreign_index_is_made_anew(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=2)
    file = index.make(run, lambda text: None)
    file.write_bytes(b"no database at all" * 300)
    assert Catalogue(index.make(run, lambda text: None)).summary().images == 2
    with sqlite3.connect(file) as foreign:
        foreign.execute("PRAGMA user_version = 99")
    foreign.close()
    assert Catalogue(index.make(run, lambda text: None)).summary().images == 2


def test_a_run_that_has_only_just_begun_can_be_looked_at(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=3)
    for kind, stage in ((Example, "corpus"), (Score, "score"), (Triple, "parse")):
        run.tables.file(kind, "00000", stage).unlink(missing_ok=True)
    for folder in ("regions", "corpus", "parse"):
        for file in run.folders[folder].rglob("*.parquet"):
            file.unlink()
    catalogue = Catalogue(index.make(run, lambda text: None))
    summary = catalogue.summary()
    assert (summary.images, summary.triples, summary.accepted) == (3, 0, None)
    tile = catalogue.images(Wanted(), Turn()).rows[0]
    assert (tile.regions, tile.accepted, tile.best) == (None, None, None)
    found = dossier(run, catalogue, tile.id)
    assert found is not None and found.regions is None and not found.triples


def test_examples_that_a_run_was_given_can_be_looked_at(tmp_path: Path) -> None:
    whole = run_of(tmp_path / "whole", count=4)
    examples = whole.tables.read(Example, "00000")
    file = tmp_path / "given.toml"
    file.write_text(f'examples = "{tmp_path / "imported"}"\n')
    for shard, some in (("00000", examples[:1]), ("00001", examples)):
        table.write(Example, tmp_path / "imported/corpus/example" / f"{shard}.parquet", some)
    run = dataclasses.replace(
        whole,
        own=tmp_path / "own",
        settings={},
        folders={name: tmp_path / "imported" / name for name in whole.folders},
    )
    catalogue = Catalogue(index.make(run, lambda text: None))
    assert catalogue.summary().triples == len(examples) + 1
    name = examples[0].image_id
    assert catalogue.shards(name) == ("00000", "00001")
    found = dossier(run, catalogue, name)
    assert found is not None and found.regions is not None
    assert found.triples[0].accepted and found.triples[0].score is not None


@pytest.mark.parametrize(
    ("after", "before"),
    [
        ({"00000": [0, 1], "00001": [2]}, {"00000": [0, 1], "00001": [0, 2, 3]}),
        ({"00000": [], "00001": [0, 2, 3]}, {"00000": [0, 1], "00001": [0, 2, 3]}),
        ({"00000": [2, 0], "00001": [0, 2, 3]}, {"00000": [0, 1], "00001": [0, 2, 3]}),
        ({"00001": [0, 2], "00002": [2, 1]}, {"00000": [0], "00001": [0, 2], "00002": [2, 1]}),
        ({"00000": [1], "00001": [0]}, {"00001": [0, 1]}),
        ({"00000": [0], "00001": [1, 0]}, {"00000": [1, 0], "00001": [0, 1]}),
    ],
    ids=["later", "first", "moved", "in turn", "new", "both"],
)
def test_a_changed_shard_leaves_the_index_as_one_that_is_made_anew(
    tmp_path: Path, after: dict[str, list[int]], before: dict[str, list[int]]
) -> None:
    # Shards of given examples, each of the numbered pictures; pictures lie in several of them.
    whole = run_of(tmp_path / "whole", count=4)
    of_image: dict[str, list[Example]] = {}
    for triple in whole.tables.read(Triple, "00000"):
        image = next(row for row in rows(whole, Image) if row.id == triple.image_id)
        kept = {name: getattr(triple, name) for name in Triple.__slots__ if name != "reply_id"}
        score = 0.5 + len(of_image.setdefault(image.id, [])) / 10
        of_image[image.id].append(
            Example(
                **kept,
                path=image.path,
                width=160,
                height=120,
                regions=(),
                score=score,
                source="given",
                split="train",
            )
        )
    groups = list(of_image.values())
    run = dataclasses.replace(
        whole,
        own=tmp_path / "own",
        settings={},
        folders={name: tmp_path / "given" / name for name in whole.folders},
    )

    def lay(shards: dict[str, list[int]]) -> None:
        for shard, numbers in shards.items():
            some = [row for number in numbers for row in groups[number][int(shard) :]]
            if not run.tables.has(Example, shard) or run.tables.read(Example, shard) != some:
                table.write(Example, run.tables.file(Example, shard), some)
        for shard in set(run.tables.shards(Example)) - set(shards):
            run.tables.file(Example, shard).unlink()

    def found(own: Path) -> tuple[object, object]:
        asked = Catalogue(index.make(dataclasses.replace(run, own=own), lambda text: None))
        tiles = [
            (one.id, one.triples, one.accepted, one.best, one.rejects)
            for one in asked.images(Wanted(), Turn(size=60)).rows
        ]
        cards = [(one.id, one.image_id) for one in asked.triples(Wanted(), Turn(size=60)).rows]
        return sorted(tiles), sorted(cards)

    lay(before)
    found(tmp_path / "own")
    lay(after)
    assert found(tmp_path / "own") == found(tmp_path / "anew")


def test_a_dossier_holds_each_row_word_for_word_and_where_it_is_from(
    run: Run, studio: Served
) -> None:
    with studio.client(signed=False) as client:
        tile = client.get("/api/explore/images?text=kitchen%20number%209").json()["rows"][0]
        found = client.get(f"/api/explore/image/{tile['id']}").json()
        assert client.get("/api/explore/image/0123456789abcdef").status_code == 404
    assert found["image"]["path"].endswith("009.png")
    assert found["copies"] == [found["image"]["path"] + ".copy.png"]
    assert found["narratives"]["texts"] == ["A kite stands in kitchen number 9."]
    assert found["dialogue"]["exchanges"][0]["answer"] == "Yes, it is day 9."
    assert found["concepts"]["places"][0] == {"label": "kitchen", "score": 0.5}
    assert len(found["regions"]["regions"]) == 1
    assert dict(map(tuple, found["origins"]))["narratives"]["stage"] == "narratives"
    reply = found["replies"][0]
    stored = next(
        row for row in rows(run, Reply) if isinstance(row, Reply) and row.id == reply["reply"]["id"]
    )
    assert reply["reply"]["messages"] == [table.plain(one) for one in stored.messages]
    assert reply["reply"]["text"] == stored.text
    assert reply["origin"] == {"stage": "generate", "shard": "00001"}
    triple = found["triples"][1]
    assert triple["model"] == "a-teacher" and triple["reply_id"].startswith(tile["id"])
    assert triple["mentions"] == [{"phrase": "a round thing", "region_id": 1}]
    assert triple["score"]["accept"] == 0.4 and triple["accepted"] is False
    stages = [one["origin"]["stage"] for one in found["rejects"]]
    assert sorted(set(stages)) == ["corpus", "parse"]


def test_judgments_are_shown_with_their_triples(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=2)
    triple = run.tables.read(Triple, "00000")[0]
    file = tmp_path / "judged.csv"
    file.write_text(f"triple_id,annotator,qa,rationale,seconds\n{triple.id},ann,3,2,4.5\n")
    critic = type("Critic", (), {"judgments": str(file)})()
    judged_run = dataclasses.replace(run, settings={**run.settings, "critic": critic})
    catalogue = Catalogue(index.make(judged_run, lambda text: None))
    found = dossier(run, catalogue, triple.image_id)
    assert found is not None
    assert [(one.annotator, one.qa, one.rationale) for one in found.triples[0].judgments] == [
        ("ann", 3, 2)
    ]


def test_what_people_say_in_the_studio_stands_with_what_the_critic_was_given(
    tmp_path: Path,
) -> None:
    run = judging.run_of(tmp_path, count=4)
    desk = judging.desk_of(tmp_path, run)
    assert desk.catalogue is not None
    kept = []
    for name in ("ann", "bob"):
        person = desk.store.enrol(name)
        posed = desk.store.next("judge", person)
        assert posed is not None
        desk.store.record("judge", person, posed.id, f"key of {name}", Rating(2, 1), 3.0)
        kept.append(posed)
    person = desk.store.enrol("ann")
    undone = desk.store.next("judge", person)
    assert undone is not None
    desk.store.record("judge", person, undone.id, "another key", Rating(1, None), 3.0)
    desk.store.undo("judge", person)
    assert kept[0].id == kept[1].id  # overlaps are filled first
    for image_id in {kept[0].image_id, undone.image_id}:
        found = dossier(run, desk.catalogue, image_id, desk.store)
        assert found is not None
        for triple in found.triples:
            said = [(one.annotator, one.qa, one.rationale) for one in triple.judgments]
            assert said == ([("ann", 2, 1), ("bob", 2, 1)] if triple.id == kept[0].id else [])
    assert desk.store.about([]) == []
    desk.store.close()


def test_explore_with_a_filter_in_a_browser(judged: Judged, studio: Served, tab: Tab) -> None:
    tab.goto(f"{studio.url}/explore")
    tab.wait_for_selector(".tile")
    assert "30 images" in (tab.text_content("#count") or "")
    assert tab.locator(".tile").count() == 24
    tab.click("#next")
    expect(tab.locator(".tile")).to_have_count(6)
    tab.click("#back")
    expect(tab.locator(".tile")).to_have_count(24)
    tab.click("button[value=triples]")
    tab.wait_for_selector(".card")
    tab.select_option("[name=accepted]", "yes")
    tab.select_option("[name=style]", "description")
    kept = [row for row in judged if row[2] and row[0].style == "description"]
    expect(tab.locator(".card .question", has_text="Why is")).to_have_count(len(kept))
    tab.fill("[name=low]", "0.9")
    expect(tab.locator("#count")).to_have_text(re.compile("^[0-9] triples?$"))
    assert "low=0.9" in tab.url and "style=description" in tab.url
    tab.reload()
    tab.wait_for_selector(".card")
    assert tab.input_value("[name=low]") == "0.9"
    assert all(text == "accepted" for text in tab.locator(".card .pill").all_text_contents())
    tab.click(".card .picture >> nth=0")
    tab.wait_for_selector(".triple")
    assert tab.locator("#picture .region").count() == tab.locator("#legend button").count()
    tab.click("#legend button >> nth=0")
    assert tab.locator("#picture .region.lit").count() == 1
    summary = tab.locator("details.reply summary").first
    summary.click()
    assert "word for word" in (tab.locator("details.reply pre").nth(1).text_content() or "")
    tab.click("#up")
    tab.wait_for_selector(".card")
    assert tab.input_value("[name=low]") == "0.9"


def test_a_click_on_a_mark_of_a_list_opens_its_image_and_tab_goes_past_it(
    studio: Served, tab: Tab
) -> None:
    tab.goto(f"{studio.url}/explore")
    first = tab.locator(".tile").first
    first.focus()
    tab.keyboard.press("Tab")
    expect(tab.locator(".tile").nth(1)).to_be_focused()
    tab.set_viewport_size({"width": 700, "height": 900})  # marks are drawn anew
    first.focus()
    tab.keyboard.press("Tab")
    expect(tab.locator(".tile").nth(1)).to_be_focused()
    first.locator(".region[data-id='0'] .body").click()
    tab.wait_for_selector(".triple")
    assert "/explore/" in tab.url


def test_new_shards_are_seen_after_the_next_start(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=4, shard_size=2)
    first = Catalogue(index.make(run, lambda text: None))
    more = run_of(tmp_path / "more", count=6, shard_size=2)
    fresh = more.tables.read(Image, "00002")
    put(run, "00002", list(enumerate(fresh, 4)))
    assert first.summary().images == 4
    index.make(run, lambda text: None)
    assert first.summary().images == 6
