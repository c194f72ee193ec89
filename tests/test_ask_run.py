"""`lskd ask RUN.toml`: the vision-language model of a run is asked about places of a picture."""

import base64
import io
import json
from pathlib import Path

import PIL.Image
import pytest

from chat.server import Misbehaviour, Server
from typed import lskd

HOSTED = str(Path(__file__).parents[1] / "runs" / "hosted.toml")
QUESTION = "Why is [0] near [1]?"
BOXES = ("--box", "10,10,60,90", "--box", "100,20,180,110")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    PIL.Image.new("RGB", (200, 120), (200, 190, 180)).save(tmp_path / "photo.png")
    return tmp_path


def says(text: str) -> Misbehaviour:
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    return Misbehaviour(answer=json.dumps({"choices": [choice]}))


def ask(server: Server) -> tuple[str, ...]:
    eyes = f'models.eyes.base_url="{server.base_url}"'
    return ("ask", HOSTED, "photo.png", *BOXES, "--set", eyes, QUESTION)


def test_a_served_model_sees_the_numbered_boxes_and_its_answer_is_paid_for_once(
    server: Server, home: Path
) -> None:
    server.misbehave(says("Because [0] waits for [1]."))
    first = lskd(*ask(server), folder=home)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == ["Because [0] waits for [1].", "asked.png"]
    _, user = server.tally().last["messages"]
    words, shown = user["content"]
    assert QUESTION in words["text"] and "number 0" in words["text"]
    data = base64.b64decode(shown["image_url"]["url"].partition(",")[2])
    with PIL.Image.open(io.BytesIO(data)) as seen, PIL.Image.open(home / "asked.png") as marked:
        assert seen.size == marked.size == (200, 120)
        assert len(seen.convert("RGB").getcolors(1 << 16) or ()) > 20  # of a picture of one colour
    again = lskd(*ask(server), "--json", folder=home)
    assert json.loads(again.stdout)["answer"] == "Because [0] waits for [1]."
    assert server.tally().calls == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--choices", "It is late."), "--choices, --beams"),
        (("--box", "500,500,600,600"), "lies outside of photo.png"),
        (("--set", 'models.answerer="vision"'), "is no vision-language model: name one as"),
    ],
)
def test_what_such_a_model_cannot_do_is_told_before_it_is_paid(
    server: Server, home: Path, more: tuple[str, ...], told: str
) -> None:
    *before, question = ask(server)
    result = lskd(*before, *more, question, folder=home)
    assert result.returncode == 2 and told in result.stderr
    assert server.tally().calls == 0


def test_settings_are_no_students(server: Server, home: Path) -> None:
    words = ("ask", "student", "photo.png", *BOXES, "--set", "seed=1", QUESTION)
    result = lskd(*words, folder=home)
    assert result.returncode == 2 and "--set goes with a run file" in result.stderr


def test_the_plan_counts_the_calls_that_show_pictures(server: Server, home: Path) -> None:
    (home / "photos").mkdir()
    (home / "photo.png").rename(home / "photos" / "photo.png")
    url = f'"{server.base_url}"'
    changes = [f"models.{one}.base_url={url}" for one in ("teacher", "eyes")]
    changes += ['images.source="photos"', "narratives.samples=3", "dialogue.questions=4"]
    sets = [word for change in changes for word in ("--set", change)]
    found = json.loads(lskd("plan", HOSTED, *sets, "--json", folder=home).stdout)
    calls = {one["stage"]: one["estimate"] for one in found["steps"] if one["estimate"]}
    assert calls.keys() == {"narratives", "regions", "dialogue", "generate"}
    assert calls["narratives"]["calls"] == 3 and not calls["narratives"]["most"]
    assert calls["regions"]["calls"] == 10 and calls["regions"]["most"]
    for one in calls.values():
        whole = (one["input_tokens"] * 0.15 + one["output_tokens"] * 0.60) / 1e6
        assert one["price"] == pytest.approx(whole) and whole > 0
    told = lskd("plan", HOSTED, *sets, folder=home).stdout
    total = sum(one["calls"] for one in calls.values())
    assert f"at most {total} paid replies" in told
    made = lskd("run", HOSTED, *sets, folder=home)
    assert made.returncode == 0, made.stderr
    assert 3 < server.tally().calls <= total
