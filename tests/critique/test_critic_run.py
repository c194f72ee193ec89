"""A run with people in it: it stops for judgments, goes on with them, and notices new ones."""

import csv
import hashlib
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
from colour_world import SIDE, write_base

import house
from lskd.errors import JudgmentsNeeded, UserError
from lskd.run import Run, load
from lskd.types import Example, Fit, Sample, Score

SMALL = Path("small.toml")
STAGES_OF_PEOPLE = """
[sample]
train = 24
evaluate = 12

[critic]
judgments = "judgments.csv"
weights = "base"
image = {side}
tokens = 48
epochs = 2
batch = 12
precision = "float32"
workers = 2
"""


def prepared(home: Path) -> None:
    """Write pictures, a base and a run file with people in it into the working directory."""
    house.build(home)
    write_base(home / "base")
    line = 'critic = { use = "lskd.critique.trained:TrainedCritic", folder = '
    text = SMALL.read_text().replace(
        'critic = { use = "models:Judge" }', f'{line}"out/small/critic/model" }}'
    )
    text = text.replace("threshold = 0.8", "keep = 0.5")
    SMALL.write_text(text + STAGES_OF_PEOPLE.format(side=SIDE))


def judge(run: Run, word: str) -> None:
    """Write what two people think of each sample, which is another thing for another `word`."""
    with Path("judgments.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["triple_id", "annotator", "qa", "rationale"])
        for sample in house.rows(run, Sample):
            good = hashlib.sha256(f"{word}{sample.triple_id}".encode()).digest()[0] % 2
            for person in ("ann", "bob"):
                writer.writerow([sample.triple_id, person, 3 if good else 1, 2 if good else ""])


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the copy of a folder `home` beside it, with a run that stopped for people."""
    home = tmp_path_factory.mktemp("once") / "home"
    home.mkdir()
    with chdir(home):
        prepared(home)
        with pytest.raises(JudgmentsNeeded, match=r"36 triples in .* wait for 2 people each"):
            house.run(SMALL)
        waiting = load(SMALL)
        assert len(house.rows(waiting, Sample)) == 36 and house.rows(waiting, Score) == []
        judge(waiting, "first")
        house.run(SMALL)
    return Path(shutil.copytree(home, home.with_name("kept"), symlinks=True))


@pytest.fixture
def home(once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return that folder as it was, in its place: elsewhere its pictures would be copies."""
    home = once.with_name("home")
    shutil.rmtree(home)
    shutil.copytree(once, home, symlinks=True)
    monkeypatch.chdir(home)
    return home


def test_a_run_stops_for_people_and_goes_on_with_what_they_think(home: Path) -> None:
    run = load(SMALL)
    (found,) = house.rows(run, Fit)
    assert found.judged == 36 and found.folder == "out/small/critic/model"
    assert len(house.rows(run, Score)) == 36 and len(house.rows(run, Example)) >= 18


def test_a_base_that_is_not_there_is_missed_at_once_when_people_have_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path
    monkeypatch.chdir(home)
    prepared(home)
    (home / "base").rename(home / "elsewhere")
    with pytest.raises(JudgmentsNeeded):
        house.run(SMALL)
    judge(load(SMALL), "first")
    house.picture(home / "pictures" / "new.png", 99)
    before = house.files(home / "out")
    with pytest.raises(UserError, match=r"^\[critic\] weights = 'base': no such file or folder"):
        house.run(SMALL)
    assert house.files(home / "out") == before


def test_new_judgments_make_a_new_critic_and_new_scores_and_the_same_ones_nothing(
    home: Path,
) -> None:
    first = load(SMALL)
    fits, scores = house.rows(first, Fit), house.rows(first, Score)
    before = house.files(home / "out")
    house.run(SMALL)
    assert house.files(home / "out") == before
    judge(first, "second")
    second = house.run(SMALL)
    assert house.rows(second, Fit)[0].digest != fits[0].digest
    assert house.rows(second, Score) != scores


def test_a_new_picture_that_moves_no_image_to_the_other_side_trains_nothing_again(
    home: Path,
) -> None:
    fits = house.rows(load(SMALL), Fit)
    made = (home / "out/small/critic/model/model.safetensors").stat().st_mtime_ns
    house.picture(home / "pictures" / "0005.png", 99)
    second = house.run(SMALL)
    assert house.rows(second, Fit) == fits and len(house.rows(second, Score)) == 42
    assert (home / "out/small/critic/model/model.safetensors").stat().st_mtime_ns == made


def test_a_critic_of_permuted_pictures_is_another_and_says_so(home: Path) -> None:
    own = house.rows(load(SMALL), Fit)
    text = SMALL.read_text().replace("[critic]\n", '[critic]\npictures = "permuted"\n')
    SMALL.write_text(text.replace("out/small/", "out/permuted/"))
    blind = house.run(SMALL.rename("permuted.toml"))
    assert house.rows(blind, Fit)[0].digest != own[0].digest
    assert 'pictures = "permuted"' in Path("out/permuted/critic/model/critic.toml").read_text()
    assert len(house.rows(blind, Score)) == 36
