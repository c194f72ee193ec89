"""The front door, used as a user uses it: by command line."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
from typer.testing import CliRunner

import forked
import house
from lskd.cli import app
from typed import lskd

# What the installed script does, where a launcher has this process ignore interrupts.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from lskd.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which small.toml was run."""
    folder = tmp_path_factory.mktemp("done")
    house.build(folder)
    result = forked.lskd("run", "small.toml", folder=folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_an_interrupt_while_the_command_is_being_loaded_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", INTERRUPTIBLE],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stderr is not None
        for line in started.stderr:
            if line.rpartition("|")[2].strip() == "typer":  # and the commands are not there yet
                started.send_signal(signal.SIGINT)
                break
        assert "Traceback" not in started.stderr.read()
        assert started.wait(60) == 130


def test_a_run_ends_by_saying_where_the_report_is(done: Path) -> None:
    result = forked.lskd("run", "small.toml", folder=done)
    assert result.stdout == f"report: {Path('out/small/report/report.html')}\n"
    assert "images      nothing new" in result.stderr
    assert result.stderr.count("up to date") == 10


def test_every_command_explains_itself(tmp_path: Path) -> None:
    listed = forked.lskd("--help", folder=tmp_path).stdout
    # The others in this process: an interpreter for each takes two seconds.
    runner = CliRunner(env={"COLUMNS": "200"})
    commands = "run plan status show report export import mark ask labels".split()
    for command in commands:
        assert f"│ {command} " in listed
        text = " ".join(runner.invoke(app, [command, "--help"], prog_name="lskd").stdout.split())
        assert f"lskd {command} [OPTIONS]" in text
        if command in ("run", "export", "import", "mark", "ask"):
            assert f"Example: lskd {command} " in text
    assert "Exit codes" in listed


def test_the_plan_tells_what_would_be_made_and_makes_nothing(tmp_path: Path) -> None:
    house.build(tmp_path)
    found = json.loads(lskd("plan", "small.toml", "--json", folder=tmp_path).stdout)
    assert found["images"] == 6 and found["price"] is None
    assert {step["state"] for step in found["steps"]} == {"make", "remake if changed"}
    assert not (tmp_path / "out").exists()


def test_the_plan_of_a_child_tells_what_is_read_from_the_parent(done: Path) -> None:
    (done / "lenient.toml").write_text('extends = "small.toml"\n[corpus]\nthreshold = 0.3\n')
    found = json.loads(lskd("plan", "lenient.toml", "--json", folder=done).stdout)
    inherited = {step["stage"]: step["inherited"] for step in found["steps"]}
    assert inherited["score"] and not inherited["corpus"]
    states = {step["stage"]: step["state"] for step in found["steps"]}
    assert (states["score"], states["corpus"]) == ("done", "make")
    assert "read from" in lskd("plan", "lenient.toml", folder=done).stdout


def test_the_status_counts_shards_rows_and_rejects(done: Path) -> None:
    found = json.loads(lskd("status", "small.toml", "--json", folder=done).stdout)
    stages = {row["stage"]: row for row in found["stages"]}
    assert stages["parse"]["rows"] == 36 and stages["parse"]["rejects"] == 72
    assert stages["images"]["shards_done"] == stages["images"]["shards"] == 2
    assert found["paid"] is None
    assert "parse" in lskd("status", "small.toml", folder=done).stdout


def test_the_status_tells_why_things_were_left_out(done: Path) -> None:
    told = lskd("status", "small.toml", "--rejects", folder=done).stdout
    reasons = [line for line in told.splitlines() if re.match(r"parse +\d+  \S", line)]
    counts = [int(line.split()[1]) for line in reasons]
    assert sum(counts) == 72 and counts == sorted(counts, reverse=True)
    result = lskd("status", "small.toml", "--rejects", "--json", folder=done)
    (parse,) = [one for one in json.loads(result.stdout)["why_rejected"] if one["stage"] == "parse"]
    assert [one["count"] for one in parse["reasons"]] == counts
    assert all(one["name"] in line for one, line in zip(parse["reasons"], reasons, strict=True))


def test_show_prints_every_row_of_an_image_and_draws_it(done: Path) -> None:
    png = done / "shown.png"
    result = lskd("show", "out/small", "002.png", "--json", "--png", png, folder=done)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = {(row["stage"], row["record"]) for row in rows}
    assert {("images", "Image"), ("generate", "Reply"), ("corpus", "Example")} <= kinds
    assert ("parse", "Reject") in kinds
    with PIL.Image.open(png) as marked, PIL.Image.open(done / "pictures" / "002.png") as plain:
        assert marked.size == plain.size
        assert marked.convert("RGB").tobytes() != plain.convert("RGB").tobytes()
    missing = lskd("show", "small.toml", "nobody.png", folder=done)
    assert missing.returncode == 2 and "no image 'nobody.png'" in missing.stderr


def test_mark_draws_boxes_in_both_styles(done: Path) -> None:
    source = done / "pictures" / "000.png"
    pictures = []
    for style in ("release", "clear"):
        out = done / f"{style}.png"
        boxes = ["--box", "2,2,30,30", "--box", "20,10,60,40"]
        result = lskd("mark", source, *boxes, "--style", style, "--out", out, folder=done)
        assert result.returncode == 0, result.stderr
        pictures.append(out.read_bytes())
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("mark", "x.png", "--box", "1,2,3,4", "--out", "y.png"), "cannot read x.png"),
        (("mark", "000.png", "--box", "1,2,3", "--out", "y.png"), "the form is x0,y0,x1,y1"),
        (("mark", "000.png", "--box", "9,2,3,4", "--out", "y.png"), "x1 must be over x0"),
        (("mark", "000.png", "--box", "1,2,3,4", "--out", "y.xyz"), "no picture format"),
        (("mark", "000.png", "--box", "1,2,3,4", "--style", "x", "--out", "y.png"), "one of"),
        (("run", "nowhere.toml"), "no run file nowhere.toml"),
        (("run", "."), "is a folder, not a run file"),
        (("run", "small.toml", "--set", "images.source=nowhere"), "no such file or folder"),
        (("run", "small.toml", "--until", "x"), "no stage is called 'x'"),
        (("run", "small.toml", "--until", "score", "--only", "score"), "give one of them"),
        (("run", "small.toml", "--set", 'models.eyes={use="x" y}'), "is not a TOML value"),
        (("mark", "small.toml", "--box", "1,2,3,4", "--out", "y.png"), "not an image"),
        (("mark", "huge.ppm", "--box", "1,2,3,4", "--out", "y.png"), "cannot read huge.ppm"),
        (("mark", "000.png", "--box", "nan,2,3,4", "--out", "y.png"), "finite numbers"),
        (("import", "lck", "rows.jsonl", "--out", "y"), "has no row of that form"),
        (("run", "small.toml", "--log", "x"), "one of auto, plain, json"),
        (("export", "small.toml", "--to", "x", "--out", "y"), "hf, llava, swift, trl, lck, coco"),
        (("import", "xyz", "file", "--out", "y"), "known: lck"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    house.build(tmp_path, 1)
    house.picture(tmp_path / "000.png", 0)
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "huge.ppm").write_bytes(b"P6 20000 20000 255\n")
    with contextlib.chdir(tmp_path):
        result = CliRunner().invoke(app, args)
    assert result.exit_code == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert message in last and last.startswith("error: ")


def test_files_that_a_later_stage_misses_are_told_together_and_before_any_work(
    tmp_path: Path,
) -> None:
    house.build(tmp_path, 1)
    (tmp_path / "here.pth").touch()
    absent = {
        "distil.weights": "a.pth",
        "distil.vocabulary": "b.txt",
        "distil.size": "vit_h",
        "distil.rehearsal": "c.jsonl",
        "evaluate.models.other.predictions": "d.jsonl",
        "evaluate.benchmarks.vcr.folder": "e",
    }
    changes = [part for key, name in absent.items() for part in ("--set", f"{key}={name}")]
    result = lskd("run", "small.toml", *changes, folder=tmp_path)
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    for key, name in absent.items():
        stage, _, rest = key.partition(".")
        assert f"{rest} = {name!r}: " in last and f"[{stage}] " in last
    assert not list(tmp_path.rglob("*.parquet"))
    # Without a vocabulary beside them, weights are not enough.
    alone = ("--set", "distil.weights=here.pth")
    result = lskd("run", "small.toml", *alone, folder=tmp_path)
    assert "[distil] no vocabulary at here.pth" in result.stderr and result.returncode == 2
    assert lskd("run", "small.toml", *changes, "--until", "corpus", folder=tmp_path).returncode == 0


def test_a_users_mistake_shows_no_traceback(tmp_path: Path) -> None:
    alone = [sys.executable, "-m", "lskd", "run", "nowhere.toml"]  # nothing is loaded before it
    result = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: no run file nowhere.toml; the templates of lskd are in runs/\n"


def test_a_log_of_json_lines_is_json(tmp_path: Path) -> None:
    house.build(tmp_path, 1)
    result = lskd("run", "small.toml", "--log", "json", "--until", "regions", folder=tmp_path)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {line["stage"] for line in lines} >= {"images", "concepts", "narratives", "regions"}


def test_the_version_is_told(tmp_path: Path) -> None:
    assert forked.lskd("--version", folder=tmp_path).stdout.startswith("lskd 0.")
