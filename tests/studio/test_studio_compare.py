"""Comparing over HTTP: judges never learn who answers, sides are even, and Table 5 counts right."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import compared
import httpx
import PIL.Image
import pyarrow.parquet as pq
import pytest
from compared import STUDENT, TOKEN
from hypothesis import given, settings
from hypothesis import strategies as some

from lskd import table
from lskd.human.teacher import TEACHER
from lskd.human.work import Claim, Duel, Posed, Rating, Said, left
from lskd.picture import image_id
from lskd.studio import results
from lskd.studio.compare import CONSENT, turned
from lskd.studio.desk import Desk
from lskd.studio.duels import taught
from lskd.studio.terms import Prolific, read_consent
from lskd.types import Comparison, Example, Image, Mention, Sample, Triple

ASPECTS = ("correctness", "informativeness", "plausibility", "overall")


class House(NamedTuple):
    """A studio that listens, its address, its owner, and a campaign of six questions."""

    desk: Desk
    address: str
    owner: httpx.Client
    campaign: str

    @property
    def root(self) -> str:
        """Return where the API has what is about the campaign."""
        return f"/api/compare/{self.campaign}"

    def judges(self, *names: str) -> list[httpx.Client]:
        """Return judges who agreed."""
        return compared.judges(self.address, self.owner, names, self.campaign)

    def comparisons(self) -> list[Comparison]:
        """Return what was said in the campaign."""
        return list(self.desk.store.comparisons(self.campaign))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a studio with a token; each test has a campaign of its own in it."""
    desk = compared.desk_of(tmp_path_factory.mktemp("home"), token=TOKEN)
    with compared.served(desk) as address:
        yield House(desk, address, compared.visitor(address, f"/enter/{TOKEN}"), "")
    desk.store.close()


@pytest.fixture
def house(home: House) -> House:
    """Return that studio with a new campaign."""
    assert home.desk.run is not None
    found = home._replace(campaign=f"comparison-{uuid4()}")
    compared.begun(found.owner, home.desk.run, name=found.campaign)
    return found


def item(house: House, judge: httpx.Client) -> dict[str, Any]:
    answer = judge.get(f"{house.root}/queue").raise_for_status()
    found: dict[str, Any] = answer.json()["item"]
    return found


def say(house: House, judge: httpx.Client, shown: dict[str, Any], **changes: Any) -> httpx.Response:
    """Say of an item what is in `changes`, and else that it is a tie."""
    body = {"item": shown["id"], "key": str(uuid4()), **dict.fromkeys(ASPECTS, "tie")}
    return judge.post(f"{house.root}/choices", json=body | changes)


def of_student(shown: dict[str, Any]) -> str:
    """Return the side of the student, which these tests can tell by its words."""
    return "left" if shown["left"]["answer"].startswith("Perhaps") else "right"


def work(house: House, judge: httpx.Client, **choices: str) -> list[httpx.Response]:
    """Judge all that there is; choices are of "student", "teacher" or "tie"; return all answers."""
    answers = []
    while (shown := item(house, judge)) is not None:
        side = of_student(shown)
        other = "right" if side == "left" else "left"
        sides = {"student": side, "teacher": other, "tie": "tie"}
        answer = say(house, judge, shown, **{name: sides[who] for name, who in choices.items()})
        answers.append(answer.raise_for_status())
    return answers


# First, while the studio has a single campaign.
def test_the_page_begins_with_campaigns_and_systems(house: House) -> None:
    told = house.owner.get("/api/compare/systems").json()
    assert told["compare"] == [house.campaign]
    note = "6 accepted triples of this run"
    assert told["systems"] == [{"name": TEACHER, "kind": "teacher", "note": note, "fault": ""}]


def test_a_judge_gets_an_item_with_two_answers_and_no_names(house: House) -> None:
    (judge,) = house.judges("ann")
    shown = item(house, judge)
    assert shown["question"] in {question for question, _, _ in compared.SAID}
    assert {"answer", "rationale"} == set(shown["left"]) == set(shown["right"])
    assert shown["regions"][0] == {
        "id": 0,
        "box": {"x0": 40.0, "y0": 60.0, "x1": 250.0, "y1": 380.0},
        "polygons": [],
    }
    picture = judge.get(shown["image"]).raise_for_status()
    assert PIL.Image.open(io.BytesIO(picture.content)).size == compared.SIZE
    assert item(house, judge) == shown  # asked again, the same one


def test_no_response_to_a_judge_holds_a_systems_name(house: House) -> None:
    link = compared.invited(house.owner, "ann", house.campaign)
    seen: list[httpx.Response] = []
    judge = compared.visitor(house.address, link)

    def kept(answer: httpx.Response) -> None:
        answer.read()
        seen.append(answer)

    judge.event_hooks = {"response": [kept]}
    compared.agreed(judge, house.campaign)
    for path in (
        *(f"/compare?campaign={house.campaign}", "/compare", "/static/compare.js"),
        f"{house.root}/queue",
    ):
        judge.get(path).raise_for_status()
    shown = item(house, judge)
    base = {"item": shown["id"], "key": str(uuid4())}
    judge.get(shown["image"])
    judge.post(f"{house.root}/skips", json=base)
    judge.post(f"{house.root}/undo", json={"key": str(uuid4())})
    work(house, judge, overall="student")
    # What a judge must not have, and what is wrong, is told without names too.
    for path in ("table", "table.md", "overview", "export/jsonl", "export/parquet", "nothing"):
        assert judge.get(f"{house.root}/{path}").status_code in (403, 404)
    for path in ("systems", "teacher.jsonl"):
        assert judge.get(f"/api/compare/{path}").status_code == 403
    assert say(house, judge, shown, overall=STUDENT).status_code == 422
    assert say(house, judge, {"id": "no item"}).status_code == 400
    assert judge.get("/api/compare/other/queue").status_code in (400, 403)
    assert len(seen) > 25
    for answer in seen:
        told = answer.text + str(answer.headers)
        for name in (STUDENT, TEACHER, '"first"', '"second"'):
            assert name not in told, answer.url


def test_what_is_kept_is_of_the_systems_on_whatever_side_they_were_shown(house: House) -> None:
    (judge,) = house.judges("ann")
    answers = work(
        house, judge, correctness="teacher", informativeness="student", overall="student"
    )
    assert len(answers) == 6
    last = answers[-1].json()
    assert last["item"] is None
    assert last["progress"]["labelled"] == 6
    found = house.comparisons()
    assert len(found) == 6
    for one in found:
        assert (one.first, one.second, one.annotator) == (TEACHER, STUDENT, "ann")
        told = (one.correctness, one.informativeness, one.plausibility, one.overall)
        assert told == ("first", "second", "tie", "second")


def test_sides_are_even_and_each_judges_own() -> None:
    class Person(NamedTuple):
        id: int

    drawn = {
        judge: [left(7, f"item {number}", Person(judge)) for number in range(2000)]  # type: ignore[arg-type]
        for judge in (1, 2)
    }
    for sides in drawn.values():
        # Six standard deviations of a fair coin.
        assert abs(Counter(sides)["first"] - 1000) < 6 * (2000 * 0.25) ** 0.5
    alike = sum(one == other for one, other in zip(drawn[1], drawn[2], strict=True))
    assert abs(alike - 1000) < 6 * (2000 * 0.25) ** 0.5


def test_a_side_stands_for_the_system_that_was_drawn_there() -> None:
    assert [turned(side, "first") for side in ("left", "right", "tie")] == [
        "first",
        "second",
        "tie",
    ]
    assert [turned(side, "second") for side in ("left", "right", "tie")] == [
        "second",
        "first",
        "tie",
    ]


def test_undo_brings_the_same_item_back_and_the_new_choice_counts(house: House) -> None:
    (judge,) = house.judges("ann")
    nothing = judge.post(f"{house.root}/undo", json={"key": str(uuid4())})
    assert nothing.status_code == 409
    shown = item(house, judge)
    say(house, judge, shown, overall="left").raise_for_status()
    assert item(house, judge)["id"] != shown["id"]
    key = {"key": str(uuid4())}
    back = judge.post(f"{house.root}/undo", json=key).raise_for_status().json()
    assert back["item"] == shown  # with its sides as they were
    assert judge.post(f"{house.root}/undo", json=key).json()["item"] == shown
    say(house, judge, shown, overall="right").raise_for_status()
    (kept,) = house.comparisons()
    side = "first" if of_student(shown) == "left" else "second"
    assert kept.overall == side


def test_a_choice_that_is_sent_twice_is_one_and_a_strange_item_is_refused(house: House) -> None:
    ann, bob = house.judges("ann", "bob")
    shown = item(house, ann)
    key = str(uuid4())
    first = say(house, ann, shown, key=key).raise_for_status()
    assert say(house, ann, shown, key=key).json() == first.json()
    assert len(house.comparisons()) == 1
    assert say(house, ann, shown).status_code == 400  # answered, and another key
    other = first.json()["item"]
    mine = item(house, bob)
    wanted = other if other["id"] != mine["id"] else shown
    assert say(house, bob, wanted).status_code == 400  # not what bob has at hand


def test_skips_and_flags_pass_an_item_on(house: House) -> None:
    (judge,) = house.judges("ann")
    for kind, reason in (("skips", ""), ("flags", "The picture is broken.")):
        shown = item(house, judge)
        body = {"item": shown["id"], "key": str(uuid4()), "reason": reason, "seconds": 1.5}
        after = judge.post(f"{house.root}/{kind}", json=body).raise_for_status().json()
        assert after["item"]["id"] != shown["id"]
    blank = {"item": item(house, judge)["id"], "key": str(uuid4()), "reason": "  "}
    assert judge.post(f"{house.root}/flags", json=blank).status_code == 422
    assert after["progress"]["skipped"] == after["progress"]["flagged"] == 1
    kinds = [(one.kind, one.reason) for one in house.desk.store.entries(house.campaign)]
    assert kinds == [("skip", ""), ("flag", "The picture is broken.")]


def test_a_participant_gets_the_code_for_what_they_compared_and_not_for_what_they_passed_on(
    house: House,
) -> None:
    paid = replace(house.desk, terms=replace(house.desk.terms, prolific=Prolific("C0DE", 6)))
    ids = "PROLIFIC_PID=61aa0c0ffee0&STUDY_ID=ssssss&SESSION_ID=eeeeee"
    with compared.served(paid) as address:
        came = compared.visitor(address, f"/study/{house.campaign}?{ids}")
        judge = compared.agreed(came, house.campaign)
        body = {"item": item(house, judge)["id"], "key": str(uuid4())}
        judge.post(f"{house.root}/skips", json=body).raise_for_status()
        last = work(house, judge)[-1].json()
        assert (last["item"], last["code"], last["finished"]) == (None, None, None)
        assert judge.get(f"/study/{house.campaign}/complete").status_code == 409
        for _ in range(6):
            undone = judge.post(f"{house.root}/undo", json={"key": str(uuid4())})
            undone.raise_for_status()
        done = work(house, judge)[-1].json()
        assert (done["code"], done["finished"]) == ("C0DE", f"/study/{house.campaign}/complete")


def test_three_judges_make_table_5_by_majority(house: House) -> None:
    for name, who in (("ann", "student"), ("bob", "student"), ("cat", "teacher")):
        if name != "bob":  # before all three have judged nothing is decided
            for row in table5(house, "tie"):
                assert row["items"] == row["undecided"] == 0
                assert row["unfinished"] == 6
        (judge,) = house.judges(name)
        plausible = {"ann": "student", "bob": "teacher", "cat": "tie"}[name]
        work(
            house,
            judge,
            overall=who,
            correctness=who,
            informativeness="tie",
            plausibility=plausible,
        )
    late = house.judges("dan")[0]
    assert item(house, late) is None  # three are enough
    told = house.owner.get(f"{house.root}/overview").json()
    assert (told["items"], told["complete"], told["labels"], told["judges"]) == (6, 6, 18, 3)
    assert [one["name"] for one in told["people"]] == ["ann", "bob", "cat"]
    rows = {row["aspect"]: row for row in table5(house, "leave out")}
    assert list(rows) == list(ASPECTS)
    shares = {name: shares_of(row) for name, row in rows.items()}
    assert shares == {
        "correctness": (0.0, 1.0, 0.0),
        "informativeness": (0.0, 0.0, 1.0),
        "plausibility": (None, None, None),
        "overall": (0.0, 1.0, 0.0),
    }
    assert rows["plausibility"]["undecided"] == rows["overall"]["items"] == 6
    assert {(row["wanted"], row["unfinished"]) for row in rows.values()} == {(3, 0)}
    assert rows["overall"]["p"] == pytest.approx(2 / 2**6)
    tied = {row["aspect"]: row for row in table5(house, "tie")}
    assert shares_of(tied["plausibility"]) == (0.0, 0.0, 1.0)
    text = house.owner.get(f"{house.root}/table.md").raise_for_status().text
    assert f"| {STUDENT} | 100.0" in text


def table5(house: House, rule: str) -> list[dict[str, Any]]:
    answer = house.owner.get(f"{house.root}/table", params={"rule": rule})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["lines"]
    return found


def shares_of(row: dict[str, Any]) -> tuple[float | None, ...]:
    return tuple(row[part]["value"] for part in ("first_wins", "second_wins", "ties"))


def test_exports_hold_what_was_said(house: House, tmp_path: Path) -> None:
    (judge,) = house.judges("ann")
    work(house, judge, overall="student")
    root = f"{house.root}/export"
    file = tmp_path / "comparisons.parquet"
    file.write_bytes(house.owner.get(f"{root}/parquet").raise_for_status().content)
    rows = table.read(Comparison, file)
    assert rows == house.comparisons()
    assert pq.read_metadata(file).num_rows == 6
    lines = house.owner.get(f"{root}/jsonl").raise_for_status().text.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["label"] * 6
    assert house.owner.get(f"{root}/csv").text.count("\n") == 7
    assert house.owner.get(f"{root}/xlsx").status_code == 422


def test_the_teachers_file_is_a_file_of_answers(home: House) -> None:
    text = home.owner.get("/api/compare/teacher.jsonl").raise_for_status().text
    answer = home.owner.post("/api/compare/answers/upload", json={"name": "t", "text": text})
    assert answer.json() == {"systems": {TEACHER: 6}, "faults": []}


def test_where_texts_name_a_region_by_a_phrase_its_number_is_put_beside_it(
    tmp_path: Path,
) -> None:
    run = compared.run_of(tmp_path, pictures=1)
    (image,) = table.read(Image, run.tables.file(Image, "00000"))
    said = ("Why is [the blue dog] wet?", "[the blue dog] swam [sic].", "[the blue dog] drips.")
    one = replace(
        compared.example(image, 0, *said),
        style="description",
        mentions=(Mention("the blue dog", 1),),
    )
    table.write(Example, run.tables.file(Example, "00000"), [one])
    (answer,) = taught(run)
    assert answer.question == "Why is the blue dog [1] wet?"
    assert answer.answer == "the blue dog [1] swam [sic]."


def test_what_a_file_lacks_is_told_and_the_rest_is_put_to_judges(house: House) -> None:
    run = house.desk.run
    assert run is not None
    lines = compared.student_file(run, "other")["text"].splitlines()
    text = "\n".join(["{broken", *lines[1:], json.dumps({"question_id": 1})])
    sheet = {"name": "o.jsonl", "text": text}
    told = house.owner.post("/api/compare/answers/upload", json=sheet).json()
    assert told["systems"] == {"other": 5}
    assert [fault["source"] for fault in told["faults"]] == ["o.jsonl line 1", "o.jsonl line 7"]
    made = compared.begun(house.owner, run, name="part", second="other", files=[sheet])
    assert (made["items"], made["new"]) == (5, 5)
    assert len(made["faults"]) == 2
    again = compared.begun(house.owner, run, name="part", second="other", files=[sheet])
    assert again["new"] == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"second": "nobody"}, "no answers of 'nobody'"),
        ({"second": TEACHER}, "with itself"),
        ({"name": f"{TEACHER} against all"}, "judges see it"),
        ({"name": "ours / theirs"}, "has no '/'"),
        ({"name": " .. "}, "has no '/'"),
        ({"judges": 2}, "kind 'compare', overlap 3"),
        ({"files": []}, "the teacher has no answer to any question"),
        ({"files": [{"name": "a", "text": "{}"}]}, "no answer to any question"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_in_one_line(
    house: House, changes: dict[str, Any], fault: str
) -> None:
    run = house.desk.run
    assert run is not None
    body: dict[str, Any] = {"name": house.campaign, "first": TEACHER, "second": STUDENT}
    body |= {"files": [compared.student_file(run)], **changes}
    answer = house.owner.post("/api/compare/campaigns/upload", json=body)
    assert answer.status_code == 400
    assert fault in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_a_judge_must_have_agreed_and_strangers_get_nothing(house: House) -> None:
    judge = compared.visitor(house.address, compared.invited(house.owner, "ann", house.campaign))
    assert judge.get(f"{house.root}/queue").status_code == 403
    assert "A, B, or a tie" in judge.get(f"/compare?campaign={house.campaign}").text
    for path in (f"{house.root}/queue", "/api/compare/systems"):
        assert httpx.get(f"{house.address}{path}").status_code == 401


def test_figure_3_counts_the_judgments_of_the_page_annotate(house: House) -> None:
    desk = house.desk
    assert desk.run is not None
    kept = next(iter(taught(desk.run))).question_id
    image = kept.partition("-")[0]
    posed = [
        Posed(name, image, Claim(triple(name, image), "/x", *compared.SIZE, ()), None)
        for name in (kept, f"{image}-dropped")
    ]
    # The critic learnt from this one, so that it says nothing of the critic.
    posed.append(
        Posed("learnt", "elsewhere", Claim(triple("learnt", "elsewhere"), "/x", 9, 9, ()), None)
    )
    samples = [Sample(one.id, one.image_id, "evaluate") for one in posed[:2]]
    samples.append(Sample("learnt", "elsewhere", "train"))
    table.write(Sample, desk.run.tables.file(Sample, "00000"), samples)
    desk.store.campaign("judge", "judge", 1, 0)
    desk.store.put("judge", posed)
    person = desk.store.enrol("eve")
    while (one := desk.store.next("judge", person)) is not None:
        rating = Rating(3, 2) if one.id == kept else Rating(1, None)
        desk.store.record("judge", person, one.id, str(uuid4()), rating, 2.0)
    found = house.owner.get("/api/compare/judge/figure").raise_for_status().json()
    assert (found["triples"], found["kept"], found["judgments"]) == (2, 1, 2)
    assert found["left_out"] == 1
    means = [(one["without"]["value"], one["kept"]["value"]) for one in found["criteria"]]
    assert means == [(2.0, 3.0), (1.5, 2.0)]
    assert "<svg" in house.owner.get("/api/compare/judge/figure.svg").raise_for_status().text
    assert "2 judgments" in house.owner.get("/api/compare/judge/figure.md").text
    assert house.owner.get(f"{house.root}/figure").status_code == 404
    assert house.owner.get("/api/compare/judge/table").status_code == 404


def test_a_table_that_is_saved_says_what_stands_in_for_what(home: House) -> None:
    assert home.desk.run is not None
    run = replace(home.desk.run, substituted={"teacher": "a small one <b>"})
    told = results.noticed("# Table\n", run)
    assert told.endswith("\n> substituted: teacher: a small one &lt;b>\n")
    assert results.noticed("# Table\n", None) == "# Table\n"


def triple(name: str, image: str) -> Triple:
    return Triple(name, f"{image}-r", image, "id", "What?", "That.", "So.", (0,))


def test_pictures_beside_the_run_are_shown_to_who_has_the_item_only(
    house: House, tmp_path: Path
) -> None:
    file = tmp_path / "held out.png"
    PIL.Image.new("RGB", (80, 60), "teal").save(file)
    name = image_id(file.read_bytes())
    duel = Duel("Why?", str(file), 80, 60, (), Said("p", "So.", ""), Said("q", "Thus.", ""))
    store = house.desk.store
    store.campaign("held", "compare", 1, 0)
    store.put("held", [Posed("h 1", name, duel, None)])
    ann, bob = (
        compared.agreed(
            compared.visitor(house.address, compared.invited(house.owner, who, "held")), "held"
        )
        for who in ("ann", "bob")
    )
    shown = ann.get("/api/compare/held/queue").json()["item"]
    picture = ann.get(shown["image"]).raise_for_status()
    assert PIL.Image.open(io.BytesIO(picture.content)).size == (80, 60)
    assert bob.get(shown["image"]).status_code == 404
    assert ann.get("/api/compare/held/picture", params={"item": "h 2"}).status_code == 404


odd = some.text(some.characters(), max_size=20)  # half surrogate pairs too
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | odd,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)
GETS = ("queue", "overview", "table", "figure", "picture", "export/csv", "table.md", "figure.svg")


def right(house: House, sheet: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return a right body for each address; the owner, a judge too, has an item at hand."""
    comparison, owner = house.root, house.owner
    while (shown := item(house, owner)) is None:
        owner.post(f"{comparison}/undo", json={"key": str(uuid4())}).raise_for_status()
    base = {"item": shown["id"], "key": str(uuid4()), "seconds": 2.0}
    return {
        f"{comparison}/choices": base | dict.fromkeys(ASPECTS, "tie"),
        f"{comparison}/skips": base | {"reason": ""},
        f"{comparison}/flags": base | {"reason": "dark"},
        f"{comparison}/undo": {"key": base["key"]},
        f"{comparison}/consent": {"digest": read_consent(CONSENT).digest},
        f"{comparison}/links": {"name": "bob"},
        "/api/compare/answers/upload": dict(sheet),
        "/api/compare/campaigns/upload": {
            "name": f"comparison {uuid4()}",
            "first": TEACHER,
            "second": STUDENT,
            "judges": 3,
            "files": [sheet],
        },
    }


def test_no_wrong_request_is_a_defect(house: House) -> None:
    owner, taken = house.owner, Counter[str]()
    owner.get(compared.invited(owner, "ann", house.campaign))
    compared.agreed(owner, house.campaign)
    assert house.desk.run is not None
    sheet = compared.student_file(house.desk.run)

    @settings(database=None)
    @given(some.sampled_from([*right(house, sheet), ""]), some.data())
    def send(path: str, data: some.DataObject) -> None:
        if path:
            body = right(house, sheet)[path]
            names = some.sampled_from([*body, "x"])
            body |= data.draw(some.dictionaries(names, JSON, max_size=2))
            kind = {"Content-Type": "application/json"}
            answer = owner.post(path, content=json.dumps(body).encode(), headers=kind)
        else:
            name = quote(data.draw(some.text(some.characters(codec="utf-8"), max_size=20)), safe="")
            name = data.draw(some.sampled_from([house.campaign, name]))
            path = f"/api/compare/{name}/{data.draw(some.sampled_from(GETS))}"
            answer = owner.get(path, params={"rule": data.draw(some.text(max_size=9))})
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert list(answer.json()) == ["error"]
        taken[path] += answer.status_code < 300

    send()
    # Not all were refused at the door.
    assert taken[f"{house.root}/choices"] and taken.total() > 5
