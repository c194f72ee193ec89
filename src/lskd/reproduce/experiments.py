"""All experiments, in the order of the report: what each runs, and how it is measured."""

from lskd.reproduce import beyond, of_corpus, of_critic, of_student, of_writer
from lskd.reproduce.answers import SHORT
from lskd.reproduce.experiment import Arm, Experiment

TOLD = "the teacher is simulated: what it makes of each descriptor was written by us and not found"
PEOPLE = (
    "the people are simulated and know the truth, so that this repeats what Figure 2 says of the "
    "critic and is no second piece of evidence"
)
JUDGES = "the teacher and the judges are simulated"
FEW = "the lab's scenes and sentences decide what an audit finds"

WHOLE_IMAGE = Arm("LLaVA's form", "short", "distil", examples="llava")

EXPERIMENTS = (
    Experiment(
        name="table1",
        title="Table 1: losses of the critic",
        paper="table1",
        learned=True,
        arms=(
            Arm("neither", "table1-none", "critic"),
            Arm("QA", "table1-qa", "critic"),
            Arm("rationale", "table1-rationale", "critic"),
        ),
        measure=of_critic.losses,
        trains=True,
    ),
    Experiment(
        name="figure2",
        title="Figure 2: precision of the critic by the share that is kept",
        paper="figure2",
        learned=True,
        measure=of_critic.filtering,
    ),
    Experiment(
        name="table2",
        title="Table 2: descriptors that the teacher is told",
        paper="table2",
        learned=False,
        why=TOLD,
        arms=(
            Arm("without concepts", "table2-no-concepts", "score"),
            Arm("without narratives", "table2-no-narratives", "score"),
            Arm("without both global ones", "table2-no-global", "score"),
            Arm("without local ones", "table2-no-local", "score"),
            Arm("without the dialogue", "table2-no-dialogue", "score"),
        ),
        measure=of_corpus.descriptors,
    ),
    Experiment(
        name="figure3",
        title="Figure 3: ratings of people with and without filtering",
        paper="figure3",
        learned=False,
        why=PEOPLE,
        measure=of_corpus.rated,
    ),
    Experiment(
        name="table3",
        title="Table 3: zero-shot results",
        paper="table3",
        learned=True,
        shared=(SHORT,),
        measure=of_student.zero_shot,
    ),
    Experiment(
        name="figure4",
        title="Figure 4: threshold of the critic and accuracy of the student",
        paper="figure4",
        learned=True,
        arms=(
            Arm(of_student.EVERY, "figure4-unfiltered", "distil"),
            Arm(of_student.HALF, "figure4-half", "distil"),
            WHOLE_IMAGE,
        ),
        shared=(SHORT,),
        measure=of_student.thresholds,
        trains=True,
    ),
    Experiment(
        name="table4",
        title="Table 4: corpora of other makers, and of other sizes",
        paper="table4",
        learned=True,
        arms=(
            Arm("Sherlock, people", "short", "distil", examples="sherlock"),
            Arm(of_student.VISUALCOMET, "short", "distil", examples="visualcomet"),
            Arm("LLaVA-Instruct", "short", "distil", examples="llava"),
            Arm("LSKD, 150K", "table4-small", "distil"),
        ),
        shared=(SHORT,),
        measure=of_student.corpora,
        trains=True,
    ),
    Experiment(
        name="table5",
        title="Table 5: students that write against their teacher",
        paper="table5",
        learned=False,
        why=JUDGES,
        arms=(of_writer.WRITES,),
        measure=of_writer.preferred,
        trains=True,
    ),
    Experiment(
        name="figure5",
        title="Figure 5: answers side by side",
        paper="figure5",
        learned=False,
        why=JUDGES,
        arms=(of_writer.WRITES,),
        measure=of_writer.side_by_side,
        trains=True,
    ),
    Experiment(
        name="threshold",
        title="A threshold that was chosen for a wished precision",
        learned=True,
        measure=of_critic.calibrated,
    ),
    Experiment(
        name="negatives",
        title="Negatives: region swaps, the critic's guard, triples of the same image",
        learned=True,
        arms=(
            Arm("without swapped texts", "no-swaps", "distil"),
            Arm("with swapped texts that the critic rejects", "guarded-swaps", "distil"),
            Arm("with triples of the same image as negatives", "kin-release", "distil"),
        ),
        shared=(SHORT,),
        measure=beyond.compared,
        trains=True,
    ),
    Experiment(
        name="audit",
        title="What a leak audit finds",
        learned=False,
        why=FEW,
        measure=of_corpus.audited,
    ),
    Experiment(
        name="scaling",
        title="Accuracy by the size of the corpus",
        learned=True,
        arms=(
            Arm("a seventh", "table4-small", "distil"),
            Arm("two fifths", "scaling-medium", "distil"),
        ),
        shared=(SHORT,),
        measure=beyond.scaling,
        trains=True,
    ),
)

# Questions that the lab cannot ask, and the run files that can.
ELSEWHERE = (
    "Marks against coordinates: a student that writes and is told where regions lie, instead of "
    "seeing them drawn, is runs/open/open-coordinates.toml, against runs/open/open.toml. No "
    "student of the lab reads numbers.",
    "A teacher that sees the marked picture: runs/open/open-marked-teacher.toml, against "
    "runs/open/open-large-teacher.toml, where it reads words alone. The lab's teacher is simulated "
    "and reads words alone.",
)
