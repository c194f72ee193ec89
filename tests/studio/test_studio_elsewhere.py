"""`lskd judgments`: what people said with other tools, into the studio's database by a command."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from house_of_studio import run_of
from typer.testing import CliRunner, Result

from lskd import cli, table
from lskd.human.address import addresses
from lskd.human.label_studio import tasks
from lskd.human.store import Store
from lskd.human.work import Claim, Posed
from lskd.run import Run
from lskd.runfile import RUN_FILE
from lskd.studio import campaigns
from lskd.types import Judgment, Sample, Triple


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run whose six triples all wait for people."""
    made = run_of(tmp_path, count=2)
    triples = made.tables.read(Triple, "00000")
    samples = [Sample(one.id, one.image_id, "train") for one in triples]
    table.write(Sample, made.tables.file(Sample, "00000"), samples)
    (made.own / RUN_FILE).write_text(made.text())
    return made


@pytest.fixture
def names(run: Run) -> list[str]:
    return [one.triple_id for one in run.tables.read(Sample, "00000")]


def database(run: Run) -> str:
    return f"sqlite:///{run.own / 'studio' / 'people.sqlite'}"


@pytest.fixture
def store(run: Run) -> Iterator[Store]:
    with closing(Store(database(run))) as opened:
        yield opened


def told(run: Run, *given: object) -> Result:
    return CliRunner().invoke(cli.app, ["judgments", str(run.own), *map(str, given)])


def sheet(
    folder: Path, rows: Sequence[str], head: str = "triple_id,annotator,qa,rationale"
) -> Path:
    file = folder / "results.csv"
    file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return file


def test_a_sheet_is_in_the_studio_once_however_often_it_is_brought(
    run: Run, names: list[str], tmp_path: Path, store: Store
) -> None:
    file = sheet(tmp_path, [f"{names[0]},ann,3,2", f"{names[0]},ben,1,", f"{names[1]},ann,2,1"])
    first, again = told(run, file), told(run, file)
    assert first.exit_code == 0 and first.stdout == (
        f"{file}: 3 new judgments, 0 there already, 0 of no use\n"
    )
    assert again.stdout == f"{file}: 0 new judgments, 3 there already, 0 of no use\n"
    kept = {
        (one.triple_id, one.annotator, one.qa, one.rationale) for one in store.judgments("judge")
    }
    assert kept == {(names[0], "ann", 3, 2), (names[0], "ben", 1, None), (names[1], "ann", 2, 1)}
    assert (
        campaigns.opened(run, store).new == 0
    )  # the studio finds its campaign as it would make it


def test_the_columns_of_any_platform_can_be_named(
    run: Run, names: list[str], tmp_path: Path, store: Store
) -> None:
    head = "Input.triple_id,WorkerId,Answer.qa,Answer.why"
    file = sheet(tmp_path, [f"{names[0]},A1,accept,maybe"], head)
    columns = "triple_id=Input.triple_id", "annotator=WorkerId", "qa=Answer.qa"
    options = [part for one in (*columns, "rationale=Answer.why") for part in ("--column", one)]
    assert told(run, file, *options).exit_code == 0
    assert [(one.annotator, one.rationale) for one in store.judgments("judge")] == [("A1", 2)]


def exported(posed: Posed, who: str, qa: str, rationale: str, x: float | None = None) -> Any:
    """Return a task as Label Studio exports it, its first box moved to `x` percent."""
    assert isinstance(posed.what, Claim)
    task = json.loads(tasks([posed.what], addresses("https://photos.test/{image_id}{suffix}")))[0]
    boxes = json.loads(json.dumps(task["predictions"][0]["result"]))
    if x is not None:
        boxes[0]["value"]["x"] = x
    answers = [
        {"type": "choices", "from_name": name, "to_name": "image", "value": {"choices": [word]}}
        for name, word in (("qa", qa), ("rationale", rationale))
    ]
    person = {"id": 1, "email": who}
    done = {"completed_by": person, "lead_time": 3.5, "result": [*boxes, *answers]}
    return {**task, "annotations": [done]}


def test_an_export_of_label_studio_comes_back_and_moved_regions_are_told(
    run: Run, tmp_path: Path, store: Store
) -> None:
    campaigns.opened(run, store)
    first, second, third, *_ = store.posed("judge")
    content = [
        exported(first, "ann@x.org", "accept", "maybe"),
        exported(second, "ann@x.org", "accept", "accept", x=1.0),
        {**exported(third, "ben@x.org", "accept", "accept"), "annotations": []},
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    result = told(run, file, "--rejects", tmp_path / "rejects.jsonl")
    assert result.exit_code == 0
    assert f"{file}: 2 new judgments, 0 there already, 1 of no use\n" in result.output
    assert "1 annotations changed regions" in result.output
    assert f"{third.id}: nobody has answered it" in result.output
    (useless,) = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert json.loads(useless)["source"] == third.id
    found = [(one.triple_id, one.annotator, one.seconds) for one in store.judgments("judge")]
    assert found == [(first.id, "ann@x.org", 3.5), (second.id, "ann@x.org", 3.5)]


def test_the_studios_own_table_goes_from_one_database_to_another(
    run: Run, names: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "judgments.parquet"
    given = [Judgment(name, "", who, 3, 3, 1.0) for name in names for who in ("ann", "ben")]
    table.write(Judgment, file, given)
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    assert told(run, file, "--database", other, "--overlap", 3).exit_code == 0
    with closing(Store(other)) as store:
        assert store.found("judge").overlap == 3
        assert len(list(store.judgments("judge"))) == len(given)
    assert not (run.own / "studio").exists()


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.txt", "", (), "expected a file that ends in one of .json, .csv, .parquet, .jsonl"),
        ("a.json", "{}", (), "export from Label Studio as JSON, not as JSON-MIN"),
        ("a.csv", "triple_id,qa\n", (), "has no column annotator, rationale"),
        ("a.csv", "", ("--column", "who=x"), "as qa=Answer.qa, for one of triple_id"),
        ("a.csv", "", ("--column", "qa=x", "--column", "qa=y"), "names qa twice"),
        (
            "a.csv",
            "triple_id,annotator,qa,rationale\nnone,ann,3,3\nt,ann,7,1\n",
            (),
            "none of its 2 judgments can be used; the first is of",
        ),
        (
            "a.csv",
            "triple_id,annotator,qa,rationale\n",
            ("--campaign", "pilot"),
            "no campaign 'pilot'; campaigns: ",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    run: Run, tmp_path: Path, name: str, text: str, options: Sequence[str], message: str
) -> None:
    (tmp_path / name).write_text(text)
    result = told(run, tmp_path / name, *options)
    assert result.exit_code == 2 and result.stdout == ""
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: ") and message in line


def test_a_wrong_file_among_several_leaves_nothing_half_done(
    run: Run, names: list[str], tmp_path: Path, store: Store
) -> None:
    good = sheet(tmp_path, [f"{names[0]},ann,3,2"])
    (tmp_path / "bad.json").write_text("{")
    assert told(run, good, tmp_path / "bad.json").exit_code == 2
    assert store.campaigns() == []


def test_the_first_few_useless_rows_are_told_and_the_rest_counted(
    run: Run, names: list[str], tmp_path: Path
) -> None:
    rows = [f"{names[0]},ann,3,2", *(f"none{n},ann,3,3" for n in range(9))]
    result = told(run, sheet(tmp_path, rows))
    assert result.exit_code == 0
    assert "1 new judgments, 0 there already, 9 of no use" in result.output
    assert result.output.count("has no such item") == 5
    assert "and 4 more: --rejects FILE writes all" in result.output
