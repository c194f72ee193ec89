"""Trainings of a run in a bucket, by one machine and by two that share no disk."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_storage_run import names

import buckets
import forked
import house
import test_gen_gaps_run as school
from buckets import bucket, disk, machine, variables
from lskd.run import load
from lskd.storage.address import located
from lskd.types import Score, Student

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with buckets.served() as address:
        yield address


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that one process has made on its disk."""
    folder = tmp_path_factory.mktemp("home")
    school.made(folder, until="generative")
    return folder


@dataclass(frozen=True)
class Trained:
    """A run in a bucket, at `out`, that two machines have trained; what each has, what was said."""

    out: str
    own: tuple[Mapping[str, str], Mapping[str, str]]
    said: str


@pytest.fixture(scope="module")
def trained(home: Path, storage: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = f"{bucket(storage, 'two')}/run"
    machines = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    first, second = ({**variables(storage), **disk(folder)} for folder in machines)
    words = ("run", "small.toml", "--out", out, "--until", "generative")
    said = forked.lskd_twice(home, *words, own=(first, second))
    return Trained(out, (first, second), said)


def test_two_machines_that_share_a_bucket_alone_come_to_the_weights_of_one_process(
    home: Path, trained: Trained
) -> None:
    out, own = trained.out, trained.own
    works = [Path(one["LSKD_WORK"], "lskd-places", "s3", "two", "run") for one in own]
    assert f"the student is in {out}/distil/student" in trained.said
    with machine(own[0]):
        there = names(out)
        (student,) = house.rows(load(located(out)), Student)
    assert student.folder == f"{out}/distil/student"
    kept = [name for name in there if "/training/" in name or "/features/" in name]
    beside = {"beginning.json", "losses.jsonl", "losses.svg"}
    assert {Path(name).name for name in kept} == beside
    for stage, file in school.WEIGHTS.items():
        assert file in there
        one, two = load_file(home / "out" / "small" / file), load_file(works[0] / file)
        assert one.keys() == two.keys()
        for key, weight in one.items():
            if not key.endswith("key.bias"):  # of rounding, AdamW makes whole steps
                torch.testing.assert_close(
                    two[key], weight, atol=1e-4, rtol=0, msg=f"{stage} {key}"
                )
    # What the second needed it was given, and made its own features.
    assert list(works[1].glob("distil/training/*/examples.jsonl"))
    assert list(works[1].glob("distil/features/*/keys"))
    assert not list(works[1].glob("distil/student/*"))
    words = ("run", "small.toml", "--out", out, "--until", "generative")
    again = forked.lskd(*words, folder=home, **own[1])
    assert again.returncode == 0, again.stderr
    assert "distil      up to date" in again.stderr


def test_a_third_machine_judges_and_asks_with_what_was_trained_there(
    home: Path, trained: Trained, storage: str, tmp_path: Path
) -> None:
    own = {**variables(storage), **disk(tmp_path)}

    def by(folder: str) -> str:
        use = "lskd.critique.trained:TrainedCritic"
        return f'score.critic={{use="{use}", folder="{folder}/critic/model"}}'

    until, there = ("--until", "score"), f"{trained.out}-judged"
    words = ("run", trained.out, "--set", by(trained.out), *until, "--out", there)
    judged = forked.lskd(*words, folder=home, **own)
    assert judged.returncode == 0, judged.stderr
    assert "score       up to date" in forked.lskd(*words, folder=home, **own).stderr
    words = ("run", "small.toml", "--set", by("out/small"), *until, "--out", "out/judged")
    judged = forked.lskd(*words, folder=home)
    assert judged.returncode == 0, judged.stderr
    with machine(own):
        found = scores(located(there))
    assert found == pytest.approx(scores(home / "out" / "judged"), abs=1e-3)
    assert len(set(found.values())) > 1
    shown = (str(next((home / "pictures").iterdir())), "--box", "1,1,20,20")
    answers, question = ("It is red.", "It is blue."), "What is [0]?"
    ranked = forked.lskd(
        *(
            "ask",
            f"{trained.out}/distil/student",
            *shown,
            "--choices",
            *answers,
            question,
            "--json",
        ),
        folder=home,
        **own,
    )
    assert ranked.returncode == 0, ranked.stderr
    assert {choice for choice, _ in json.loads(ranked.stdout)["choices"]} == set(answers)
    writer = f"{trained.out}/generative/student"
    spoken = forked.lskd("ask", writer, *shown, question, folder=home, **own)
    assert spoken.returncode == 0, spoken.stderr
    nobody = forked.lskd("ask", f"{trained.out}/none", *shown, question, folder=home, **own)
    assert nobody.returncode == 2
    assert nobody.stderr == f"error: {trained.out}/none: nothing is there\n"


def scores(run: Path) -> dict[str, float]:
    """Return what a run's critic gives each triple."""
    return {row.triple_id: row.accept for row in house.rows(load(run), Score)}
