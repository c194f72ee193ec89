"""Judging over HTTP: what people are given, what is kept of what they say, and what comes out."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import desk_of, person, run_of, served, visitor

from lskd import table
from lskd.critique import judgments
from lskd.errors import UserError
from lskd.human.store import Store
from lskd.human.work import Annotator, Flag, Rating, Remark
from lskd.studio import campaigns
from lskd.studio.campaigns import Gold
from lskd.studio.desk import Desk, lay
from lskd.studio.oversight import Live, agreement
from lskd.studio.safety import Safety
from lskd.studio.terms import Consent, read_consent
from lskd.types import Judgment, Sample, Triple

GOOD = Rating(3, 2)


@dataclass(frozen=True)
class Room:
    """A campaign, the studio that it is in, and where that listens."""

    desk: Desk
    address: str
    campaign: str = "judge"

    @property
    def root(self) -> str:
        """Return where the API has what is about the campaign."""
        return f"/api/annotate/{self.campaign}"

    @property
    def queue(self) -> str:
        return f"{self.root}/queue"

    @property
    def undo(self) -> str:
        return f"{self.root}/undo"

    def person(self, name: str, agrees: bool = True) -> AbstractContextManager[httpx.Client]:
        """Give the client of an annotator who came by their link and agreed to the text."""
        return person(self.desk, self.address, name, agrees, self.campaign)

    def judgments(self) -> list[Judgment]:
        """Return what was said in the campaign and was not undone."""
        return list(self.desk.store.judgments(self.campaign))


@pytest.fixture(scope="module")
def shared_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Give a studio that listens: to make one takes longer than most tests."""
    folder = tmp_path_factory.mktemp("shared")
    desk = desk_of(folder, run_of(folder))
    with served(desk) as address:
        yield Room(desk, address)


@pytest.fixture
def room(shared_room: Room) -> Room:
    """Return that studio with a campaign of the test's own."""
    found = replace(shared_room, campaign=f"judge-{uuid4()}")
    assert found.desk.run is not None
    campaigns.opened(found.desk.run, found.desk.store, name=found.campaign)
    return found


def label(room: Room, client: httpx.Client, item: str, key: str, rating: Rating = GOOD) -> Any:
    body = {"item": item, "key": key, "qa": rating.qa, "rationale": rating.rationale}
    return client.post(f"{room.root}/labels", json=body | {"seconds": 1.5})


def work(room: Room, client: httpx.Client, count: int, name: str) -> list[str]:
    """Label some items, as many as there are, and return their ids."""
    done: list[str] = []
    while len(done) < count:
        items = client.get(room.queue).json()["items"]
        if not items:
            break
        answer = label(room, client, items[0]["id"], f"{name}-{len(done):08d}")
        assert answer.status_code == 200, answer.text
        done.append(items[0]["id"])
    return done


def say(store: Store, who: Annotator, remark: Remark) -> bool:
    """Record what a person says of the item at hand, without a browser; False if there is none."""
    item = store.next("judge", who)
    if item is not None:
        store.record("judge", who, item.id, str(uuid4()), remark, 1.5)
    return item is not None


def test_the_sample_of_a_run_is_what_people_judge(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=9, gold=2)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    made = campaigns.opened(run, store)
    assert (made.items, made.gold, made.new, made.lost) == (9, 0, 9, ())
    assert campaigns.opened(run, store).new == 0
    assert {one.id for one in store.posed("judge")} == campaigns.sampled(run)
    with pytest.raises(UserError, match="overlap 2"):
        campaigns.opened(run, store, overlap=3)


def test_two_runs_are_not_mixed_in_one_campaign(tmp_path: Path) -> None:
    one, other = run_of(tmp_path / "one", count=9), run_of(tmp_path / "other", count=9)
    # The same pictures and questions by another teacher, so to speak.
    triples = other.tables.read(Triple, "00000")
    renamed = [replace(row, id=f"other-{row.id}") for row in triples]
    table.write(Triple, other.tables.file(Triple, "00000"), renamed)
    sample = [Sample(row.id, row.image_id, "train") for row in renamed[:9]]
    table.write(Sample, other.tables.file(Sample, "00000"), sample)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    campaigns.opened(one, store)
    with pytest.raises(UserError, match=r"holds 9 items of no triple of small, .*--campaign NAME"):
        campaigns.opened(other, store)
    assert {row.id for row in store.posed("judge")} == campaigns.sampled(one)
    assert campaigns.opened(other, store, name="theirs").new == 9
    assert (
        campaigns.opened(one, store).new == campaigns.opened(other, store, name="theirs").new == 0
    )


def test_triples_that_are_no_longer_drawn_stay_in_their_campaign(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=9)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    campaigns.opened(run, store)
    sample = run.tables.read(Sample, "00000")
    table.write(Sample, run.tables.file(Sample, "00000"), sample[:4])
    assert campaigns.opened(run, store).new == 0
    assert len(store.posed("judge")) == 9


def test_a_campaign_goes_on_where_some_of_its_triples_are_gone(tmp_path: Path) -> None:
    """As where the parser was mended, and made its stage again."""
    run = run_of(tmp_path, count=9)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    campaigns.opened(run, store)
    gone = min(campaigns.sampled(run))
    left = [row for row in run.tables.read(Triple, "00000") if row.id != gone]
    table.write(Triple, run.tables.file(Triple, "00000"), left)
    assert campaigns.opened(run, store).lost == (gone,)
    assert len(store.posed("judge")) == 9


def test_known_answers_are_gold_and_stay_so_when_they_are_not_given_again(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=9, gold=2)
    inside, outside = min(campaigns.sampled(run)), _beside(run)[0]
    file = tmp_path / "gold.csv"
    file.write_text(
        "triple_id,annotator,qa,rationale\n"
        f"{inside},expert,3,3\n{outside},expert,1,\n{outside},other,1,\n"
        f"{_beside(run)[1]},expert,3,3\n{_beside(run)[1]},other,2,3\n"
    )
    gold = campaigns.known(file)
    assert gold.disputed == (_beside(run)[1],)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    made = campaigns.opened(run, store, gold)
    assert (made.items, made.gold) == (8, 2)
    again = campaigns.opened(run, store)
    assert (again.gold, again.new) == (2, 0)
    known = {one.id: one.gold for one in store.posed("judge") if one.gold is not None}
    assert known == {inside: Rating(3, 3), outside: Rating(1, None)}
    with pytest.raises(UserError, match="none of 1 known answers is of a triple of small"):
        campaigns.opened(run, store, Gold({"elsewhere": Rating(1, None)}, ()), name="other")


def _beside(run: Any) -> list[str]:
    every = {one.id for one in run.tables.read(Triple, "00000")}
    return sorted(every - campaigns.sampled(run))


def test_a_file_of_known_answers_with_a_bad_row_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gold.csv"
    file.write_text("triple_id,annotator,qa,rationale\nt,expert,7,\n")
    with pytest.raises(UserError, match="line 2: qa is '7'"):
        campaigns.known(file)
    file.write_text("triple_id,annotator,qa,rationale\n")
    with pytest.raises(UserError, match="has no judgments"):
        campaigns.known(file)


def test_a_run_without_a_sample_has_nothing_to_judge(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.tables.file(Sample, "00000").unlink()
    with pytest.raises(UserError, match=r"needs a section \[sample\]"):
        campaigns.opened(run, Store(f"sqlite:///{tmp_path / 'people.sqlite'}"))


def test_nobody_works_before_they_agreed_to_the_text(room: Room) -> None:
    with room.person("anna", agrees=False) as anna:
        assert "I have read this and agree" in anna.get(f"/annotate?campaign={room.campaign}").text
        # An answer that a browser kept while the text was changed waits there on 401 and 403.
        assert (
            anna.get(room.queue).status_code
            == label(room, anna, "item", "key-00000001").status_code
            == 403
        )
        old = {"digest": "0" * 16}
        assert anna.post(f"{room.root}/consent", json=old).status_code == 409
        right = {"digest": room.desk.terms.consent.digest}
        for _ in range(2):
            assert anna.post(f"{room.root}/consent", json=right).status_code == 204
        assert len(anna.get(room.queue).json()["items"]) == 2
        assert 'id="work"' in anna.get(f"/annotate?campaign={room.campaign}").text
    someone = room.desk.store.enrol("anna")
    assert room.desk.store.agreed(room.campaign, someone, room.desk.terms.consent.text)
    assert not room.desk.store.agreed(room.campaign, someone, room.desk.terms.consent.text + " ")


def test_a_consent_text_is_a_file_of_headings_paragraphs_and_lists(tmp_path: Path) -> None:
    file = tmp_path / "consent.txt"
    file.write_text("# Hello\n\nOne\ntwo.\n\n- a\n- b\n\n- a\nno list")
    blocks = read_consent(file).blocks
    assert [(one.kind, one.lines) for one in blocks] == [
        ("heading", ("Hello",)),
        ("paragraph", ("One two.",)),
        ("list", ("a", "b")),
        ("paragraph", ("- a no list",)),
    ]
    assert Consent("a").digest != Consent("b").digest
    file.write_text(" \n")
    with pytest.raises(UserError, match="1 to 50000"):
        read_consent(file)


def test_the_queue_gives_the_same_items_until_they_are_answered(room: Room) -> None:
    with room.person("anna") as anna:
        first = anna.get(room.queue).json()["items"]
        assert [one["id"] for one in first] == [
            one["id"] for one in anna.get(room.queue).json()["items"]
        ]
        assert label(room, anna, first[0]["id"], "key-00000001").status_code == 200
        second = anna.get(room.queue).json()["items"]
        assert second[0]["id"] == first[1]["id"]
        assert second[1]["id"] not in {one["id"] for one in first}


def test_what_a_browser_gets_says_nothing_of_known_answers_or_detectors(tmp_path: Path) -> None:
    run = run_of(tmp_path, count=12, gold=4)
    gold = Gold({name: Rating(3, 3) for name in _beside(run)}, ())
    desk = desk_of(tmp_path, run, gold)
    with served(desk) as address, person(desk, address, "anna") as anna:
        room = Room(desk, address)
        keys, texts = set(), ""
        for _ in range(13):
            hand = anna.get(room.queue).json()
            if not hand["items"]:
                break
            keys |= set(hand["items"][0])
            texts += json.dumps(hand["items"])
            label(room, anna, hand["items"][0]["id"], f"key-{len(texts):08d}")
        progress = anna.get(room.queue).json()["progress"]
    assert "gold" not in texts and "lamp" not in texts and "path" not in keys
    assert progress["gold_seen"] >= 1 and progress["gold_right"] == 0
    assert progress["mean_seconds"] == 1.5


def test_a_label_that_is_sent_again_is_one_label(room: Room) -> None:
    with room.person("anna") as anna:
        item = anna.get(room.queue).json()["items"][0]["id"]
        numbers = {label(room, anna, item, "the-same-key").json()["number"] for _ in range(3)}
        other = label(room, anna, item, "another-key-1")
    assert len(numbers) == 1
    assert other.status_code == 400 and "is done" in other.json()["error"]
    assert [one.qa for one in room.judgments()] == [3]


def test_what_is_undone_is_open_again_and_does_not_count(room: Room) -> None:
    with room.person("anna") as anna:
        item = work(room, anna, 1, "first")[0]
        for _ in range(2):  # a request that is sent again takes back no more
            opened = anna.post(room.undo, json={"key": "undo-0001"}).json()["item"]
            assert opened["id"] == item
        assert anna.get(room.queue).json()["items"][0]["id"] == item
        assert room.judgments() == []
        label(room, anna, item, "better-key-1", Rating(1, None))
        assert anna.post(room.undo, json={"key": "undo-0002"}).json()["item"]["id"] == item
        assert anna.post(room.undo, json={"key": "undo-0003"}).json()["item"] is None
    kinds = [entry.kind for entry in room.desk.store.entries(room.campaign)]
    assert kinds == ["label", "undo", "label", "undo"]


def test_skips_and_flags_pass_an_item_on_and_a_flag_has_a_reason(room: Room) -> None:
    with room.person("anna") as anna, visitor(room.address) as owner:
        one, two = (item["id"] for item in anna.get(room.queue).json()["items"])
        body = {"item": one, "key": "skip-0001", "reason": "", "seconds": 2}
        assert anna.post(f"{room.root}/skips", json=body).status_code == 200
        flag = {"item": two, "key": "flag-0001", "reason": " ", "seconds": None}
        assert anna.post(f"{room.root}/flags", json=flag).status_code == 422
        flag["reason"] = "<script>alert(1)</script>"
        assert anna.post(f"{room.root}/flags", json=flag).status_code == 200
        progress = anna.get(room.queue).json()["progress"]
        overview = owner.get(f"{room.root}/overview").json()
    assert (progress["skipped"], progress["flagged"], progress["labelled"]) == (1, 1, 0)
    assert [flag["reason"] for flag in overview["flags"]] == ["<script>alert(1)</script>"]


def test_two_people_judge_each_item_and_agreement_is_told(room: Room) -> None:
    with (
        room.person("anna") as anna,
        room.person("bert") as bert,
        room.person("cleo") as cleo,
        visitor(room.address) as owner,
    ):
        shares = [work(room, who, 100, name) for who, name in ((anna, "anna"), (bert, "bert"))]
        assert work(room, cleo, 100, "cleo") == []
        counts = Counter(shares[0] + shares[1])
        overview = owner.get(f"{room.root}/overview").json()
    assert set(counts.values()) == {2} and len(counts) == 14
    assert (overview["items"], overview["complete"], overview["labels"]) == (14, 14, 28)
    assert [(one["name"], one["labelled"]) for one in overview["people"]] == [
        ("anna", 14),
        ("bert", 14),
    ]
    # All say the same of everything: there is nothing that chance could not do.
    assert overview["qa"] == {"value": None, "low": None, "high": None, "units": 14}


def test_agreement_is_that_of_all_ratings_of_an_item() -> None:
    rows = [("a", 3, 3), ("a", 3, 3), ("b", 1, None), ("b", 1, None), ("c", 2, 1), ("d", 3, 2)]
    said = [Judgment(t, "i", f"p{n}", qa, r) for n, (t, qa, r) in enumerate(rows)]
    qa, rationale = agreement(said)
    assert (qa.value, qa.units) == (1.0, 2)
    assert (rationale.value, rationale.units) == (None, 1)


def test_agreement_and_flags_are_worked_out_anew_when_old_and_no_sooner(tmp_path: Path) -> None:
    store = desk_of(tmp_path, run_of(tmp_path)).store
    anew = Live(store, every=0, share=0)
    kept = Live(store, every=1e9, share=0), Live(store, every=0, share=1e9)
    before, first = anew.of("judge"), [live.of("judge") for live in kept]
    assert (before.qa.units, before.flags) == (0, ())
    for name, remark in (("anna", Rating(3, 2)), ("bert", Rating(3, 2)), ("anna", Flag("dark"))):
        assert say(store, store.enrol(name), remark)
    after = anew.of("judge")
    assert (after.qa.units, [flag.reason for flag in after.flags]) == (1, ["dark"])
    assert all(live.of("judge") is one for live, one in zip(kept, first, strict=True))


def test_exports_are_what_people_said_and_what_has_no_known_answer(tmp_path: Path) -> None:
    run = run_of(tmp_path, gold=2)
    gold = Gold({name: Rating(3, 3) for name in _beside(run)}, ())
    desk = desk_of(tmp_path, run, gold)
    anna = desk.store.enrol("anna")
    while say(desk.store, anna, Rating(3, 2)):
        pass
    with served(desk) as address, visitor(address) as owner:
        files = {}
        for form in (
            *("judgments.parquet", "judgments.csv", "entries.jsonl"),
            *("items.csv", "tasks.json", "config.xml"),
        ):
            answer = owner.get(f"/api/annotate/judge/export/{form}")
            assert answer.status_code == 200, answer.text
            assert form in answer.headers["content-disposition"]
            files[form] = answer.content
    kept = list(desk.store.judgments("judge"))
    home = Path(desk.store.shown.removeprefix("sqlite:///")).parent
    for form in ("judgments.parquet", "judgments.csv"):
        (home / form).write_bytes(files[form])
        read = judgments.read(home / form)
        assert (list(read.judgments), read.rejects) == (kept, ())
    assert {one.triple_id for one in kept} == campaigns.sampled(run)
    assert len(files["entries.jsonl"].splitlines()) == 16
    assert len(list(csv.DictReader(io.StringIO(files["items.csv"].decode())))) == 14
    assert len(json.loads(files["tasks.json"])) == 14
    for form in ("items.csv", "tasks.json"):
        assert not any(name.encode() in files[form] for name in gold.ratings)
    assert files["config.xml"].startswith(b"<View>")


def test_links_and_exports_are_the_owner_s_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    campaigns.opened(run, store)
    desk = lay(run, store, safety=Safety(token="a secret of the owner"))
    with served(desk) as address, person(desk, address, "anna") as anna:
        for path in ("overview", "export/judgments.csv"):
            assert anna.get(f"/api/annotate/judge/{path}").status_code == 403
        assert anna.post("/api/annotate/judge/links", json={"name": "bert"}).status_code == 403
        assert anna.get("/annotate").status_code == 200
        assert "Make a link" not in anna.get("/annotate").text
        with visitor(address) as nobody:
            assert nobody.get("/api/annotate/judge/queue").status_code == 401
            nobody.get("/enter/a secret of the owner")
            assert "Make a link" in nobody.get("/annotate").text


def test_a_link_is_made_once_and_voids_the_one_before(tmp_path: Path) -> None:
    with served(desk_of(tmp_path, run_of(tmp_path))) as address, visitor(address) as owner:
        paths = [
            owner.post("/api/annotate/judge/links", json={"name": " anna "}).json()["path"]
            for _ in range(2)
        ]
        assert owner.get(paths[0]).status_code == 403
        answer = owner.get(paths[1])
        assert answer.status_code == 200 and "/annotate?campaign=judge" in answer.text
        refused = owner.post("/api/annotate/judge/links", json={"name": "prolific 1"})
        assert refused.status_code == 422
        assert owner.get("/annotate").text.count("Make a link") == 1


def test_texts_of_the_run_are_escaped(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path))
    name = "<img src=x>"
    desk.store.campaign(name, "judge", 2, 0)
    with served(desk) as address, visitor(address) as owner:
        text = owner.get("/annotate").text
    assert name not in text and "&lt;img src=x&gt;" in text


ENDS = ("labels", "skips", "flags", "undo", "consent", "links", "queue")
CAMPAIGNS = ("none", "%00", "%ED%A0%80", "a%2Fb")
odd = st.one_of(
    st.integers(0, 4),
    st.none(),
    st.text(st.characters(), max_size=20),
    st.integers(),
    st.floats(),
    st.booleans(),
)


def right(client: httpx.Client, room: Room) -> dict[str, dict[str, Any]]:
    """Return a right body for each end of the API; there is an item at hand to say something of."""
    while not (items := client.get(room.queue).json()["items"]):
        client.post(room.undo, json={"key": str(uuid4())})
    base = {"item": items[0]["id"], "key": str(uuid4()), "seconds": 1.5}
    return {
        "labels": base | {"qa": 2, "rationale": 3},
        "skips": base | {"reason": ""},
        "flags": base | {"reason": "dark"},
        "undo": {"key": base["key"]},
        "consent": {"digest": room.desk.terms.consent.digest},
        "links": {"name": "bert"},
        "queue": {},
    }


def test_no_wrong_request_is_a_defect(room: Room) -> None:
    taken: Counter[str] = Counter()

    @given(st.sampled_from(ENDS), st.sampled_from([room.campaign] * 9 + [*CAMPAIGNS]), st.data())
    def send(end: str, campaign: str, data: st.DataObject) -> None:
        body = right(anna, room)[end]
        names = st.sampled_from([*body, "x"])
        body |= data.draw(st.dictionaries(names, odd, max_size=2))
        answer = anna.post(
            f"/api/annotate/{campaign}/{end}",
            content=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code < 500, answer.text
        assert answer.status_code < 300 or "error" in answer.json()
        taken[end] += answer.status_code < 300

    with room.person("anna") as anna:
        send()
    # Not all were refused at the door.
    assert taken["labels"] and taken.total() > 5
