"""What is said of annotated images is true of their annotations and pixels."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.picture import Picture, image_id
from lskd.protocols import Answerer, Captioner, Narrator, Proposal, Proposer, Tagger
from lskd.types import Annotation, Box, Concepts, Image, Labelled, Polygon, Region
from lskd.verbalize import colour, wording
from lskd.verbalize.annotated import AnnotatedVision
from lskd.verbalize.wording import Place

EXAMPLES = Path(__file__).parents[2] / "examples"
TAN = (205, 185, 150)  # a background that no colour word fits
RED, BLUE, GREY, BLACK = (200, 25, 30), (30, 60, 170), (100, 100, 100), (8, 8, 8)

Paint = tuple[Box, tuple[int, int, int]]


def picture(
    folder: Path,
    places: Sequence[Labelled],
    paints: Sequence[Paint] = (),
    captions: tuple[str, ...] = (),
    ground: tuple[int, int, int] = TAN,
) -> Picture:
    """Return a 300 x 200 picture with painted boxes, read from a file like any other."""
    canvas = PIL.Image.new("RGB", (300, 200), ground)
    draw = PIL.ImageDraw.Draw(canvas)
    for box, fill in paints:
        draw.rectangle((box.x0, box.y0, box.x1 - 1, box.y1 - 1), fill=fill)
    path = folder / "picture.png"
    canvas.save(path)
    name = image_id(path.read_bytes())
    return Picture(Image(name, str(path), 300, 200), Annotation(name, tuple(places), captions))


def place(label: str, *corners: float, polygons: tuple[Polygon, ...] = ()) -> Labelled:
    return Labelled(Box(*corners), label, polygons)


def regions(places: Sequence[Labelled]) -> list[Region]:
    return [Region(k, p.box, p.text, "", 1.0, p.polygons) for k, p in enumerate(places)]


def phrases(one: Picture) -> tuple[str, ...]:
    assert one.annotation is not None
    return AnnotatedVision().describe([one], [regions(one.annotation.places)])[0]


def ask(one: Picture, *questions: str) -> list[str]:
    return AnnotatedVision().answer([one] * len(questions), questions)


def test_it_can_serve_every_stage_of_verbalize() -> None:
    vision = AnnotatedVision()
    for protocol in (Tagger, Narrator, Proposer, Captioner, Answerer):
        assert isinstance(vision, protocol)


def test_a_phrase_says_size_colour_label_and_place(tmp_path: Path) -> None:
    paints = [(Box(20, 20, 60, 60), RED), (Box(100, 60, 270, 170), BLUE)]
    places = [place("cup", 20, 20, 60, 60), place("sofa", 100, 60, 270, 170)]
    assert phrases(picture(tmp_path, places, paints)) == (
        "a red cup at the top on the left",
        "a large blue sofa in the middle",
    )


def test_a_colour_of_the_background_is_no_colour_of_the_thing(tmp_path: Path) -> None:
    kite = place("bird", 100, 50, 200, 150)
    assert phrases(picture(tmp_path, [kite], ground=BLUE)) == ("a bird in the middle",)


def test_with_an_outline_only_the_pixels_inside_it_count(tmp_path: Path) -> None:
    band = Box(100, 85, 200, 115)
    outline = (100.0, 85.0, 200.0, 85.0, 200.0, 115.0, 100.0, 115.0)
    bare = place("boat", 100, 30, 200, 170)
    outlined = place("boat", 100, 30, 200, 170, polygons=(outline,))
    assert phrases(picture(tmp_path, [bare], [(band, RED)])) == ("a boat in the middle",)
    assert phrases(picture(tmp_path, [outlined], [(band, RED)])) == ("a red boat in the middle",)


def test_what_stands_before_a_thing_does_not_colour_it(tmp_path: Path) -> None:
    wall = place("wardrobe", 60, 40, 240, 160)
    large, small = place("tv", 70, 45, 235, 158), place("tv", 130, 60, 230, 150)
    for tv, colour_word in ((large, ""), (small, "red ")):
        paints = [(wall.box, RED), (tv.box, BLACK)]
        said = phrases(picture(tmp_path, [wall, tv], paints))
        assert said[0] == f"a large {colour_word}wardrobe in the middle"


def test_a_person_is_in_a_colour_and_never_of_it(tmp_path: Path) -> None:
    body, shirt = place("person", 120, 10, 180, 190), Box(120, 40, 180, 100)
    face = place("face", 140, 10, 160, 38)
    one = picture(tmp_path, [body, face], [(shirt, BLUE), (Box(140, 10, 160, 38), BLACK)])
    assert phrases(one) == ("a person in blue in the middle", "a face at the top in the middle")
    brown = picture(tmp_path, [body], [(shirt, (95, 60, 40))])
    assert phrases(brown) == ("a person in the middle",)  # it may be skin


@pytest.mark.parametrize("label", ["policeman", "old woman", "surfer", "people", "Person"])
def test_no_word_for_human_beings_gets_a_colour_before_it(tmp_path: Path, label: str) -> None:
    dark = place(label, 120, 10, 180, 190)
    said = phrases(picture(tmp_path, [dark], [(dark.box, BLACK)]))[0]
    assert said.endswith(f"{label} in black in the middle")


def test_places_that_would_read_the_same_are_counted_from_the_left(tmp_path: Path) -> None:
    cups = [place("cup", x, 80, x + 30, 110) for x in (150, 110, 5, 175)]
    assert phrases(picture(tmp_path, cups)) == (
        "the third cup from the left",
        "the second cup from the left",
        "a cup on the left",
        "the fourth cup from the left",
    )


def test_an_ordinal_counts_places_that_were_not_selected(tmp_path: Path) -> None:
    cups = [place("cup", x, 80, x + 20, 100) for x in (110, 135, 160)]
    one = picture(tmp_path, cups)
    chosen = [regions(cups)[2], regions(cups)[1]]
    said = AnnotatedVision().describe([one], [chosen])[0]
    assert said == ("the third cup from the left", "the second cup from the left")


def test_a_colour_stays_in_an_ordinal_only_if_it_is_right_both_ways(tmp_path: Path) -> None:
    boxes = [Box(x, 80, x + 24, 104) for x in (102, 130, 158)]
    cups = [place("cup", *box) for box in boxes]
    blue_first = picture(tmp_path, cups, list(zip(boxes, (BLUE, RED, RED), strict=True)))
    assert phrases(blue_first) == (
        "a blue cup in the middle",
        "the second cup from the left",
        "the third cup from the left",
    )
    red_first = picture(tmp_path, cups, list(zip(boxes, (RED, RED, BLUE), strict=True)))
    assert phrases(red_first)[:2] == (
        "the first red cup from the left",
        "the second red cup from the left",
    )


def test_regions_that_nobody_annotated_are_described_among_themselves(tmp_path: Path) -> None:
    one = picture(tmp_path, [place("cup", 20, 20, 60, 60)])
    found = regions([place("dog", 210, 80, 290, 120)])
    assert AnnotatedVision().describe([one], [found]) == [("a dog on the right",)]


@pytest.mark.parametrize(
    ("label", "phrase"),
    [
        ("umbrella", "an umbrella in the middle"),
        ("scissors", "the scissors in the middle"),
        ("broccoli", "the broccoli in the middle"),
        ("a man riding a horse", "a man riding a horse in the middle"),
        ("The  dog", "The dog in the middle"),
    ],
)
def test_a_label_gets_the_article_it_needs(tmp_path: Path, label: str, phrase: str) -> None:
    assert phrases(picture(tmp_path, [place(label, 120, 80, 180, 120)])) == (phrase,)


def test_labels_become_plurals() -> None:
    singular = "person dog bus bench knife wine_glass toothbrush scissors sheep baby tie skis mouse"
    plural = "people dogs buses benches knives wine_glasses toothbrushes scissors sheep babies ties"
    labels = [word.replace("_", " ") for word in singular.split()]
    expected = [word.replace("_", " ") for word in f"{plural} skis mice".split()]
    assert [wording.plural(label) for label in labels] == expected


WORDS = st.sampled_from(["cup", "red cup", "a red cup", "person", "Person", "scissors"])
PLACES = st.builds(
    Place,
    box=st.builds(
        lambda x, y, w, h: Box(x, y, x + w, y + h),
        *(st.integers(0, 4) for _ in range(2)),
        *(st.integers(1, 4) for _ in range(2)),
    ),
    label=WORDS | st.text(min_size=1),
    size=st.sampled_from(["", "small"]),
    colour=st.sampled_from(["", "red", "blue"]),
    high=st.sampled_from(["", "at the top"]),
    across=st.sampled_from(["on the left", "in the middle"]),
)


@given(st.lists(PLACES, max_size=12))
def test_phrases_of_one_image_are_one_line_and_never_equal(places: list[Place]) -> None:
    said = wording.phrases(places)
    assert len(set(said)) == len(places)
    assert all(phrase == " ".join(phrase.split()) for phrase in said)


def test_questions_of_known_forms_are_answered(tmp_path: Path) -> None:
    places = [
        place("cup", 20, 20, 60, 60),
        place("person", 100, 20, 140, 180),
        place("person", 230, 20, 270, 180),
    ]
    one = picture(tmp_path, places, [(Box(20, 20, 60, 60), RED)])
    cup, left, right = phrases(one)
    expected = {
        "How many people are there?": "2",
        "how many cups are there in the picture": "1",
        "Is there a cup in the picture?": "yes",
        f"What colour is {cup}?": "red",
        "What color is the cup?": "red",
        f"Where is [{cup}]?": "at the top on the left",
        f"Is {left} to the left of {right}?": "yes",
        f"Is {right} to the left of {cup}?": "no",
        "Is the picture bright or dark?": "bright",
        "Is it in colour or black and white?": "in colour",
    }
    assert ask(one, *expected) == list(expected.values())


@pytest.mark.parametrize(
    "question",
    [
        "How many dogs are there?",  # what nobody annotated may still be there
        "Is there a dog in the picture?",
        "What colour is a person on the right?",
        "What colour is the second cup?",
        "Where is the person?",  # there are two
        "Is a person on the right to the left of a person on the right?",
        "What are they thinking?",
        "",
    ],
)
def test_what_cannot_be_told_is_left_unanswered(tmp_path: Path, question: str) -> None:
    places = [place("cup", 20, 20, 60, 60), place("person", 100, 20, 140, 180)]
    one = picture(tmp_path, [*places, place("person", 230, 20, 270, 180)])
    assert ask(one, question) == [""]


def test_what_overlaps_is_on_neither_side(tmp_path: Path) -> None:
    one = picture(tmp_path, [place("sofa", 10, 20, 200, 180), place("dog", 190, 60, 290, 140)])
    sofa, dog = phrases(one)
    assert ask(one, f"Is {sofa} to the left of {dog}?", f"Where is {dog}?") == ["", "on the right"]


def test_many_are_not_counted_out_since_annotators_stop_too(tmp_path: Path) -> None:
    birds = [place("bird", 20 * k, 50, 20 * k + 15, 70) for k in range(11)]
    one = picture(tmp_path, birds)
    assert ask(one, "How many birds are there?") == ["more than 10"]
    assert AnnotatedVision().narrate([one], 5, 1.1) == [("There are more than ten birds.",)]


@settings(deadline=None)
@given(question=st.text() | st.from_regex(r"(What colour|Where) is [\[\]a-z? ]*\?", fullmatch=True))
def test_no_question_breaks_it(tmp_path_factory: pytest.TempPathFactory, question: str) -> None:
    one = picture(tmp_path_factory.mktemp("q"), [place("cup", 20, 20, 60, 60)])
    assert len(ask(one, question)) == 1


def test_captions_are_the_narratives_and_labels_stand_in_for_them(tmp_path: Path) -> None:
    places = [place("dog", 0, 0, 90, 90), place("frisbee", 100, 0, 130, 30)]
    places += [place("person", x, 0, x + 50, 190) for x in (150, 210)]
    written = picture(tmp_path, places, captions=("A  dog\nplays.", "A dog plays.", "", "Fun!"))
    assert AnnotatedVision().narrate([written], 5, 1.1) == [("A dog plays.", "Fun!")]
    assert AnnotatedVision().narrate([written], 1, 1.1) == [("A dog plays.",)]
    unwritten = picture(tmp_path, places)
    assert AnnotatedVision().narrate([unwritten], 5, 1.1) == [
        ("There are two people, a dog and a frisbee.",)
    ]


def test_labels_are_the_objects_and_their_kinds_the_concepts(tmp_path: Path) -> None:
    places = [place("cup", 0, 0, 20, 20), place("dog", 0, 0, 90, 90), place("cup", 30, 0, 50, 20)]
    tagged = AnnotatedVision().tag([picture(tmp_path, places)])[0]
    assert [one.label for one in tagged.objects] == ["dog", "cup"]
    assert [one.label for one in tagged.concepts] == ["animal", "tableware"]
    assert tagged.places == ()


class Elsewhere:
    """Another model; counts how often it is asked."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        self.calls.append(len(pictures))
        return [Concepts(p.image.id, (), (), ()) for p in pictures]

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        self.calls.append(len(pictures))
        return [("elsewhere",) for _ in pictures]

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        self.calls.append(len(pictures))
        return [[Proposal(Box(0, 0, 5, 5), "elsewhere", 0.5)] for _ in pictures]

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        self.calls.append(len(pictures))
        return [tuple("elsewhere" for _ in some) for some in regions]

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        self.calls.append(len(pictures))
        return ["elsewhere" for _ in questions]


def test_images_without_annotations_go_to_the_other_model_in_one_batch(tmp_path: Path) -> None:
    cup = [place("cup", 20, 20, 60, 60)]
    annotated = picture(tmp_path, cup, captions=("A cup.",))
    plain = Picture(annotated.image)
    pictures = [plain, annotated, plain]
    other = Elsewhere()
    vision = AnnotatedVision(otherwise=other)
    assert vision.narrate(pictures, 5, 1.1) == [("elsewhere",), ("A cup.",), ("elsewhere",)]
    labels = [[one.label for one in found] for found in vision.propose(pictures)]
    assert labels == [["elsewhere"], ["cup"], ["elsewhere"]]
    described = vision.describe(pictures, [regions(cup)] * 3)
    assert described == [("elsewhere",), ("a cup at the top on the left",), ("elsewhere",)]
    questions = ["How many cups are there?"] * 3
    assert vision.answer(pictures, questions) == ["elsewhere", "1", "elsewhere"]
    assert len(vision.tag(pictures)[1].objects) == 1
    assert other.calls == [2] * 5


def test_without_annotations_and_another_model_nothing_is_made_up(tmp_path: Path) -> None:
    plain = Picture(picture(tmp_path, []).image)
    vision = AnnotatedVision()
    assert vision.propose([plain]) == [[]]
    assert vision.narrate([plain], 5, 1.1) == [()]
    assert vision.tag([plain]) == [Concepts(plain.image.id, (), (), ())]
    assert vision.answer([plain], ["How many people are there?"]) == [""]


def test_another_model_that_cannot_do_all_is_refused_by_name() -> None:
    class Half:
        def tag(self) -> None: ...

    with pytest.raises(UserError, match="Half lacks narrate, propose, describe, answer"):
        AnnotatedVision(otherwise=Half())  # type: ignore[arg-type]  # that is the point


def test_boxes_that_reach_out_of_the_image_are_described_by_what_is_in_it(tmp_path: Path) -> None:
    outside = [place("cup", -50, -50, 40, 40), place("dog", 400, 0, 500, 50)]
    one = picture(tmp_path, outside)
    inside = [Region(0, Box(0, 0, 40, 40), "cup", "", 1.0)]
    assert AnnotatedVision().describe([one], [inside]) == [("a cup at the top on the left",)]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 255, 255), "white"),
        (BLACK, "black"),
        (GREY, "grey"),
        (RED, "red"),
        ((255, 0, 0), "red"),
        (BLUE, "blue"),
        ((240, 130, 20), "orange"),
        ((245, 215, 30), "yellow"),
        ((40, 130, 50), "green"),
        ((120, 40, 140), "purple"),
        ((250, 160, 180), "pink"),
        ((100, 62, 35), "brown"),
        (TAN, ""),
        ((20, 140, 140), ""),
    ],
)
def test_a_plain_surface_has_its_name(rgb: tuple[int, int, int], name: str) -> None:
    import numpy as np

    assert colour.dominant(np.full((400, 3), rgb, dtype=np.uint8)) == name


def test_in_a_picture_lit_in_one_hue_that_hue_names_nothing(tmp_path: Path) -> None:
    dusk = picture(tmp_path, [place("car", 20, 20, 60, 60)], [(Box(20, 20, 60, 60), BLUE)])
    assert phrases(dusk) == ("a blue car at the top on the left",)
    lit = picture(
        tmp_path,
        [place("car", 20, 20, 60, 60)],
        [(Box(20, 20, 60, 60), BLUE)],
        ground=(110, 120, 200),
    )
    assert phrases(lit) == ("a car at the top on the left",)


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def coco(folder: Path, instances: dict[str, Any], name: str) -> Picture:
    """Return an image of a COCO file with its annotations, crowds left out."""
    image = next(row for row in instances["images"] if row["file_name"] == name)
    names = {row["id"]: row["name"] for row in instances["categories"]}
    places = []
    for row in instances["annotations"]:
        if row["image_id"] == image["id"] and not row["iscrowd"]:
            x, y, width, height = row["bbox"]
            polygons = tuple(tuple(map(float, polygon)) for polygon in row["segmentation"])
            box = Box(x, y, x + width, y + height)
            places.append(Labelled(box, names[row["category_id"]], polygons))
    path = folder / name
    key = image_id(path.read_bytes())
    width, height = image["width"], image["height"]
    return Picture(Image(key, str(path), width, height), Annotation(key, tuple(places), ()))


def demo(name: str) -> Picture:
    """Return a photograph of the demo, or skip where its package is not installed."""
    package, folder = ("skimage", "data") if name in SKIMAGE else ("sklearn", "datasets/images")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed: pip install 'lskd[demo]'")
    instances = read(EXAMPLES / "demo_instances.json")
    return coco(Path(spec.origin).parent / folder, instances, name)


SKIMAGE = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "camera.png",
    "rocket.jpg",
)


@pytest.mark.parametrize("name", [*SKIMAGE, "china.jpg", "flower.jpg"])
def test_the_boxes_of_the_demo_fit_its_photographs(name: str) -> None:
    one = demo(name)
    assert one.pixels.size == (one.image.width, one.image.height)
    assert one.annotation is not None
    assert 3 <= len(one.annotation.places) <= 8
    for box in (p.box for p in one.annotation.places):
        assert 0 <= box.x0 < box.x1 <= one.image.width
        assert 0 <= box.y0 < box.y1 <= one.image.height


def test_every_photograph_of_the_demo_has_captions() -> None:
    images = {row["id"] for row in read(EXAMPLES / "demo_instances.json")["images"]}
    captions = read(EXAMPLES / "demo_captions.json")["annotations"]
    for image in images:
        written = [row["caption"] for row in captions if row["image_id"] == image]
        assert 2 <= len(set(written)) == len(written) <= 5


def test_the_phrases_of_the_demo_are_true_of_its_photographs() -> None:
    assert phrases(demo("astronaut.png"))[:2] == (
        "a person in orange in the middle",
        "a black helmet at the bottom on the right",
    )
    assert phrases(demo("flower.jpg"))[0] == "a large orange flower in the middle"
    assert "the fourth tower from the left" in phrases(demo("rocket.jpg"))
    assert not any(name in " ".join(phrases(demo("camera.png"))) for name in colour.NAMES)


def test_phrases_of_real_photographs_find_their_places_again(shared: Path) -> None:
    folder = shared / "data/photos"
    instances = read(folder / "instances.json")
    for name in [row["file_name"] for row in instances["images"]][:8]:
        one = coco(folder / "images", instances, name)
        assert one.annotation is not None
        said = phrases(one)
        assert len(set(said)) == len(one.annotation.places)
        found = ask(one, *(f"Where is {phrase}?" for phrase in said))
        for phrase, answer in zip(said, found, strict=True):
            assert answer
            assert "from the left" in phrase or phrase.endswith(answer)


def test_a_shirt_and_a_sign_of_known_colour_are_named(shared: Path) -> None:
    folder = shared / "data/photos"
    instances = read(folder / "instances.json")
    worn = phrases(coco(folder / "images", instances, "000000357888.jpg"))
    assert "a person in orange on the right" in worn
    assert "a yellow kite in the middle" in worn
    signs = phrases(coco(folder / "images", instances, "000000460229.jpg"))
    assert "a red stop sign at the top in the middle" in signs
