"""`lskd studio`, as people type it."""

import signal
import socket
from contextlib import AbstractContextManager, closing
from pathlib import Path

import httpx
import pytest
from house_of_studio import run_of
from typer.testing import CliRunner

from forked import Started, at_work
from lskd import cli, table
from lskd.human.store import Store
from lskd.runfile import RUN_FILE
from lskd.types import Sample, Triple

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small run, as `lskd run` leaves it."""
    run = run_of(tmp_path_factory.mktemp("command"), count=4)
    (run.own / RUN_FILE).write_text(run.text())
    return run.own


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSKD_STUDIO_TOKEN", raising=False)


def studio(folder: Path, *options: str) -> AbstractContextManager[Started]:
    return at_work("studio", folder, *options, folder=HERE)


def answered(address: str) -> httpx.Response:
    """Return the answer of a studio that has said where it is."""
    return httpx.get(address, trust_env=False, follow_redirects=True, timeout=60)


def test_the_printed_address_opens_the_studio_and_ctrl_c_ends_it(folder: Path) -> None:
    with studio(folder, "--port", "0") as started:
        line = started.line()
        assert line.startswith("studio: http://127.0.0.1:")
        page = answered(line.split()[1])
        assert page.status_code == 200 and "Explore" in page.text
        assert "server" not in page.headers  # what serves it is nobody's business
        assert (folder / "studio" / "people.sqlite").exists()
        started.signal(signal.SIGINT)
        done = started.ended(30)
    assert done.returncode == 130 and "Traceback" not in done.stderr


def test_the_owners_address_has_the_token(folder: Path) -> None:
    token = ("--token", "a-secret-of-the-owner")
    with studio(folder, "--port", "0", *token) as started:
        address = started.line().split()[1]
        assert address.endswith("/enter/a-secret-of-the-owner")
        assert answered(address).status_code == 200
        assert answered(address.replace("of-the-owner", "of-nobody")).status_code == 403


def test_a_token_of_any_characters_is_in_the_printed_address(folder: Path) -> None:
    token = "50% of #1? a+b & c"
    with studio(folder, "--port", "0", "--token", token) as started:
        address = started.line().removeprefix("studio: ").strip()
        assert answered(address).status_code == 200


def test_runs_that_share_a_database_have_a_campaign_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.sqlite'}"
    folders = []
    for name, count in (("one", 2), ("other", 3)):
        run = run_of(tmp_path / name, count=count, shard_size=count)
        # Of each run its last picture alone, so that they have no triple in common.
        triples = run.tables.read(Triple, "00000")[-3:]
        table.write(Triple, run.tables.file(Triple, "00000"), triples)
        sample = [Sample(one.id, one.image_id, "train") for one in triples]
        table.write(Sample, run.tables.file(Sample, "00000"), sample)
        (run.own / RUN_FILE).write_text(run.text())
        folders.append(run.own)
    shared = ("--database", url, "--port")
    with studio(folders[0], *shared, "0") as started:
        answered(started.line().split()[1])
    with studio(folders[1], *shared, "0") as started:
        refused = started.ended(60)
    assert refused.stderr.startswith("error: the campaign 'judge' holds 3 items of no triple of")
    assert refused.stderr.endswith("with --campaign NAME\n") and refused.stdout == ""
    with studio(folders[1], *shared, "0", "--campaign", "others") as started:
        answered(started.line().split()[1])
    with closing(Store(url)) as store:
        held = {one.name: len(store.posed(one.name)) for one in store.campaigns()}
    assert held == {"judge": 3, "others": 3}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--host", "0.0.0.0"), "can be reached by others: give --token"),
        (("--token", "short"), "give 16 or more"),
        (("--student", "."), "no student"),
        (("--database", "nonsense://x"), "nonsense"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    folder: Path, options: tuple[str, ...], told: str
) -> None:
    done = CliRunner().invoke(cli.app, ["studio", str(folder), *options])
    assert done.exit_code == 2
    assert done.stdout == "" and done.stderr.startswith("error: ") and told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_command_of_its_own_says_no_more_than_that_line(folder: Path) -> None:
    with studio(folder, "--student", ".") as started:
        done = started.ended(60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with studio(folder, "--port", str(port)) as started:
            done = started.ended(60)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr
