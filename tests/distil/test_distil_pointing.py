"""A tiny student learns to point: the answer hangs on the region that is named, and on no other."""

from pathlib import Path

import PIL.Image
import toys

from lskd.distil.student import Student
from lskd.types import Example


def asked(student: Student, example: Example) -> bool:
    """Return whether a student ranks the colour of the named square above the other square's."""
    (named,) = example.region_ids
    colours = [region.description.split()[1] for region in example.regions]
    choices = [f"[{named}] is {colour}." for colour in colours]
    with PIL.Image.open(example.path) as pixels:
        scores = student.rank(pixels, example.regions, example.question, choices)
    return choices[scores.index(max(scores))] == example.answer


def test_a_student_learns_which_square_is_meant(tmp_path: Path) -> None:
    """Chance is 0.5: both colours are in the picture, and each square has either number."""
    house = toys.House(tmp_path)
    size = toys.size(image=28, width=32)
    toys.base(tmp_path / "base", toys.student(scale=0.3, of=size))
    house.fill([e for e in toys.examples(tmp_path / "seen", 250, 0, 28, 2) if e.style == "id"])
    house.distil(
        image=28,
        steps=200,
        batch=16,
        warmup=20,
        learning_rate=4e-3,
        dropout=0.0,
        save_every=200,
        marking="release",
        rationales=0.0,
        swaps=1.0,
        train_vision=True,
    )
    student = Student(house.folder / "student")
    held_out = [e for e in toys.examples(tmp_path / "new", 60, 1, 28, 2) if e.style == "id"]
    right = sum(asked(student, example) for example in held_out)
    assert right / len(held_out) > 0.9
