"""The front door: `lskd run RUN.toml`, and what goes around it.

Exit codes: 0 all is well; 1 a defect of lskd (please report it); 2 something that was asked for is
wrong; 3 the budget is reached; 4 a server cannot be used; 5 people's judgments are needed; 130
interrupted; 143 stopped by SIGTERM. See `lskd.errors`.
"""

import sys
from typing import Annotated

import typer

from lskd import __version__
from lskd.cli import (
    asking,
    audits,
    benchmarks,
    corpora,
    evaluations,
    journals,
    lab,
    memory,
    reproductions,
    runs,
    studio,
    verbalizers,
)
from lskd.cli.help import AsWritten

EPILOG = (
    "Exit codes: 0 well, 1 a defect of lskd (of `lab bars` and `lab spoken`: a bar is missed), 2 "
    "something asked for is wrong, 3 budget reached, "
    "4 a server cannot be used, 5 judgments are needed, 130 interrupted, 143 stopped by "
    "SIGTERM."
)
app = typer.Typer(
    name="lskd",
    cls=AsWritten,
    help="From a folder of images to question, answer and rationale triples about places in them.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def version(
    asked: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Localized symbolic knowledge distillation."""
    if asked:
        sys.stdout.write(f"lskd {__version__}\n")
        raise typer.Exit


app.command()(runs.run)
app.command()(runs.plan)
app.command()(runs.status)
app.command()(runs.show)
app.command()(runs.report)
app.command()(journals.salvage)
app.command(name="export")(corpora.export_corpus)
app.command(name="import")(corpora.import_corpus)
app.command()(corpora.mark)
app.command()(asking.ask)
app.command()(asking.answers)
app.command()(corpora.labels)
app.command()(audits.audit)
app.command()(evaluations.evaluate)
app.command()(benchmarks.benchmarks)
app.command(name="captioner")(verbalizers.captioner)
app.command(name="narrator")(verbalizers.narrator)
app.command()(memory.memory)
app.command()(studio.studio)
app.command()(studio.judgments)
app.command()(reproductions.reproduce)
app.add_typer(lab.app)
