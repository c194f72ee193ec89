"""Compare lskd.evaluate with values of the authors' evaluators: `metrics.py FOLDER`.

Golden files are known by their keys, whatever their names, in FOLDER and in the folders in it:
VCR, Visual7W, VisualCOMET, Sherlock (single cases; and an answer key, predictions and what is
expected of them), A-OKVQA (predictions and what is expected) and the release's texts. Files that
belong together are found by their ids and numbers, then by their names. Rows of A-OKVQA and SNLI-VE
that these files are about are looked for in FILE of `--annotations FILE`, in FOLDER, in aokvqa and
snli_ve beside it, and in the shared data. Prints the largest difference of each check; exits 1 if
one is beyond 1e-9, if a file lacks its companions, or if nothing was recognised.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import metric_checks
from metric_files import ALLOWED, BROKEN, OTHER, Check, Found, read, read_folder

from lskd.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"
BESIDE = ("aokvqa", "snli_ve")
ALONE: dict[str, Callable[[Found], Iterator[Check]]] = {
    "vcr": metric_checks.vcr,
    "visual7w": metric_checks.visual7w,
    "visualcomet": metric_checks.visualcomet,
    "sherlock cases": metric_checks.sherlock_cases,
    "vcr texts": lambda found: metric_checks.vcr_texts(found, found.content),
}


def checks(found: Sequence[Found], beside: Sequence[Found]) -> Iterator[Check]:
    """Yield the checks of all files of one folder; `beside` are rows from elsewhere."""
    every = [*found, *beside]
    rows = [one for one in every if one.form == "aokvqa rows"]
    for one in found:
        if one.form in ALONE:
            yield from guarded(one, ALONE[one.form](one))
        elif one.form == BROKEN:
            yield Check(one.file, f"no JSON: {one.content}", 0, float("nan"))
        elif one.form == "texts":
            snli = [other for other in every if other.form == "snli rows"]
            yield from guarded(one, metric_checks.texts(one, rows, snli))
        elif one.form == "sherlock expected":
            yield from sherlock(one, found)
        elif one.form == "aokvqa expected":
            yield from aokvqa(one, found, rows)
    # A Sherlock key tells of more than its predictions, which are any numbers by names.
    for family, sign in (("sherlock", "key"), ("aokvqa", "predictions")):
        told = [one for one in found if one.form == f"{family} {sign}"]
        if told and not any(one.form == f"{family} expected" for one in found):
            yield missing(told[0], "what is expected")


def sherlock(expected: Found, found: Sequence[Found]) -> Iterator[Check]:
    """Yield the checks of Sherlock's figures, with the key and predictions that suit best."""
    keys = [one for one in found if one.form == "sherlock key"]
    said = [one for one in found if one.form == "sherlock predictions"]

    def strange(pair: tuple[Found, Found]) -> tuple[int, int, int]:
        """Return what is against a pair: other ids, another number, other names."""
        key, scores = pair
        ids = len(key.content["test_id_map"].keys() ^ scores.content.keys())
        number = abs(len(key.content["annotations"]) - expected.content.get("N", 0))
        return ids, number, -(alike(expected, key) + alike(expected, scores))

    pairs = [(key, scores) for key in keys for scores in said]
    if not pairs:
        yield missing(expected, "a Sherlock answer key and predictions")
        return
    yield from guarded(expected, metric_checks.sherlock(expected, *min(pairs, key=strange)))


def aokvqa(expected: Found, found: Sequence[Found], rows: Sequence[Found]) -> Iterator[Check]:
    """Yield the checks of A-OKVQA's figures, with the predictions and rows that suit best."""
    said = [one for one in found if one.form == "aokvqa predictions"]
    wanted = expected.content

    def strange(pair: tuple[Found, Found]) -> tuple[int, int, int]:
        """Return what is against a pair: unknown ids, other numbers, other names."""
        answers, questions = pair
        unknown = answers.content.keys() - {row["question_id"] for row in questions.content}
        numbers = abs(len(questions.content) - wanted.get("n_questions", 0))
        numbers += abs(len(answers.content) - wanted.get("n_predicted", 0))
        return len(unknown), numbers, -alike(expected, answers)

    pairs = [(answers, questions) for answers in said for questions in rows]
    if not pairs:
        yield missing(expected, "A-OKVQA predictions and rows (--annotations FILE)")
        return
    yield from guarded(expected, metric_checks.aokvqa(expected, *min(pairs, key=strange)))


def alike(one: Found, other: Found) -> int:
    """Return how many letters the names of two files share at their start."""
    pairs = zip(one.file.name, other.file.name, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def guarded(found: Found, work: Iterable[Check]) -> Iterator[Check]:
    """Yield checks, and a bad one if our code or the file breaks off."""
    try:
        yield from work
    except (UserError, KeyError, IndexError, TypeError, ValueError) as error:
        yield Check(found.file, f"breaks off: {error!r}", 0, float("nan"))


def missing(found: Found, companions: str) -> Check:
    """Return the bad check of a file without its companions."""
    return Check(found.file, f"lacks {companions}", 0, float("nan"))


def main() -> int:
    """Print each check; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="rows of A-OKVQA")
    given = parser.parse_args()
    if not given.folder.is_dir():
        print(f"nothing to compare: {given.folder} is no folder")
        return 1
    named = [read(given.annotations)] if given.annotations else []
    if any(one.form != "aokvqa rows" for one in named):
        print(f"nothing to compare with: {given.annotations} holds no rows of A-OKVQA")
        return 1
    done: list[Check] = []
    for folder in (given.folder, *sorted(filter(Path.is_dir, given.folder.rglob("*")))):
        near = [(place / name) for place in (folder.parent, SHARED) for name in BESIDE]
        beside = [one for path in near for one in read_folder(path)]
        found = read_folder(folder)
        done += checks([*named, *found], beside)
        for one in found:
            if one.form == OTHER:
                print(f"{one.file.relative_to(given.folder)!s:42} is not of a known form")
    for check in done:
        print(
            f"{check.file.relative_to(given.folder)!s:42} {check.what:42} {check.values:5} values  "
            f"worst {check.worst:.1e}{'  BEYOND' if check.bad else ''}"
        )
    bad = sum(check.bad for check in done)
    print(f"{len(done)} checks, {bad} beyond {ALLOWED:.0e}")
    return 1 if bad or not done else 0


if __name__ == "__main__":
    sys.exit(main())
