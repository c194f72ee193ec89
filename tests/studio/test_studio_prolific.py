"""Participants of Prolific: who they are, what they are given, and how they go back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from judging import desk_of, run_of, served, visitor

from lskd.errors import UserError
from lskd.studio.desk import Desk
from lskd.studio.terms import Prolific

WISHED = 3
IDS = {"PROLIFIC_PID": "61aa0c0ffee0123456789abc", "STUDY_ID": "s" * 24, "SESSION_ID": "e" * 24}
CODE = Prolific("C0DE-1", WISHED, "s" * 24)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path, run_of(tmp_path), prolific=CODE)


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    with served(desk) as found:
        yield found


def arrive(client: httpx.Client, desk: Desk, **changed: str) -> Any:
    answer = client.get("/study/judge", params={**IDS, **changed})
    if answer.status_code == 200:
        agreed = {"digest": desk.terms.consent.digest}
        assert client.post("/api/annotate/judge/consent", json=agreed).status_code == 204
    return answer


def hand(client: httpx.Client) -> Any:
    answer = client.get("/api/annotate/judge/queue")
    assert answer.status_code == 200, answer.text
    return answer.json()


def work(client: httpx.Client, count: int, name: str) -> None:
    for number in range(count):
        body = {"item": hand(client)["items"][0]["id"], "key": f"{name}-{number:08d}", "qa": 1}
        answer = client.post("/api/annotate/judge/labels", json={**body, "rationale": None})
        assert answer.status_code == 200, answer.text


def test_a_participant_who_comes_again_is_the_same_annotator(desk: Desk, address: str) -> None:
    for session in ("e" * 24, "f" * 24):
        with visitor(address) as client:
            answer = arrive(client, desk, SESSION_ID=session)
            assert "/annotate?campaign=judge" in answer.text
            work(client, 1, session[:4])
    names = {entry.annotator for entry in desk.store.valid("judge")}
    assert names == {f"prolific {IDS['PROLIFIC_PID']}"}
    (member,) = desk.store.progress("judge").members
    assert member.standing.labelled == 2


def test_who_has_judged_enough_gets_the_code_and_goes_back(desk: Desk, address: str) -> None:
    with visitor(address) as client:
        arrive(client, desk)
        early = client.get("/study/judge/complete")
        assert early.status_code == 409 and "3 items are still" in early.json()["error"]
        work(client, WISHED - 1, "one")
        last = hand(client)
        assert len(last["items"]) == 1 and last["code"] is None and last["finished"] is None
        assert last["progress"]["wanted"] == WISHED
        work(client, 1, "two")
        done = hand(client)
        assert done["items"] == [] and done["code"] == "C0DE-1"
        answer = client.get(done["finished"])
    assert answer.status_code == 303
    completed = "https://app.prolific.com/submissions/complete?cc=C0DE-1"
    assert answer.headers["location"] == completed


def skip(client: httpx.Client, count: int) -> None:
    for number in range(count):
        body = {"item": hand(client)["items"][0]["id"], "key": f"skip-{number:08d}"}
        assert client.post("/api/annotate/judge/skips", json=body).status_code == 200


def test_who_passed_items_on_is_given_the_code_for_what_they_judged_only(
    tmp_path: Path,
) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path, count=4), prolific=CODE)
    with served(desk) as address, visitor(address) as client:
        arrive(client, desk)
        work(client, 1, "one")
        skip(client, 3)
        early = hand(client)
        assert early["items"] == [] and early["code"] is None and early["finished"] is None
        refused = client.get("/study/judge/complete")
        assert refused.status_code == 409
        assert refused.json()["error"] == (
            "2 items are still to be judged, and 3 were passed on: go back and undo that"
        )
        for number in range(2):
            client.post("/api/annotate/judge/undo", json={"key": f"undo-{number:08d}"})
        work(client, 2, "two")
        assert hand(client)["code"] == "C0DE-1"
        assert client.get("/study/judge/complete").status_code == 303


def test_who_passed_nothing_on_is_given_the_code_when_the_items_run_out(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path, count=2), prolific=CODE)
    with served(desk) as address, visitor(address) as client:
        arrive(client, desk)
        work(client, 2, "one")
        assert hand(client)["code"] == "C0DE-1"
        assert client.get("/study/judge/complete").status_code == 303


def test_a_participant_works_in_the_campaign_that_they_came_for(desk: Desk, address: str) -> None:
    desk.store.campaign("other", "judge", 2, 0)
    desk.store.put("other", desk.store.posed("judge")[:1])
    agreed = {"digest": desk.terms.consent.digest}
    with visitor(address) as client:
        arrive(client, desk)
        for path in ("/annotate?campaign=other", "/study/other/complete"):
            answer = client.get(path)
            assert answer.status_code == 403, path
            assert "another campaign" in answer.text
        assert client.post("/api/annotate/other/consent", json=agreed).status_code == 403
        assert client.get("/api/annotate/other/queue").status_code == 403
        assert len(hand(client)["items"]) == 2
        # By the link of that one they are let in there, and by the first link here again.
        assert client.get("/study/other", params=IDS).status_code == 200
        assert client.post("/api/annotate/other/consent", json=agreed).status_code == 204
        assert client.get("/api/annotate/judge/queue").status_code == 403
        arrive(client, desk)
        assert len(hand(client)["items"]) == 2


def test_nobody_else_is_given_the_code(desk: Desk, address: str) -> None:
    anna = desk.store.enrol("anna")
    with visitor(address) as client:
        assert client.get("/study/judge/complete").status_code == 401
        client.get(f"/a/{anna.token}")
        agreed = {"digest": desk.terms.consent.digest}
        client.post("/api/annotate/judge/consent", json=agreed)
        assert client.get("/study/judge/complete").status_code == 403
        work(client, 5, "anna")
        assert len(hand(client)["items"]) == 2
        assert hand(client)["progress"]["wanted"] is None


def test_parameters_are_looked_at(desk: Desk, address: str) -> None:
    with visitor(address) as client:
        for changed in (
            {"PROLIFIC_PID": ""},
            {"PROLIFIC_PID": "x" * 65},
            {"PROLIFIC_PID": "<script>alert(1)</script>"},
            {"STUDY_ID": "a b c d e f"},
            {"SESSION_ID": "\x00\x00\x00\x00\x00\x00"},
        ):
            answer = client.get("/study/judge", params={**IDS, **changed})
            assert answer.status_code == 422, changed
            assert "script" not in answer.text
        assert client.get("/study/judge").status_code == 422
        assert arrive(client, desk, STUDY_ID="t" * 24).status_code == 403
        assert client.get("/study/none", params=IDS).status_code in (400, 404)
    assert desk.store.progress("judge").members == ()


def test_a_studio_that_takes_part_in_no_study_lets_no_participant_in(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path))
    with served(desk) as address, visitor(address) as client:
        assert arrive(client, desk).status_code == 404
        assert client.get("/api/annotate/judge/overview").json()["study"] is None


def test_terms_that_cannot_work_are_refused() -> None:
    assert Prolific("A", 1, url="https://host/done?cc={code}&x=1").completed == (
        "https://host/done?cc=A&x=1"
    )
    for wrong in ({"code": "a b"}, {"code": ""}, {"wished": 0}, {"url": "javascript:alert(1)"}):
        with pytest.raises(UserError):
            Prolific(**{"code": "C0DE", **wrong})  # type: ignore[arg-type]
