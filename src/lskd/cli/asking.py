"""Commands that have students speak: ask, answers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lskd import table
from lskd.cli.options import AsJson, Changes, Images, Out, RunFile, on_disk, plain_errors, printed
from lskd.errors import MissingExtra, UserError
from lskd.run import Run, load
from lskd.storage import mirror

if TYPE_CHECKING:
    from lskd.distil.ask import Shown, Told
    from lskd.distil.generative.answers import Posed, Wanted

Beams = Annotated[int, typer.Option(min=1, help="Write the likeliest text of N beams; 1: greedy.")]
Temperature = Annotated[
    float | None, typer.Option(help="Draw the words at random, at this temperature.")
]
TopP = Annotated[float, typer.Option(help="Draw from the fewest words that make this share.")]
Tokens = Annotated[
    int | None, typer.Option(min=1, help="The most tokens of a text; else the student's own.")
]
Seed = Annotated[int, typer.Option(help="Decides what is drawn.")]


def ask(
    student: Annotated[
        Path,
        typer.Argument(
            metavar="STUDENT|RUN.toml",
            help="A student's folder, or its URL; or a run file, whose answerer is asked: any "
            "vision-language model, served or loaded here.",
        ),
    ],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture file.")],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[CHOICE]... QUESTION", help="The question, which names boxes as [0]."
        ),
    ],
    choices: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHOICE",
            help="An answer; others may follow it. Without any the student writes its own.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="Corners in pixels; the first box is [0]."),
    ] = None,
    png: Annotated[Path, typer.Option(help="Where the marked picture goes.")] = Path("asked.png"),
    beams: Beams = 1,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    tokens: Tokens = None,
    seed: Seed = 0,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Ask a student about places of a picture: it ranks answers, or writes one with its rationale.

    Or ask the model that answers in a run, as the vision-language model of runs/hosted.toml.

    Example: lskd ask out/student/distil/student photo.jpg --box 10,20,200,300
    --choices "It is a party." "It is raining." "Why is [0] smiling?"

    Example: lskd ask out/generative/generative/student photo.jpg --box 10,20,200,300
    "Why is [0] smiling?"

    Example: lskd ask runs/hosted.toml photo.jpg --box 10,20,200,300 "Why is [0] smiling?"
    """
    from lskd.distil import ask as asking

    with plain_errors():
        # An option takes one word; what follows it stands before the question.
        *further, question = words
        if student.suffix == ".toml":
            if choices or further or temperature is not None or (beams, top_p, seed) != (1, 1.0, 0):
                raise UserError(
                    f"of {student} a model is asked that writes its likeliest answer: --choices, "
                    "--beams, --temperature, --top-p and --seed are for students"
                )
            _see(
                load(student, changes or []),
                asking.Shown(image, box or [], png),
                question,
                tokens,
                as_json,
            )
            return
        if changes:
            raise UserError("--set goes with a run file, not with a student's folder")
        student = mirror.brought(student)
        if choices:
            ranking = asking.ask(student, image, box or [], question, [*choices, *further], png)
            note = _tell_of_scope(student, image)
            if as_json:
                printed({"choices": list(ranking.choices), "marked": str(ranking.marked), **note})
                return
            for choice, score in ranking.choices:
                sys.stdout.write(f"{score:.3f}  {choice}\n")
            sys.stdout.write(f"{ranking.marked}\n")
            return
        if further:
            raise UserError(
                f"{further[0]!r} stands before the question: put --choices before answers to rank"
            )
        how = asking.Manner(beams, temperature, top_p, tokens, seed)
        telling = asking.tell(student, image, box or [], question, png, how)
        note = _tell_of_scope(student, image)
        if as_json:
            printed({**table.plain(telling.told), "marked": str(telling.marked), **note})
            return
        sys.stdout.write("".join(f"{line}\n" for line in said(telling.told)))
        sys.stdout.write(f"{telling.marked}\n")


def _see(run: Run, shown: "Shown", question: str, tokens: int | None, as_json: bool) -> None:
    """Have the model that answers in a run look at a picture."""
    from lskd.cli import seeing
    from lskd.distil import ask as asking

    model = seeing.answerer(run, tokens)
    asking.draw(shown, question)
    text = seeing.answered(run, model, shown.marked, question)
    if as_json:
        printed({"answer": text, "marked": str(shown.marked)})
        return
    sys.stdout.write(f"{text}\n{shown.marked}\n")


def _tell_of_scope(student: Path, image: Path) -> dict[str, str]:
    """Tell whoever asks a student of the lab about a picture that is none of its scenes.

    Returns the same for JSON: nothing where there is nothing to tell.
    """
    from lskd.distil import note
    from lskd.lab import scope

    text = scope.outside(note.read(student).base, image)
    if text is None:
        return {}
    _told(text)
    return {"note": text}


def said(told: "Told") -> list[str]:
    """Return an answer and its rationale as lines, each with its confidence, and what is amiss."""
    lines = [f"{_sure(told.confidence)}  {told.answer}"]
    if told.rationale:
        lines.append(f"{_sure(told.rationale_confidence)}  {told.rationale}")
    if told.undrawn:
        lines.append(f"names {_tags(told.undrawn)}, which is not drawn")
    if told.unfinished:
        lines.append("a text was ended because it became too long: raise --tokens")
    return lines


def answers(
    file: RunFile,
    student: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="A student that writes, as often as you like; else the run's own.",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Questions in the form of files of answers, answered or not; else those of the "
            "run's examples.",
        ),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="The questions of a benchmark about the run's pictures, as vcr=data/vcr.",
        ),
    ] = None,
    teacher: Annotated[
        bool,
        typer.Option(
            "--teacher",
            help="Have the run's teacher answer, too, from what its describers say; may cost.",
        ),
    ] = False,
    images: Images = None,
    split: Annotated[
        str | None,
        typer.Option(help="Ask only of this split: of examples, or of a benchmark (else val)."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Ask at most N questions.")] = 300,
    to: Annotated[
        Path | None, typer.Option("--to", help="Where files go; else <run>/answers.")
    ] = None,
    panel: Annotated[int, typer.Option(min=0, help="How many questions the page shows.")] = 12,
    beams: Beams = 1,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    tokens: Tokens = None,
    seed: Seed = 0,
    changes: Changes = None,
    out: Out = None,
) -> None:
    """Have students answer questions about a run's pictures, to be compared with the teacher.

    Writes a file of answers for each system, which the studio's page Compare takes (Table 5), and
    panel.html, which shows them side by side (Figure 5). What was answered before is kept.

    Example: lskd answers runs/photos.toml --student mine=out/generative/generative/student

    Example: lskd answers runs/movies.toml --student mine=out/generative/generative/student
    --benchmark vcr=data/vcr --teacher
    """
    from lskd.distil.ask import Manner

    with plain_errors():
        try:
            from lskd.distil.generative import answers as answering
        except ModuleNotFoundError as error:
            library = (error.name or "").partition(".")[0]
            if library == "lskd":
                raise
            raise MissingExtra("asking students", library, "train") from error
        on_disk(to, "--to")
        run = load(file, changes or [], out)
        own = run.folders["generative"] / "student"
        pupils = answering.pupils([str(one) for one in student or [own]])
        if questions is not None and benchmark is not None:
            raise UserError("--questions and --benchmark: give one of them, not both")
        foreign = questions is not None or benchmark is not None
        if teacher and not foreign:
            raise UserError(
                "--teacher is for --questions and --benchmark: examples have its answers"
            )
        wanted = answering.Wanted(split, limit, seed, questions)
        asked = _asked(run, wanted, benchmark, images)
        if teacher:
            asked = _taught(run, asked)
        if not foreign and any(one.folder.absolute() == own.absolute() for one in pupils):
            _told("the run's own student was trained on these: better take a run of other pictures")
        manner = Manner(beams, temperature, top_p, tokens, seed)
        folder = to or run.own / "answers"
        notices = run.facts().notices
        made = answering.write(pupils, asked, manner, folder, _told, panel, notices)
        for path in made:
            sys.stdout.write(f"{path}\n")


def _asked(run: Run, wanted: "Wanted", benchmark: str | None, images: Path | None) -> "list[Posed]":
    """Return the questions that are asked: of a benchmark, a file or the run's examples."""
    from lskd.distil.generative import answers as answering

    if benchmark is None:
        return answering.asked(run.tables, wanted)
    from lskd.posing import questions

    every = questions.posed(benchmark, wanted.split or "val", images, run.tables, _told)
    return answering.drawn(every, wanted.limit, wanted.seed)


def _taught(run: Run, asked: "list[Posed]") -> "list[Posed]":
    """Return questions with the answers of the run's teacher."""
    from lskd.posing import teacher

    return teacher.taught(run, asked, _told)


def _told(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _sure(confidence: float | None) -> str:
    return "  -  " if confidence is None else f"{confidence:.3f}"


def _tags(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"[{number}]" for number in numbers)
