"""OpenCV says little of an image, and what it says is true."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lskd.picture import Picture, image_id
from lskd.protocols import Answerer, Captioner, Narrator, Proposal, Proposer, Tagger
from lskd.types import Box, Image, Region

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'lskd[vision]'")

from lskd.verbalize.classical import ClassicalVision

NOBODY = ("chelsea.png", "coffee.png", "rocket.jpg")
PHOTOGRAPHS = ("astronaut.png", "camera.png", *NOBODY)


@pytest.fixture(scope="module")
def vision() -> ClassicalVision:
    return ClassicalVision()


@pytest.fixture(scope="module")
def proposed(vision: ClassicalVision) -> dict[str, list[Proposal]]:
    """Return what is found in the photographs, one by one; it takes half a second each."""
    return {name: vision.propose([photograph(name)])[0] for name in PHOTOGRAPHS}


def from_file(path: Path) -> Picture:
    with PIL.Image.open(path) as opened:
        width, height = opened.size
    return Picture(Image(image_id(path.read_bytes()), str(path), width, height))


def from_pixels(folder: Path, pixels: PIL.Image.Image) -> Picture:
    path = folder / "picture.png"
    pixels.save(path)
    return from_file(path)


def photograph(name: str) -> Picture:
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image is not installed: pip install 'lskd[demo]'")
    return from_file(Path(spec.origin).parent / "data" / name)


def described(vision: ClassicalVision, one: Picture, found: Sequence[Proposal]) -> tuple[str, ...]:
    regions = [Region(k, p.box, p.label, "", p.score) for k, p in enumerate(found)]
    return vision.describe([one], [regions])[0]


def test_it_can_serve_every_stage_of_verbalize(vision: ClassicalVision) -> None:
    for protocol in (Tagger, Narrator, Proposer, Captioner, Answerer):
        assert isinstance(vision, protocol)


def test_the_face_of_a_portrait_is_found_once(
    vision: ClassicalVision, proposed: dict[str, list[Proposal]]
) -> None:
    one = photograph("astronaut.png")
    faces = [p for p in proposed["astronaut.png"] if p.label == "face"]
    assert len(faces) == 1
    x, y = (faces[0].box.x0 + faces[0].box.x1) / 2, (faces[0].box.y0 + faces[0].box.y1) / 2
    assert 190 < x < 265
    assert 80 < y < 150
    assert 0.5 <= faces[0].score <= 1
    assert vision.answer([one], ["Is there a face in the picture?"]) == ["yes"]
    assert [c.label for c in vision.tag([one])[0].objects] == ["person"]
    assert vision.narrate([one], 5, 1.1) == [
        ("A picture in square format, in colour. There appears to be at least one person in it.",)
    ]


@pytest.mark.parametrize("name", NOBODY)
def test_nobody_is_seen_where_nobody_is(
    vision: ClassicalVision, proposed: dict[str, list[Proposal]], name: str
) -> None:
    assert {p.label for p in proposed[name]} == {"area"}
    assert "person" not in vision.narrate([photograph(name)], 5, 1.1)[0][0]


def test_who_is_called_a_person_is_one(vision: ClassicalVision, shared: Path) -> None:
    street = from_file(shared / "data/photos/usgov/17790319373_bd19b24cfc_k.jpg")
    people = [p for p in vision.propose([street])[0] if p.label == "person"]
    assert len(people) == 1  # the man who walks on the left of the road
    middle = (people[0].box.x0 + people[0].box.x1) / 2 / street.image.width
    assert 0.15 < middle < 0.25
    assert vision.answer([street], ["How many people are there?"]) == ["at least 1"]


def test_boxes_lie_in_the_image_and_scores_between_0_and_1(
    vision: ClassicalVision, proposed: dict[str, list[Proposal]], tmp_path: Path
) -> None:
    # Larger than it is looked at.
    noise = np.random.default_rng(0).integers(0, 256, (400, 1300, 3), dtype=np.uint8)
    large = from_pixels(tmp_path, PIL.Image.fromarray(noise))
    for one, found in (
        (photograph("camera.png"), proposed["camera.png"]),
        (large, vision.propose([large])[0]),
    ):
        assert len(found) < 20
        for p in found:
            assert 0 <= p.box.x0 < p.box.x1 <= one.image.width
            assert 0 <= p.box.y0 < p.box.y1 <= one.image.height
            assert 0 <= p.score <= 1


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (40, 40), (64, 128)])
def test_a_plain_or_tiny_image_has_nothing_to_show(
    vision: ClassicalVision, tmp_path: Path, size: tuple[int, int]
) -> None:
    one = from_pixels(tmp_path, PIL.Image.new("RGB", size, (200, 30, 30)))
    assert vision.propose([one]) == [[]]
    assert vision.tag([one])[0].objects == ()
    assert vision.answer([one], ["How many people are there?"]) == [""]
    (told,) = vision.narrate([one], 5, 1.1)[0]
    assert told.endswith("in colour, with much red.")


def test_what_stands_out_is_an_area_with_its_place(vision: ClassicalVision, tmp_path: Path) -> None:
    canvas = PIL.Image.new("RGB", (400, 300), (90, 100, 95))
    canvas.paste((220, 20, 25), (60, 220, 100, 260))
    one = from_pixels(tmp_path, canvas)
    assert described(vision, one, vision.propose([one])[0]) == (
        "an area at the bottom on the left",
    )
    assert vision.answer([one], ["Where is the area?"]) == ["at the bottom on the left"]
    spot = Region(0, Box(60, 220, 100, 260), "area", "", 0.4)
    assert vision.describe([one], [[spot]]) == [("a red area at the bottom on the left",)]


def test_phrases_of_an_image_differ(
    vision: ClassicalVision, proposed: dict[str, list[Proposal]]
) -> None:
    for name in ("coffee.png", "camera.png"):
        said = described(vision, photograph(name), proposed[name])
        assert len(set(said)) == len(said)


def test_black_and_white_is_said_and_no_colour_is(vision: ClassicalVision, tmp_path: Path) -> None:
    one = from_pixels(tmp_path, photograph("camera.png").pixels.resize((128, 128)))
    questions = ["Is it in colour or black and white?", "What is he doing?"]
    assert vision.answer([one, one], questions) == ["black and white", ""]
    assert vision.narrate([one], 1, 1.1)[0][0].startswith(
        "A picture in square format, in black and white."
    )
    assert vision.narrate([one], 0, 1.1) == [()]


def test_nothing_depends_on_the_batch(
    vision: ClassicalVision, proposed: dict[str, list[Proposal]]
) -> None:
    names = ("chelsea.png", "rocket.jpg")
    assert vision.propose([photograph(name) for name in names]) == [proposed[n] for n in names]


def test_several_threads_find_what_one_finds(
    vision: ClassicalVision, proposed: dict[str, list[Proposal]]
) -> None:
    # As shards do that are in flight together, one model serving them all.
    names = ("astronaut.png", "chelsea.png", "camera.png") * 2
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda name: vision.propose([photograph(name)])[0], names))
    assert together == [proposed[name] for name in names]


OTHERS = {
    "raise ImportError": "ClassicalVision needs OpenCV: pip install 'lskd[vision]'",
    "__version__ = '5.0.0'": "which OpenCV 5.0.0 lacks: pip install 'opencv-contrib",
}
PROGRAM = """
import sys
from lskd.errors import UserError
from lskd.verbalize.classical import ClassicalVision
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    sys.modules.pop("cv2", None)
    try:
        ClassicalVision()
    except UserError as error:
        print(error)
"""


def test_an_opencv_that_cannot_do_it_is_said_in_one_line(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(OTHERS))]
    for folder, module in zip(folders, OTHERS, strict=True):
        folder.mkdir()
        (folder / "cv2.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, folders)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.splitlines()
    for line, message in zip(said, OTHERS.values(), strict=True):
        assert message in line
