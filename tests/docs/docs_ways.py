"""How each command of README.md and of the pages is run by the tests.

Most run as they are. Those that need weights, a hub, a key, an accelerator or hours run with what
stands here beside them: tiny checkpoints and few steps by further `--set`, the server on this
machine, another port. What only a release can do (`pip install 'lskd[ui]'`) is checked as far as it
goes without one.
"""

import importlib.metadata
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from docs_home import ROOT, SMALL_LAB, SMALL_WORLD, SOURCE, Home
from packaging.requirements import Requirement

import buckets
import launched
from ports import free_port

Step = Callable[[Home], None]
RUN_PHOTOS = f"lskd run runs/photos.toml --set {SOURCE}"
RUN_S3 = "lskd run runs/photos.toml --set images.source=s3://bucket/photos --out s3://bucket/run"
EXPORT = "export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=..."
SPREAD = f"{RUN_PHOTOS} --executor ray --until concepts --out out/spread"
TINY_STAGE1 = (
    "weights=tiny frozen=tiny vocabulary=tiny image=28 tokens=48 batch=4 precision=float32 "
    "workers=1".split()
)
TINY_WRITER = (
    'generative.student={use="lskd.writing.blip2:Blip2Writer",checkpoint="writer",device="cpu"}',
    *(
        f"generative.{one}"
        for one in "steps=2 batch=4 precision=float32 workers=1 tokens=6".split()
    ),
)
OURS = "2,2,40,60"  # a box that lies in every small picture


@dataclass(frozen=True)
class Way:
    """How a command is run: by a function of the reader's folder; a `long` one by `make check`."""

    run: Step
    long: bool = False


def words_of(command: str) -> tuple[str, ...]:
    """Return the words behind `lskd`."""
    first, *rest = shlex.split(command)
    assert first == "lskd", command
    return tuple(rest)


def as_it_is(command: str, *more: str, code: int = 0, after: Step | None = None) -> Way:
    """Run a command with further words, after what it builds on."""

    def run(home: Home) -> None:
        if after is not None:
            after(home)
        home.lskd(*words_of(command), *more, code=code)

    return Way(run)


def slow(command: str, *more: str, code: int = 0) -> Way:
    """Run a command as `as_it_is` does, but with the long rest."""
    return replace(as_it_is(command, *more, code=code), long=True)


def at_s3(command: str) -> Way:
    """Run a command with the S3 server of this machine in the place of Amazon's, after the run."""

    def run(home: Home) -> None:
        with home.s3():
            s3_run(home)
            if command != RUN_S3:
                home.lskd(*words_of(command))

    return Way(run)


def s3_run(home: Home) -> None:
    """Have the run at the place up to its corpus: `tests/storage` has one to its end."""
    home.once("s3", lambda: home.lskd(*words_of(RUN_S3), "--until", "corpus"))


def keyed(command: str) -> Way:
    """Check that the keys that the page exports are those by which the tests' server is asked."""

    def run(home: Home) -> None:
        exported = {word.partition("=")[0] for word in shlex.split(command)[1:]}
        known = buckets.environment("http://127.0.0.1", home.folder)
        assert exported == {name for name in known if "KEY" in name}

    return Way(run)


def serves(command: str, after: Step, *more: str, **variables: str) -> Way:
    """Start a command that serves on a free port, and end it once it has said where."""

    def run(home: Home) -> None:
        after(home)
        line = home.served(*words_of(command), *more, "--port", "0", **variables)
        assert "http://" in line

    return Way(run)


def settings(*changes: str) -> tuple[str, ...]:
    """Return changes as words of a command line."""
    return tuple(word for change in changes for word in ("--set", change))


def extras(name: str) -> Way:
    """Check that extras of the package exist and that all that they want is installed."""

    def run(home: Home) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        wanted = [Requirement(f"lskd[{name}]")]
        while wanted:
            one = wanted.pop()
            if one.name != "lskd":
                assert one.specifier.contains(importlib.metadata.version(one.name), True), one
            for extra in one.extras if one.name == "lskd" else ():
                wanted += map(Requirement, project["optional-dependencies"][extra])

    return Way(run)


DEMO_LAB = "lskd lab run runs/lab/demo.toml --scenes 600 --tests 120 --out out/lab-demo"


def demo_lab(home: Home) -> None:
    """Run the second half of `make demo` at its smallest."""
    home.lskd(*words_of(DEMO_LAB), *SMALL_WORLD, *SMALL_LAB)


def made_by(target: str, last: str) -> Way:
    """Check that `make` would end in a command, which is run by itself; the lab's is long."""

    def run(home: Home) -> None:
        # Within `make test` it would also tell which folder it enters and leaves.
        asked = ["make", "--no-print-directory", "--dry-run", target]
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[-1].endswith(f"/{last}")
        {"lskd run runs/demo.toml": demo, DEMO_LAB: demo_lab}[last](home)

    return Way(run, long=last == DEMO_LAB)


def demo(home: Home) -> None:
    """Have the demo's corpus."""
    home.run("demo.toml")


def photos(home: Home) -> None:
    """Have the corpus of the photographs."""
    home.run("photos.toml", "--set", SOURCE)


def hosted(home: Home, *words: str) -> None:
    """Run or plan with the server of this machine in the place of the hosted one."""
    url = f'"{home.server.base_url}"'
    home.lskd(*words, *settings(*(f"models.{one}.base_url={url}" for one in ("teacher", "eyes"))))


def served_models(command: str, *more: str) -> Way:
    """Run a command of runs/hosted.toml against the server of this machine."""

    def run(home: Home) -> None:
        photos(home)  # it reads its parent's tables, whose photographs are those of this folder
        hosted(home, *words_of(command), *more)

    return Way(run)


def sampled(home: Home) -> None:
    """Have the run with people in it wait for their judgments."""
    words = words_of(f"lskd run runs/critic.toml --set {SOURCE}")
    home.once("sampled", lambda: home.lskd(*words, *CRITIC, code=5))


def people(home: Home) -> None:
    """Have the run wait for judgments, give them, and let the same command go on."""
    sampled(home)
    words = words_of(f"lskd run runs/critic.toml --set {SOURCE}")
    home.judge("runs/critic.toml")
    home.once("judged", lambda: home.lskd(*words, *CRITIC))


def foreign(home: Home) -> None:
    """Have a run of pictures that no student was trained on, and a student."""
    home.run("others.toml")
    home.writer()


def lab_demo(home: Home) -> None:
    """Have the lab's run where `make demo` leaves one."""
    home.world()
    place = home.folder / "out" / "lab-demo"
    home.once("lab-demo", lambda: place.symlink_to(home.folder / "out" / "lab"))


def study(home: Home) -> None:
    """Have the lab's run for simulated people."""
    words = ("lab", "run", "runs/lab/study.toml", *SMALL_WORLD, *SMALL_LAB)
    home.once("study", lambda: home.lskd(*words))


def with_people(home: Home) -> None:
    """Let simulated people work in a studio of the study, which is open meanwhile."""
    study(home)
    command = [sys.executable, "-m", "lskd", "studio", "out/study", "--port", "0"]
    with subprocess.Popen(command, cwd=home.folder, stdout=subprocess.PIPE, text=True) as studio:
        assert studio.stdout is not None
        line = studio.stdout.readline()
        assert line.startswith("studio: "), "the studio did not start"
        url = line.split()[1]
        few = ("--each", "6", "--duels", "4", "--url", url)
        try:
            home.lskd("lab", "people", "out/study", *few)
        finally:
            studio.terminate()


def activated(home: Home) -> None:
    """Check that `make` would put the virtual environment where it is looked for."""
    told = (ROOT / "Makefile").read_text()
    assert re.search(r"^VENV \?= \.venv$", told, re.MULTILINE)
    assert (Path(sys.prefix) / "bin" / "activate").is_file() or sys.prefix == sys.base_prefix


def tried(home: Home) -> None:
    """Bring in judgments from a sheet whose columns have other names."""
    sampled(home)
    home.judge("runs/critic.toml")
    text = (home.folder / "judgments.csv").read_text()
    head, _, rows = text.partition("\n")
    named = head.replace("annotator", "WorkerId").replace("qa", "Answer.qa")
    (home.folder / "results.csv").write_text(f"{named.strip()}\n{rows}")
    command = "lskd judgments out/critic results.csv --column annotator=WorkerId"
    home.lskd(*words_of(f"{command} --column qa=Answer.qa"))


def judged(command: str) -> Way:
    """Bring in judgments."""

    def run(home: Home) -> None:
        sampled(home)
        home.judge("runs/critic.toml")
        home.lskd(*words_of(command), *CRITIC)

    return Way(run)


def spread(launcher: tuple[str, ...]) -> Way:
    """Train a student that writes by two processes."""

    def run(home: Home) -> None:
        out = f"out/spread{len(launcher)}"
        home.launched(*GENERATIVE, *settings(*TINY_WRITER), "--out", out, launcher=launcher)

    return Way(run, long=True)


def benchmark(home: Home) -> None:
    """Have the lab's benchmarks, and a student."""
    home.world()
    home.student()


def student_run(home: Home) -> None:
    """Have a run train a student that ranks."""
    home.once("trained", lambda: home.lskd("run", "runs/student.toml", "--set", SOURCE, *STUDENT))


def ready(home: Home) -> None:
    """Have the photographs' corpus, and a student."""
    photos(home)
    home.student()


def asked_of_movies(home: Home) -> None:
    """Have the teacher and a student answer a benchmark's questions; the rules' teacher cannot."""
    benchmark(home)
    home.writer()
    url = home.server.base_url
    teacher = f'models.teacher={{use="lskd.chat.teacher:ChatTeacher",model="m",base_url="{url}"}}'
    words = ("run", "runs/movies.toml", "--until", "dialogue", "--limit", "2")
    home.lskd(*words, *MOVED, "--set", teacher)
    home.lskd(*words_of(MOVIES), *MOVED, "--set", teacher, "--limit", "3")


def audited(home: Home) -> None:
    """Hold the photographs' corpus against a benchmark."""
    ready(home)
    benchmark(home)
    home.once("audit", lambda: home.lskd(*words_of(AUDIT)))


def reproduced(command: str, *more: str) -> Way:
    """Reproduce the paper in the lab at its smallest."""

    def run(home: Home) -> None:
        home.world()
        home.lskd(*words_of(command), *SMALL_WORLD, *SMALL_LAB, *more)

    return Way(run, long=True)


def serving_teacher(home: Home) -> None:
    """Start the lab's teacher, and end it once it has said where it is."""
    assert "http://" in home.served("lab", "serve", "--port", "0")


def evaluated(command: str, base: str) -> Way:
    """Evaluate a preset of BLIP-2 on tiny weights, and a student."""
    tiny = settings(*(f"evaluate.models.{base}.{one}" for one in PRESET))
    return as_it_is(command, *tiny, "--limit", "2", "--faults", "skip", after=benchmark)


CRITIC = settings(
    *(f"critic.{one}" for one in (*TINY_STAGE1, "epochs=1", "judgments=judgments.csv"))
)
STUDENT = settings(*(f"distil.{one}" for one in (*TINY_STAGE1, "steps=2", "size=tiny")))
PRESET = ("weights=tiny", "vocabulary=tiny", "size=tiny", "image=28", "tokens=48", "frozen=tiny")
GENERATIVE = ("run", "runs/generative.toml")
MEMORY = "lskd memory runs/generative.toml --ranks 4 --dtype bfloat16 --recompute"
ASK = "lskd ask out/generative/generative/student photo.jpg --box 10,20,200,300"
HOSTED_ASK = "lskd ask runs/hosted.toml photo.jpg --box 10,20,200,300"
LAB_ASK = (
    "lskd ask out/lab-demo/distil/student out/lab-demo/world/test/000000.png "
    '--box 60,33,87,103 --box 106,41,134,119 --choices "a woman in a red coat." '
    '"a man in a yellow coat." "a blue bicycle." "what is [0]?"'
)
STAGE1_ASK = (
    "lskd ask out/student/distil/student photo.jpg --box 10,20,200,300 "
    '--choices "It is a party." "It is raining." "Why is [0] smiling?"'
)
EVALUATE_README = (
    "lskd evaluate blip2-vit-g out/mine/distil/student --benchmark vcr=data/vcr "
    "--benchmark aokvqa=data/aokvqa --set evaluate.models.blip2-vit-g.weights=blip2_pretrained.pth"
)
EVALUATE_PAGE = (
    "lskd evaluate base=blip2-vit-g out/student/distil/student --benchmark vcr=data/vcr "
    "--benchmark aokvqa=data/aokvqa --set evaluate.models.base.weights=blip2_pretrained.pth "
    "--set evaluate.models.base.vocabulary=vocab.txt"
)
ANNOTATED = '--set \'images.annotations=["instances.json", "captions.json"]\''
AUDIT = "lskd audit out/photos vcr data/vcr --out leaks.jsonl"
MOVED = ("--out", "out/movies-hosted")
MOVIES = (
    "lskd answers runs/movies.toml --benchmark vcr=data/vcr --teacher "
    "--student ours=out/generative/generative/student"
)

WAYS: Mapping[str, Way] = {
    # What installs and prepares.
    "make demo": made_by("demo", DEMO_LAB),
    "make demo-light": made_by("demo-light", "lskd run runs/demo.toml"),
    "source .venv/bin/activate": Way(activated),
    "pip install 'lskd[ui]'": extras("ui"),
    "pip install 'lskd[metrics]'": extras("metrics"),
    "pip install 'lskd[ray]'": extras("ray"),
    "pip install 'lskd[train,captions]'": extras("train,captions"),
    # A corpus.
    RUN_PHOTOS: Way(photos),
    f"lskd run runs/photos.toml --out out/annotated --set {SOURCE} {ANNOTATED}": as_it_is(
        f"lskd run runs/photos.toml --out out/annotated --set {SOURCE} {ANNOTATED}"
    ),
    **{
        command: as_it_is(command, after=photos)
        for command in (
            "lskd status runs/photos.toml",
            "lskd status out/photos --json",
            f"lskd export runs/photos.toml --set {SOURCE} --to llava --out corpus-llava",
        )
    },
    **{
        command: as_it_is(command, after=demo)
        for command in (
            "lskd status out/demo",
            "lskd show out/demo chelsea.png --png chelsea-marked.png",
        )
    },
    "lskd run runs/photos.toml --metrics 9464": as_it_is(
        "lskd run runs/photos.toml --metrics 9464",
        "--metrics",
        str(free_port()),
        "--out",
        "out/watched",
    ),
    **{
        command: served_models(command)
        for command in (
            f"lskd plan runs/hosted.toml --set {SOURCE}",
            f"lskd run runs/hosted.toml --set {SOURCE} --limit 20",
            f"lskd status runs/hosted.toml --set {SOURCE}",
            "lskd plan runs/hosted.toml --images 250000",
            "lskd plan runs/hosted.toml --images 250000 --cluster nodes=4,cpus=16,gpus=8",
        )
    },
    f'{HOSTED_ASK} "Why is [0] smiling?"': served_models(f'{HOSTED_ASK} "Why is [0] smiling?"'),
    "lskd run runs/hosted.toml --limit 500": served_models(
        "lskd run runs/hosted.toml --limit 500", "--out", "out/measured"
    ),
    # A cluster: one that is begun on this machine stands for that at the address.
    "lskd run runs/photos.toml --executor ray": slow(SPREAD),
    "lskd run runs/photos.toml --executor ray --address 10.0.0.1:6379": slow(SPREAD),
    # A run at a place.
    "pip install 'lskd[s3]'": extras("s3"),
    EXPORT: keyed(EXPORT),
    RUN_S3: at_s3(RUN_S3),
    **{
        command: at_s3(command)
        for command in (
            "lskd status s3://bucket/run",
            "lskd export s3://bucket/run --to hf --out s3://bucket/corpus",
        )
    },
    # A critic, and people.
    f"lskd run runs/critic.toml --set {SOURCE}": Way(people),
    f"lskd studio runs/critic.toml --set {SOURCE}": serves(
        f"lskd studio runs/critic.toml --set {SOURCE}", sampled, *CRITIC
    ),
    f"lskd judgments runs/critic.toml --set {SOURCE} judgments.csv": judged(
        f"lskd judgments runs/critic.toml --set {SOURCE} judgments.csv"
    ),
    "lskd judgments out/critic results.csv --column annotator=WorkerId --column qa=Answer.qa": Way(
        tried
    ),
    'lskd studio out/critic --host 0.0.0.0 --token "$TOKEN" --prolific C1A2B3 --each 20': (
        serves(
            "lskd studio out/critic --host 0.0.0.0 --prolific C1A2B3",
            sampled,
            *("--each", "20"),
            "--token",
            "a-secret-of-the-owner",
        )
    ),
    "lskd studio runs/photos.toml --database postgresql+psycopg://me@dbhost/studio": serves(
        f"lskd studio runs/photos.toml --set {SOURCE} --database sqlite:///people.sqlite", photos
    ),
    "LSKD_STUDIO_TOKEN=$(openssl rand -hex 16) lskd studio runs/photos.toml --host 0.0.0.0": serves(
        f"lskd studio runs/photos.toml --set {SOURCE} --host 0.0.0.0",
        photos,
        LSKD_STUDIO_TOKEN="0123456789abcdef0123456789abcdef",
    ),
    "lskd lab run runs/lab/study.toml": Way(study, long=True),
    "lskd studio out/study": Way(with_people, long=True),
    "lskd lab people out/study": Way(with_people, long=True),
    # A student that ranks.
    f"lskd run runs/student.toml --set {SOURCE}": Way(student_run),
    "lskd studio runs/photos.toml": serves(f"lskd studio runs/photos.toml --set {SOURCE}", photos),
    "lskd studio runs/photos.toml --student out/student/distil/student": serves(
        f"lskd studio runs/photos.toml --set {SOURCE} --student out/student/distil/student", ready
    ),
    "lskd studio out/student --student out/student/distil/student": serves(
        "lskd studio out/student --student out/student/distil/student", student_run
    ),
    STAGE1_ASK: as_it_is(STAGE1_ASK, after=Home.student),
    LAB_ASK: as_it_is(LAB_ASK, after=lab_demo),
    # A student that writes.
    MEMORY: as_it_is(MEMORY, *settings(*TINY_WRITER)),
    "lskd memory --checkpoint Salesforce/blip2-flan-t5-xxl --bits 4": as_it_is(
        "lskd memory --checkpoint writer --bits 4"
    ),
    "torchrun --nproc-per-node 4 -m lskd run runs/generative.toml": spread(launched.TORCHRUN),
    "accelerate launch --config_file runs/accelerate/fsdp.yaml --num_processes 4 "
    "-m lskd run runs/generative.toml": spread(launched.ACCELERATE),
    f'{ASK} "Why is [0] smiling?"': as_it_is(f'{ASK} "Why is [0] smiling?"', after=Home.writer),
    f'{ASK} --temperature 0.9 --seed 3 "Why is [0] smiling?"': as_it_is(
        f'{ASK} --temperature 0.9 --seed 3 "Why is [0] smiling?"', after=Home.writer
    ),
    "lskd answers runs/others.toml --student ours=out/generative/generative/student": as_it_is(
        "lskd answers runs/others.toml --student ours=out/generative/generative/student",
        *("--limit", "3"),
        after=foreign,
    ),
    "lskd studio runs/others.toml --student out/generative/generative/student": serves(
        "lskd studio runs/others.toml --student out/generative/generative/student", foreign
    ),
    "lskd run runs/movies.toml --until dialogue": as_it_is(
        "lskd run runs/movies.toml --until dialogue", "--limit", "2", after=Home.world
    ),
    MOVIES: Way(asked_of_movies),
    # Verbalizers: the recipe at this place is a small one of the same form.
    "lskd captioner recipes/captioner.toml --dry-run": as_it_is(
        "lskd captioner recipes/captioner.toml --dry-run"
    ),
    "lskd captioner recipes/captioner.toml": as_it_is("lskd captioner recipes/captioner.toml"),
    # Benchmarks: the lab's own, in the forms of their authors.
    "lskd benchmarks": as_it_is("lskd benchmarks"),
    "lskd benchmarks vcr data/vcr": as_it_is("lskd benchmarks vcr data/vcr", after=benchmark),
    EVALUATE_README: evaluated(EVALUATE_README, "blip2-vit-g"),
    EVALUATE_PAGE: evaluated(EVALUATE_PAGE, "base"),
    AUDIT: Way(audited),
    "lskd evaluate out/student/distil/student --benchmark vcr=data/vcr --leaks leaks.jsonl": (
        as_it_is(
            "lskd evaluate out/student/distil/student --benchmark vcr=data/vcr --leaks leaks.jsonl",
            *("--limit", "2", "--out", "out/evaluate-audited"),
            after=audited,
        )
    ),
    # The lab.
    "lskd lab run runs/lab.toml": Way(Home.world),
    "lskd lab bars runs/lab.toml": slow(
        "lskd lab bars runs/lab.toml", *SMALL_WORLD, *SMALL_LAB, "--seeds", "0", code=1
    ),
    "lskd lab make DIR --scenes 200": as_it_is(
        "lskd lab make DIR --scenes 200", "--scenes", "8", "--tests", "4"
    ),
    "lskd lab serve": Way(serving_teacher),
    # The paper.
    "lskd plan runs/paper/full.toml": as_it_is("lskd plan runs/paper/full.toml"),
    "lskd reproduce runs/lab --quick": reproduced("lskd reproduce runs/lab --quick"),
    "lskd reproduce runs/lab": reproduced("lskd reproduce runs/lab", "--seeds", "0"),
}
