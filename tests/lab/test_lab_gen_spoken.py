"""What models say of the lab's scenes is judged by the truth, and compared by simulated people.

The commands for that, too, as they are called: what they print and leave.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from lab_house import RUN, small_world
from lab_studio import judged_by_truth, studio
from typer.testing import CliRunner, Result

from generative_students import write_base, write_generative_student
from lskd.cli import app
from lskd.corpora.captions import visual_genome as corpus
from lskd.corpora.captions.caption import Caption, Files
from lskd.errors import UserError
from lskd.generate import given
from lskd.human import answers
from lskd.lab import contest, measures, spoken
from lskd.lab.annotators import Annotators
from lskd.lab.combinations import is_held_out
from lskd.lab.gold import visual_genome
from lskd.lab.knowledge import ASKS
from lskd.lab.people import Crew, Habits
from lskd.lab.rivals import DROPPED, KEPT, rivals
from lskd.lab.teacher import SimulatedTeacher
from lskd.lab.words import answer, description, question, rationale
from lskd.lab.world import World, entity_at
from lskd.prompt import filled, prompt_file
from lskd.protocols import Conversation
from lskd.run import Run
from lskd.types import Box, Region

BLOCK = """<observations>
Picture: 192 x 144 pixels
Places: park
Regions:
[0] (10, 52, 47, 137): a woman in a blue coat who holds a yellow laptop
[1] (160, 89, 191, 136): a purple lamp by itself
</observations>"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small_world(tmp_path_factory.mktemp("world"), train=12, test=2)


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return judged_by_truth(world, tmp_path_factory.mktemp("run"), 4)


@pytest.fixture
def rival_files(run: Run, tmp_path: Path) -> list[Path]:
    """Return files of answers: those that the critic keeps, and those that it drops."""
    said = rivals(run, 30, 0)
    files = [tmp_path / f"{system}.jsonl" for system in (KEPT, DROPPED)]
    for file, system in zip(files, (KEPT, DROPPED), strict=True):
        file.write_text("".join(answers.written(one for one in said if one.system == system)))
    return files


def entity(asked: spoken.Question) -> int:
    """Return the entity that a question names by number."""
    number = int(asked.text.split("[")[1].split("]")[0])
    found = entity_at(asked.staged, asked.regions[number].box)
    assert found is not None
    return found


def test_a_region_is_asked_in_every_way_and_a_picture_of_what_all_of_it_shows(world: World) -> None:
    for split in ("test", "held"):
        asked = list(spoken.questions(world, split))
        for staged in world.of(split):
            own = [one for one in asked if one.staged == staged]
            named = [one for one in own if one.named]
            assert len(named) == len(ASKS) and len({entity(one) for one in named}) == 1
            assert 1 <= len(own) - len(named) <= spoken.WHOLE
            assert all(len(one.regions) == len(staged.boxes) for one in named)
            if split == "held":
                assert is_held_out(staged.scene, entity(named[0]))


def test_what_is_true_is_right_and_what_is_true_of_another_is_not(world: World) -> None:
    for asked in (one for one in spoken.questions(world, "test") if one.named):
        scene, own = asked.staged.scene, entity(asked)
        tag = asked.text[asked.text.index("[") : asked.text.index("]") + 1]
        ask = next(ask for ask in ASKS if question(tag, ask) == asked.text)
        for number in range(len(scene.entities)):
            text = answer(scene, number, ask)
            told = spoken.judged(asked, f"{text}.", rationale(scene, number, tag))
            assert told.right == (text == answer(scene, own, ask))
            if number == own:
                assert told.justified


def test_an_answer_about_a_picture_is_right_with_and_without_its_article(world: World) -> None:
    asked = next(one for one in spoken.questions(world, "test") if not one.named)
    asked = replace(asked, right="a red ball")
    for text in ("a red ball.", "Red ball"):
        assert spoken.judged(asked, text, "").right
    assert not spoken.judged(asked, "a blue ball.", "").right


def test_a_student_that_has_learnt_nothing_is_no_better_than_its_base(
    world: World, tmp_path: Path
) -> None:
    student = write_generative_student(tmp_path / "student", write_base(tmp_path / "base"))
    found = list(spoken.bars(student, world))
    gains = [one for one in found if "above base" in one.claim]
    assert len(gains) == 4 and all(one.found.value == 0 for one in gains)
    by_claim = {one.claim: one.met for one in found}
    assert by_claim["writes above base, named regions"] is False
    assert by_claim["writes above base, whole pictures of test scenes"] is True
    assert by_claim["base right about named regions"] is None


def test_what_the_student_says_is_held_against_what_its_base_says(world: World) -> None:
    region = Region(0, Box(0, 0, 9, 9), "", "", 1.0)

    def said(named: bool, right: bool) -> list[spoken.Said]:
        regions = (region,) if named else ()
        asked = [spoken.Question(one, regions, "?") for one in world.of("test")]
        return [spoken.Said(one, "", "", right, named and right) for one in asked]

    base = (*said(True, False), *said(False, True))
    student = (*said(True, True), *said(False, False))
    found = spoken.Compared(base, student)
    shares: list[tuple[spoken.Who, int, int]] = [("base", 0, 100), ("student", 100, 0)]
    for who, named, whole in shares:
        assert found.share(who, named=True).value == named == found.justified(who).value
        assert found.share(who, named=False).value == whole
    assert found.gain(named=True).value == 100 and found.gain(named=False).value == -100


def taught(asked: str, errs: float = 0.0) -> given.Said:
    """Return what the lab's teacher says to a question that others ask."""
    file = prompt_file("lskd.generate", given.PROMPT)
    turn = filled(file, observations=BLOCK, question=asked)
    talk = Conversation("talk", "image", "id", "", (turn,), 0.0, 100)
    ((reply,),) = SimulatedTeacher(hallucinations=errs).converse([talk])
    return given.said(asked, reply)


def test_the_teacher_answers_questions_of_others_from_words() -> None:
    told = taught("What is [1]?")
    assert told.answer == "A purple lamp."
    assert told.rationale == "[1] is a purple lamp that nobody uses, at a park."
    assert taught("Why is [0] here?").answer == "To read or write in peace on the grass."
    assert taught("What is [1]?", errs=1.0) != told


def test_the_teacher_refuses_what_nobody_told_it_of() -> None:
    for asked in ("What is [2]?", "Is it raining?"):
        assert taught(asked).fault == "refusal"


def test_judges_prefer_the_answers_that_are_true(
    world: World, run: Run, rival_files: list[Path], tmp_path: Path
) -> None:
    crew = Crew(Annotators(count=3, errors=0.0), Habits(skips=0, flags=0, undone=0), world)
    with studio(run, tmp_path) as (address, _):
        found = contest.contest(address, rival_files, crew, 4, tmp_path / "contest")
        again = contest.contest(address, rival_files, crew, 4, tmp_path / "contest")
    row = next(one for one in found.preferences.rows if one.aspect == "correctness")
    assert found.done.labelled == 12 and again.done.labelled == 0
    assert row.second_wins.value == 0 and found.preferences == again.preferences
    assert (tmp_path / "contest" / "table5.md").is_file()
    assert "correctness" in contest.told(found).lower()


def test_files_that_are_not_of_two_systems_are_refused(run: Run) -> None:
    said = rivals(run, 3, 0)
    kept = [one for one in said if one.system == KEPT]
    with pytest.raises(UserError, match=r"these systems: kept; give two"):
        contest.paired(kept, 3, 0)
    alike = [*kept, *(replace(one, system="other") for one in kept)]
    with pytest.raises(UserError, match="no question that both answered differently"):
        contest.paired(alike, 3, 0)


def test_descriptions_of_regions_are_read_back_as_a_captioner_reads_them(
    world: World, tmp_path: Path
) -> None:
    scenes = world.of("train")[:4]
    count = visual_genome.write(tmp_path, world.folder, scenes)
    files = Files("lab", (tmp_path / "region_descriptions.json",), (tmp_path,))
    found = list(corpus.captions(files))
    assert all(isinstance(one, Caption) for one in found)
    phrases = {text for one in found if isinstance(one, Caption) for text in one.texts}
    wanted = {description(one.scene, n) for one in scenes for n in range(len(one.boxes))}
    assert phrases == wanted and count == sum(len(one.boxes) for one in scenes)


def lab(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["lab", *map(str, words)])


def test_spoken_prints_each_bar_and_ends_with_1_where_the_student_learnt_nothing(
    world: World, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_generative_student(out / "generative" / "student", write_base(tmp_path / "base"))
    file = RUN.parent / "lab" / "generative.toml"
    done = lab("spoken", file, "--world", world.folder, "--out", out, "--json")
    assert done.exit_code == 1
    found = {one["claim"]: one for one in json.loads(done.stdout)}
    assert found["writes above base, named regions"]["met"] is False
    assert found["writes above base, named regions"]["found"]["value"] == 0


def test_contest_has_two_files_of_answers_compared_and_tells_table_5(
    world: World, run: Run, rival_files: list[Path], tmp_path: Path
) -> None:
    table = tmp_path / "contest"
    with studio(run, tmp_path) as (address, _):
        asked = ("--url", address, "--world", world.folder, "--duels", "4", "--folder", table)
        done = lab("contest", *rival_files, *asked)
    assert done.exit_code == 0, done.output
    told = (table / "table5.md").read_text()
    assert "correctness" in told.lower() and "correctness" in done.stdout.lower()


def test_accepted_tells_the_share_of_each_run_that_the_world_agrees_with(
    world: World, run: Run
) -> None:
    done = lab("accepted", run.own, run.own, "--world", world.folder)
    assert done.exit_code == 0, done.output
    found = measures.acceptable(run, world)
    first, second = done.stdout.splitlines()
    assert f"{found.value:.1f} % ({found.low:.1f} to {found.high:.1f})" in first
    assert first == second and 0 < found.value < 100


def test_regions_writes_descriptions_of_other_scenes_and_says_how_many(tmp_path: Path) -> None:
    done = lab("regions", tmp_path / "captions", "--scenes", "4", "--log", "plain")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "captions/regions/region_descriptions.json").read_text())
    count = sum(len(one["regions"]) for one in told)
    assert f"regions: {count} regions" in done.stdout and len(told) == 4


def test_a_speaker_without_a_base_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = lab("speaker", tmp_path / "made", "--base", tmp_path / "empty")
    assert done.exit_code == 2
    assert "is no base model of the lab" in done.output and "Traceback" not in done.output
