"""The six benchmarks of the paper, by name, and whether a folder holds all that one needs."""

from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate import aokvqa, sherlock, snli_ve, vcr, visual7w, visualcomet
from lskd.evaluate.benchmark import Benchmark, File, Found, Options
from lskd.types import Reject

# In the order of the columns of Table 3.
BENCHMARKS: tuple[Benchmark, ...] = (
    vcr.BENCHMARK,
    sherlock.BENCHMARK,
    visualcomet.BENCHMARK,
    aokvqa.BENCHMARK,
    snli_ve.BENCHMARK,
    visual7w.BENCHMARK,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A file that a benchmark needs, and where it is: the first that fits; None if none does."""

    file: File
    pattern: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Check:
    """What a folder holds of a benchmark's split.

    `problem` is why it cannot be read at all, or None. `images` are distinct pictures, `tasks` the
    number of items of each task ("" where a benchmark has one).
    """

    benchmark: Benchmark
    folder: Path
    split: str
    places: tuple[Place, ...]
    items: int
    tasks: tuple[tuple[str, int], ...]
    images: int
    faults: tuple[Reject, ...]
    notes: tuple[str, ...]
    problem: str | None

    @property
    def ready(self) -> bool:
        """Return whether all rows can be asked."""
        return self.problem is None and self.items > 0 and not self.faults


def named(name: str) -> Benchmark:
    """Return a benchmark by its name; raises UserError, which lists the known, if it is none."""
    for benchmark in BENCHMARKS:
        if benchmark.name == name:
            return benchmark
    known = ", ".join(benchmark.name for benchmark in BENCHMARKS)
    raise UserError(f"no benchmark {name!r}; benchmarks: {known}")


def check(name: str, folder: Path, options: Options | None = None) -> Check:
    """Return which files of a benchmark are in a folder, and what comes of reading a split.

    All of the split is read, and every image of it decoded. Raises UserError only for an unknown
    name; what is wrong with the folder is in the answer.
    """
    benchmark, options = named(name), options or Options()
    found, problem = Found((), ()), None
    try:
        found = benchmark.read(folder, options)
    except UserError as error:
        problem = str(error)
    tasks: dict[str, int] = {}
    for item in found.items:
        tasks[item.task] = tasks.get(item.task, 0) + 1
    return Check(
        benchmark,
        folder,
        options.split,
        places(benchmark, folder, options),
        len(found.items),
        tuple(tasks.items()),
        len({item.image_id for item in found.items}),
        found.faults,
        found.notes,
        problem,
    )


def places(benchmark: Benchmark, folder: Path, options: Options) -> tuple[Place, ...]:
    """Return where the files of a benchmark's split are, below `folder` or the images' folder."""
    split = options.split
    if split not in benchmark.splits and split == "val":
        split = "dev"  # as SNLI-VE calls it
    made = []
    for file in benchmark.files:
        pattern = file.pattern.replace("{split}", split)
        # The images' folder may be the inner one: vcr1images itself, or what it lies in.
        inner = pattern.partition("/")[2] or pattern
        roots = [(folder, pattern), (options.images, pattern), (options.images, inner)]
        path = next((p for root, glob in roots if root for p in root.glob(glob)), None)
        made.append(Place(file, pattern, path))
    return tuple(made)
