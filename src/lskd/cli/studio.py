"""Command `studio`: the web app, for as long as it runs."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lskd.cli.options import Changes, Out, RunFile, plain_errors
from lskd.errors import MissingExtra, UserError
from lskd.run import Run, load

if TYPE_CHECKING:
    from lskd.human.store import Store

EVERYWHERE = ("0.0.0.0", "::")


def studio(
    file: RunFile,
    student: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A student to ask and to compare; as often as you like."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8600,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where people's work is kept, as postgresql+psycopg://name@host/studio; else "
            "<run>/studio/people.sqlite.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LSKD_STUDIO_TOKEN", help="The owner's secret, of 16 characters or more."
        ),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(min=1, help="How many people judge each triple; else 2.")
    ] = None,
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

    Example: lskd studio runs/photos.toml --student out/photos/distil/student
    """
    with plain_errors():
        try:
            import uvicorn

            from lskd.human.store import Store
            from lskd.studio import app, desk, terms
            from lskd.studio.safety import Safety, check
        except ModuleNotFoundError as error:
            name = error.name or ""
            if name.partition(".")[0] == "lskd":
                raise
            raise MissingExtra("the studio", name, "ui") from error
        safety = Safety(host=host, token=token)
        check(safety)
        promised = terms.Terms(
            terms.read_consent(consent or terms.OWN_TEXT),
            None
            if prolific is None
            else terms.Prolific(prolific, each, study, completed or terms.COMPLETED),
        )
        run = load(file, changes or [], out)
        home = (run.own / "studio").absolute()
        home.mkdir(parents=True, exist_ok=True)
        store = Store(database or f"sqlite:///{home / 'people.sqlite'}")
        try:
            _put(run, store, gold, overlap)
            laid = desk.lay(run, store, student or [], safety, _told, promised)
            config = uvicorn.Config(
                app.create(laid), host, port, log_level="warning", server_header=False
            )
            server = uvicorn.Server(config)
            _announce(host, port, token)
            try:
                server.run()
            except SystemExit as error:
                raise UserError(f"cannot listen on {host} port {port}: is it taken?") from error
        finally:
            store.close()


def _put(run: Run, store: "Store", file: Path | None, overlap: int | None) -> None:
    """Put the sample of a run to people, if it has one, and tell what is not as it was given."""
    from lskd.studio import campaigns

    gold = None if file is None else campaigns.known(file)
    if gold is None and not campaigns.has_sample(run):
        return
    made = campaigns.opened(run, store, gold, overlap=overlap)
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


def _announce(host: str, port: int, token: str | None) -> None:
    """Print the address to open."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    shown = "<this machine's name>" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    path = "/" if token is None else f"/enter/{token}"
    sys.stdout.write(f"studio: http://{shown}:{port}{path}\n")
    sys.stdout.write("stop it with Ctrl-C; nothing that was saved is lost\n")
    sys.stdout.flush()
