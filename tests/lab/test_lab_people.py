"""Who takes part in the lab: describers, the teacher, its server, annotators. Each errs as told."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from lab_house import begun, small_world

from lskd.chat.journal import Journal
from lskd.chat.teacher import ChatTeacher
from lskd.critique import judgments
from lskd.errors import UserError
from lskd.lab.annotators import Annotators, judge, verdicts
from lskd.lab.controls import RandomCritic
from lskd.lab.describers import SceneDescriber
from lskd.lab.server import application
from lskd.lab.teacher import Habits, SimulatedTeacher
from lskd.lab.world import World
from lskd.picture import Picture
from lskd.protocols import Conversation
from lskd.run import Run
from lskd.types import Image, Region, Regions, Reject, Reply, Triple

SCENES = 50


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small_world(tmp_path_factory.mktemp("world"), train=SCENES, test=1)


@pytest.fixture(scope="module")
def run(scenes: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run on that world by people and a teacher as they are by default."""
    return begun(scenes, tmp_path_factory.mktemp("run") / "out")


def pictures(scenes: World) -> list[Picture]:
    return [
        Picture(Image(one.image_id, f"{scenes.folder}/{one.file}", 1, 1)) for one in scenes.staged
    ]


def described(scenes: World, **rates: float) -> list[tuple[str, ...]]:
    regions = [
        [Region(n, box, "", "", 1.0) for n, box in enumerate(one.boxes)] for one in scenes.staged
    ]
    return SceneDescriber(str(scenes.folder), **rates).describe(pictures(scenes), regions)  # type: ignore[arg-type]


def test_a_describer_without_mistakes_says_what_is_true(scenes: World) -> None:
    from lskd.lab import words

    said = described(scenes, kind_errors=0, use_errors=0)
    for one, phrases in zip(scenes.staged, said, strict=True):
        numbers = range(len(one.scene.entities))
        assert phrases == tuple(words.description(one.scene, n) for n in numbers)


def test_a_describer_is_wrong_about_as_often_as_it_is_told(scenes: World) -> None:
    right = described(scenes, kind_errors=0, use_errors=0)
    wrong = described(scenes, kind_errors=0.3, use_errors=0)
    both = [(a, b) for x, y in zip(right, wrong, strict=True) for a, b in zip(x, y, strict=True)]
    rate = sum(a != b for a, b in both) / len(both)
    assert 0.22 < rate < 0.38
    assert described(scenes, kind_errors=0.3, use_errors=0) == wrong


def test_a_describer_of_another_world_says_so(scenes: World) -> None:
    describer = SceneDescriber(str(scenes.folder))
    with pytest.raises(UserError, match="no picture of the world"):
        describer.tag([Picture(Image("0" * 16, "other.png", 1, 1))])
    with pytest.raises(UserError, match="a rate is from 0 to 1"):
        SceneDescriber(str(scenes.folder), kind_errors=1.5)


def accepted(made: World, run: Run) -> tuple[float, int]:
    right = count = rejected = 0
    for shard in run.tables.shards(Triple):
        rows = run.tables.read(Triple, shard), run.tables.read(Regions, shard)
        for _, verdict in verdicts(*rows, made):
            right += verdict.acceptable
            count += 1
        rejected += len(run.tables.read(Reject, shard, "parse"))
    assert rejected <= 0.02 * count
    return right / count, count


def test_without_mistakes_every_triple_of_the_pipeline_is_acceptable(
    scenes: World, tmp_path: Path
) -> None:
    rates = {"place_errors": 0.0, "kind_errors": 0.0, "use_errors": 0.0, "answer_errors": 0.0}
    changes = [f"models.scene.{name}={rate}" for name, rate in rates.items()]
    changes.append("models.teacher.hallucinations=0.0")
    share, count = accepted(scenes, begun(scenes, tmp_path / "out", *changes))
    assert count > SCENES * 12 - 10  # a phrase that fits two regions is a reject
    assert share > 0.99  # two things alike in every word cannot be told apart by phrase


def test_by_default_about_45_percent_of_triples_are_acceptable(scenes: World, run: Run) -> None:
    share, _ = accepted(scenes, run)
    assert 0.35 < share < 0.55  # 45 +/- 5 on a full world; this one is small


@pytest.mark.check
def test_of_many_scenes_it_is_nearer_to_45_percent(tmp_path: Path) -> None:
    made = small_world(tmp_path / "world", train=320, test=1)
    share, _ = accepted(made, begun(made, tmp_path / "out"))
    assert 0.40 < share < 0.50


def test_without_phrases_the_teacher_guesses_and_is_mostly_wrong(
    scenes: World, tmp_path: Path
) -> None:
    few = 'generate.descriptors=["concepts", "narratives", "dialogue"]'
    less = begun(scenes, tmp_path / "out", few, 'generate.styles=["id"]')
    share, count = accepted(scenes, less)
    assert count > 2 * SCENES
    assert share < 0.25


def test_later_turns_never_repeat_a_triple(run: Run) -> None:
    for shard in run.tables.shards(Reply):
        texts: dict[str, list[str]] = {}
        for reply in run.tables.read(Reply, shard, "generate"):
            of_talk = texts.setdefault(reply.id.rpartition("-")[0], [])
            of_talk += reply.text.split("\n\n")
        for said in texts.values():
            asked = [part.splitlines()[0] for part in said]
            assert len(set(asked)) == len(asked)


def test_annotators_err_at_their_rate_and_their_file_is_read(
    scenes: World, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "judgments.parquet"
    found = judge(run, scenes, Annotators(errors=0.0, unsure=0.0), file)
    given = judgments.read(file)
    assert found.triples == 80
    assert len(given.judgments) == 160
    assert not given.rejects
    sure = {row.triple_id: row.qa == 3 and row.rationale == 3 for row in given.judgments}
    assert sum(sure.values()) / len(sure) == pytest.approx(found.acceptable)
    judge(run, scenes, Annotators(errors=0.5, unsure=0.0), file)
    doubtful = judgments.read(file).judgments
    assert sum(a.qa != b.qa for a, b in zip(given.judgments, doubtful, strict=True)) > 40


def test_a_random_critic_is_random_and_the_same_again(run: Run) -> None:
    triples = run.tables.read(Triple, run.tables.shards(Triple)[0])
    (first,) = RandomCritic().score([None], [triples])  # type: ignore[list-item]
    (again,) = RandomCritic().score([None], [triples])  # type: ignore[list-item]
    assert first == again
    mean = sum(score.accept for score in first) / len(first)
    assert 0.4 < mean < 0.6


@pytest.fixture
def server() -> Iterator[str]:
    """Serve the teacher on a free port of the loopback."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    address: list[str] = []

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application(Habits()))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        address.append(f"http://127.0.0.1:{port}/v1")
        ready.set()
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


TALK = Conversation(
    id="talk",
    image_id="image",
    style="id",
    system="You write questions.",
    turns=(
        "<observations>\nPicture: 160 x 144 pixels\nPlaces: beach\nRegions:\n"
        "[0] (1, 2, 30, 40): a red ball by itself\n"
        "[1] (50, 2, 90, 90): a man in a blue coat who stands\n</observations>\n\n"
        "Write exactly 2 triples.",
        "Write exactly 2 more triples.",
    ),
    temperature=0.8,
    reply_tokens=500,
)


def test_the_server_says_what_the_teacher_says_in_this_process(server: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    client = ChatTeacher(journal, model="lskd-lab-teacher", base_url=server)
    (served,) = client.converse([TALK])
    client.close()
    (spoken,) = SimulatedTeacher().converse([TALK])
    assert [reply.text for reply in served] == [reply.text for reply in spoken]
    assert [reply.error for reply in served] == [None, None]
    assert served[0].input_tokens is not None


@pytest.mark.parametrize(
    "body", [b"no json", b"{}", b'{"messages": []}', b'{"messages": [{"role": "x"}]}']
)
def test_the_server_refuses_what_is_no_conversation(server: str, body: bytes) -> None:
    request = urllib.request.Request(f"{server}/chat/completions", body, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as answer:
        assert answer.code == 400
        assert "no conversation" in json.loads(answer.read())["error"]["message"]
