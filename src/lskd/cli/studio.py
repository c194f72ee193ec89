"""Commands of people's work: `studio`, the web app, and `judgments`, what was said elsewhere."""

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from lskd import table
from lskd.cli.options import Changes, Out, RunFile, plain_errors
from lskd.errors import MissingExtra, UserError
from lskd.human.work import JUDGE
from lskd.run import Run, load
from lskd.storage import mirror
from lskd.types import Reject

if TYPE_CHECKING:
    import uvicorn

    from lskd.human.store import Store
    from lskd.studio.elsewhere import Said

EVERYWHERE = ("0.0.0.0", "::")
SHOWN = 5  # rejects that are told one by one
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where people's work is kept, as postgresql+psycopg://name@host/studio; else "
        "<run>/studio/people.sqlite.",
    ),
]
Overlap = Annotated[
    int | None, typer.Option(min=1, help="How many people judge each triple; else 2.")
]


def studio(
    file: RunFile,
    student: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A student to ask and to compare; as often as you like."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 is any that is free.")
    ] = 8600,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    database: Database = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LSKD_STUDIO_TOKEN", help="The owner's secret, of 16 characters or more."
        ),
    ] = None,
    campaign: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The campaign in which the run's triples are judged; each run that shares a "
            "database has its own.",
        ),
    ] = JUDGE,
    overlap: Overlap = None,
    gold: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judgments that are known, to see how people do."),
    ] = None,
    consent: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Instructions and consent, as text; else our own."),
    ] = None,
    prolific: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="The completion code of a study of Prolific."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="ID", help="The only study whose people are let in.")
    ] = None,
    each: Annotated[
        int, typer.Option(min=1, help="How many items each participant of Prolific judges.")
    ] = 20,
    completed: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where they go then; {code} stands for the code."),
    ] = None,
    changes: Changes = None,
    out: Out = None,
) -> None:
    """Open the studio: look at a corpus, have it judged, compare systems, ask students.

    Example: lskd studio runs/photos.toml --student out/student/distil/student
    """
    with plain_errors():
        with _extra("the studio"):
            import uvicorn

            from lskd.human.store import Store
            from lskd.studio import app, desk, terms
            from lskd.studio.safety import Safety, check
        safety = Safety(host=host, token=token)
        check(safety)
        promised = terms.Terms(
            terms.read_consent(consent or terms.OWN_TEXT),
            None
            if prolific is None
            else terms.Prolific(prolific, each, study, completed or terms.COMPLETED),
        )
        run = load(file, changes or [], out)
        store = Store(database or _beside(run))
        try:
            _put(run, store, campaign, gold, overlap)
            folders = [mirror.brought(one) for one in student or []]
            laid = desk.lay(run, store, folders, safety, _told, promised)
            config = uvicorn.Config(app.create(laid), log_level="warning", server_header=False)
            with _listening(host, port) as door:
                port = door.getsockname()[1]
                _announcing(config, lambda: _announce(host, port, token)).run(sockets=[door])
        finally:
            store.close()


def judgments(
    file: RunFile,
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Label Studio's export (.json), a sheet (.csv), or a table (.parquet, .jsonl).",
        ),
    ],
    campaign: Annotated[str, typer.Option(help="The campaign that they belong to.")] = JUDGE,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="What a sheet calls a column, as qa=Answer.qa: of triple_id, annotator, qa, "
            "rationale, image_id and seconds.",
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all that cannot be used there, as JSON lines."),
    ] = None,
    database: Database = None,
    overlap: Overlap = None,
    changes: Changes = None,
    out: Out = None,
) -> None:
    """Bring judgments into the studio that people made with other tools; again adds nothing.

    Example: lskd judgments runs/critic.toml export.json
    """
    with plain_errors():
        with _extra("the studio's database"):
            from lskd.human.store import Store
            from lskd.studio import elsewhere
        named = elsewhere.columns(column or [])
        # All files are read before anything is kept: a wrong name leaves nothing half done.
        said = [elsewhere.read(one, named) for one in results]
        run = load(file, changes or [], out)
        store = Store(database or _beside(run))
        try:
            # Another one was begun by the studio: a name that is not there is a slip.
            if campaign == JUDGE:
                _put(run, store, campaign, None, overlap)
            useless = []
            for path, one in zip(results, said, strict=True):
                useless += _brought(store, campaign, path, one)
        finally:
            store.close()
        _tell_rejects(useless, rejects)


def _brought(store: "Store", campaign: str, path: Path, said: "Said") -> list[Reject]:
    """Add what a file says, tell what became of it, and return what is of no use."""
    from lskd.studio import elsewhere

    took = store.take(campaign, said.judgments)
    useless = [*said.rejects, *took.rejects]
    if useless and not took.new and not took.known:
        first = useless[0]
        raise UserError(
            f"{path}: none of its {len(useless)} judgments can be used; the first is of "
            f"{first.source}: {first.reason}"
        )
    sys.stdout.write(
        f"{path}: {took.new} new judgments, {took.known} there already, {len(useless)} of no use\n"
    )
    moved = elsewhere.moved(said.drawn, store.posed(campaign))
    if moved:
        _told(
            f"{path}: {moved} annotations changed regions. Judgments hold none: see "
            "lskd.human.label_studio_export.read"
        )
    return useless


def _tell_rejects(useless: Sequence[Reject], file: Path | None) -> None:
    """Tell the first few of what is of no use, and write all of it where a file is named."""
    for one in useless[:SHOWN]:
        _told(f"{one.source}: {one.reason}")
    if file is not None:
        with table.draft(file) as unfinished:
            lines = [json.dumps(table.plain(one), ensure_ascii=False) for one in useless]
            unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    elif len(useless) > SHOWN:
        _told(f"and {len(useless) - SHOWN} more: --rejects FILE writes all")


@contextmanager
def _extra(what: str) -> Iterator[None]:
    """Tell what to install where a library is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if name.partition(".")[0] == "lskd":
            raise
        raise MissingExtra(what, name, "ui") from error


def _beside(run: Run) -> str:
    """Return the URL of the database in a run's own folder, which is made."""
    home = (run.own / "studio").absolute()
    home.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home / 'people.sqlite'}"


def _put(run: Run, store: "Store", campaign: str, file: Path | None, overlap: int | None) -> None:
    """Put the sample of a run to people, if it has one, and tell what is not as it was given."""
    from lskd.studio import campaigns

    gold = None if file is None else campaigns.known(file)
    if gold is None and not campaigns.has_sample(run):
        return
    made = campaigns.opened(run, store, gold, campaign, overlap)
    if made.new:
        _told(f"{made.items} triples wait for people, and {made.gold} with a known answer")
    if made.lost:
        _told(f"{len(made.lost)} triples are in no table and are left out, such as {made.lost[0]}")
    if gold is not None and gold.disputed:
        _told(
            f"{len(gold.disputed)} known answers are disputed and not used as such, such as that "
            f"of {gold.disputed[0]}"
        )


def _told(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that whoever reads the announced address can already reach."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _announcing(config: "uvicorn.Config", announce: Callable[[], None]) -> "uvicorn.Server":
    """Return a server that announces itself once it hears signals.

    Ctrl-C before that would be raised wherever imports and callbacks are by then, where Python can
    drop it.
    """
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce()

    return Announcing(config)


def _announce(host: str, port: int, token: str | None) -> None:
    """Print the address to open."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    shown = "<this machine's name>" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    path = "/" if token is None else f"/enter/{quote(token, safe='')}"
    sys.stdout.write(f"studio: http://{shown}:{port}{path}\n")
    sys.stdout.write("stop it with Ctrl-C; nothing that was saved is lost\n")
    sys.stdout.flush()
