"""OpenCV finds people, faces and salient areas; words come from pixels. No weights are needed.

Meant as the default that runs anywhere: it prefers saying nothing to being wrong. It sees few of
the people that are there, so it never says how many there are, only how many at least.
"""

import threading
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lskd.errors import MissingExtra, UserError
from lskd.picture import Picture
from lskd.protocols import Proposal
from lskd.types import Box, Concept, Concepts, Region
from lskd.verbalize import colour, wording
from lskd.verbalize.observation import Found, observe
from lskd.verbalize.questions import Scene
from lskd.verbalize.questions import answer as answered

SIDE = 640  # pixels of the longer side at which is looked for people and faces
SALIENCY_SIDE = 160
# On 46 photographs with people known in most, all above these marks were people and faces.
BODY_MARGIN = 2.0
FRONTAL_VOTES = 6
PROFILE_VOTES = 8
SMALLEST_FACE = 30  # pixels
FACE_STEP = 1.2  # from one size of faces that is looked for to the next
BODY_INSET = (0.22, 0.10)  # the detector's window has this much air at its sides, above and below
AREAS = 4
SALIENT = 0.5  # share of the highest saliency in the image
BLUR = 4.0  # standard deviation in pixels of the map
LEAST_AREA = 0.01  # share of the image
MUCH = 0.25  # share of an image's pixels from which a colour is worth a word


def opencv() -> ModuleType:
    """Import OpenCV and return it.

    Raises MissingExtra if it is not installed, UserError if it lacks what is needed: OpenCV 5 has
    neither the cascades nor HOG, and only the contrib builds have saliency.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("ClassicalVision", "OpenCV", "vision") from error
    needed = ("HOGDescriptor", "CascadeClassifier", "saliency", "data")
    missing = [name for name in needed if not hasattr(cv2, name)]
    if missing:
        version = getattr(cv2, "__version__", "of unknown version")
        raise UserError(
            f"ClassicalVision needs {', '.join(missing)}, which OpenCV {version} lacks: "
            "pip install 'opencv-contrib-python-headless>=4.8,<5'"
        )
    return cv2


class ClassicalVision:
    """Meets all protocols of `verbalize` by classical vision; for images without annotations."""

    def __init__(self) -> None:
        self.finder = Finder(opencv())

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        """Return "person" as an object where one is found, and the kind of picture as concepts."""
        return [labels(picture, self.finder.proposals(picture.pixels)) for picture in pictures]

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return one description, of one or two sentences, at whatever temperature."""
        return [
            (told(picture.pixels, self.finder.proposals(picture.pixels)),)[:samples]
            for picture in pictures
        ]

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        """Return people, faces and at most AREAS salient areas, labelled so.

        Scores are the detectors' own measures brought to [0, 1]: an order, no probabilities. That
        of an area is below that of any face or person.
        """
        return [self.finder.proposals(picture.pixels) for picture in pictures]

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each region, from its label, its colour, its size and its place."""
        return [
            wording.phrases(observe(picture.pixels, as_found(chosen, picture.pixels)))
            for picture, chosen in zip(pictures, regions, strict=True)
        ]

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        """Return answers to the forms of `lskd.verbalize.questions`, and "" to any other."""
        scenes: dict[str, Scene] = {}
        for picture in pictures:
            if picture.image.id not in scenes:
                scenes[picture.image.id] = self.scene(picture.pixels)
        return [
            answered(question, scenes[picture.image.id])
            for picture, question in zip(pictures, questions, strict=True)
        ]

    def scene(self, pixels: PIL.Image.Image) -> Scene:
        """Return what is found in an image, observed and put into words."""
        found = as_found(self.finder.proposals(pixels), pixels)
        places = observe(pixels, found)
        return Scene(pixels, places, wording.phrases(places), complete=False)


class Finder:
    """The detectors that OpenCV brings along."""

    def __init__(self, cv2: ModuleType) -> None:
        self.cv2 = cv2
        self.body = cv2.HOGDescriptor()
        self.body.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
        self.frontal = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"
        )
        self.profile = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_profileface.xml")
        # A cascade keeps the picture that it looks at: shards in flight take turns.
        self.looking = threading.Lock()
        self.saliency = cv2.saliency.StaticSaliencySpectralResidual_create()

    def proposals(self, pixels: PIL.Image.Image) -> list[Proposal]:
        """Return the people, faces and salient areas of an image, in pixels of it."""
        small = colour.thumbnail(pixels, Box(0, 0, *pixels.size), SIDE)
        grey = np.asarray(small.convert("L"))
        found = [*self.people(grey), *self.faces(grey), *self.areas(small)]
        x, y = pixels.width / small.width, pixels.height / small.height
        return [
            Proposal(Box(b.x0 * x, b.y0 * y, b.x1 * x, b.y1 * y), label, score)
            for b, label, score in ((one.box, one.label, one.score) for one in found)
        ]

    def people(self, grey: NDArray[np.uint8]) -> list[Proposal]:
        """Return upright people; their score is m / (1 + m) for a margin of m."""
        height, width = grey.shape
        if width < 64 or height < 128:  # the detector's window
            return []
        windows, margins = self.body.detectMultiScale(
            grey, winStride=(8, 8), padding=(8, 8), scale=1.05
        )
        found = []
        for (x, y, w, h), margin in zip(windows, np.ravel(margins).tolist(), strict=True):
            if margin >= BODY_MARGIN:
                dx, dy = BODY_INSET[0] * w, BODY_INSET[1] * h
                box = Box(x + dx, y + dy, x + w - dx, y + h - dy).within(width, height)
                found.append(Proposal(box, "person", margin / (1 + margin)))
        return found

    def faces(self, grey: NDArray[np.uint8]) -> list[Proposal]:
        """Return faces, each once; n agreeing windows make a score of n / (n + FRONTAL_VOTES)."""
        width = grey.shape[1]
        mirrored = np.ascontiguousarray(grey[:, ::-1])  # the cascade knows left profiles only
        found: list[Proposal] = []
        for cascade, image, least in (
            (self.frontal, grey, FRONTAL_VOTES),
            (self.profile, grey, PROFILE_VOTES),
            (self.profile, mirrored, PROFILE_VOTES),
        ):
            with self.looking:
                boxes, votes = cascade.detectMultiScale2(
                    image, FACE_STEP, 2, minSize=(SMALLEST_FACE, SMALLEST_FACE)
                )
            for (x, y, w, h), n in zip(boxes, np.ravel(votes).tolist(), strict=True):
                left = width - x - w if image is mirrored else x
                box = Box(float(left), float(y), float(left + w), float(y + h))
                if n >= least and not any(meets(box, other.box) for other in found):
                    found.append(Proposal(box, "face", n / (n + FRONTAL_VOTES)))
        return found

    def areas(self, small: PIL.Image.Image) -> list[Proposal]:
        """Return the most salient areas of an image, the most salient first.

        The score is half the mean saliency, which is between the threshold and 1.
        """
        view = colour.thumbnail(small, Box(0, 0, *small.size), SALIENCY_SIDE)
        height, width = view.height, view.width
        if min(height, width) < 16 or not np.ptp(np.asarray(view), axis=(0, 1)).any():
            return []  # nothing stands out where all is alike
        done, found = self.saliency.computeSaliency(np.asarray(view)[..., ::-1].copy())
        if not done:
            return []
        map_ = self.cv2.GaussianBlur(np.asarray(found, dtype=np.float32), (0, 0), BLUR)
        map_ = (map_ - map_.min()) / max(1e-6, float(np.ptp(map_)))
        count, names, boxes, _ = self.cv2.connectedComponentsWithStats(
            (map_ > SALIENT).astype(np.uint8)
        )
        scale = small.width / width, small.height / height
        result = []
        for k in range(1, count):
            x, y, w, h = (float(value) for value in boxes[k][:4])
            if w * h >= LEAST_AREA * width * height:
                box = Box(x * scale[0], y * scale[1], (x + w) * scale[0], (y + h) * scale[1])
                score = float(map_[names == k].mean()) / 2
                result.append(Proposal(box, wording.AREA, score))
        return sorted(result, key=lambda one: -one.score)[:AREAS]


def meets(a: Box, b: Box) -> bool:
    """Say whether the centre of either box lies in the other."""
    return centred(a, b) or centred(b, a)


def centred(a: Box, b: Box) -> bool:
    """Say whether the centre of a box lies in another."""
    x, y = (a.x0 + a.x1) / 2, (a.y0 + a.y1) / 2
    return b.x0 <= x <= b.x1 and b.y0 <= y <= b.y1


def as_found(
    places: Sequence[Proposal] | Sequence[Region], pixels: PIL.Image.Image
) -> tuple[Found, ...]:
    """Return boxes with labels, clipped to the image."""
    return tuple(Found(one.box.within(*pixels.size), one.label, one.polygons) for one in places)


def people(found: Sequence[Proposal]) -> list[Proposal]:
    """Return one find for each person: the bodies, and the faces that are on none of them."""
    bodies = [one for one in found if one.label == "person"]
    faces = [one for one in found if one.label == "face"]
    return bodies + [f for f in faces if not any(centred(f.box, b.box) for b in bodies)]


def kind(pixels: PIL.Image.Image) -> tuple[str, ...]:
    """Return the words for an image as a whole: "bright" or "dark", "black and white"."""
    grey = "black and white" if colour.is_grey(pixels) else ""
    return tuple(word for word in (colour.brightness(pixels), grey) if word)


def labels(picture: Picture, found: Sequence[Proposal]) -> Concepts:
    """Return what can be said of the whole image in labels."""
    scores = [one.score for one in people(found)]
    return Concepts(
        image_id=picture.image.id,
        places=(),
        objects=(Concept("person", max(scores)),) if scores else (),
        concepts=tuple(Concept(f"{word} picture", 1.0) for word in kind(picture.pixels)),
    )


def told(pixels: PIL.Image.Image, found: Sequence[Proposal]) -> str:
    """Return one or two sentences that are true of an image."""
    grey = colour.is_grey(pixels)
    light = colour.brightness(pixels)
    much = "" if grey else prevailing(pixels)
    parts = (
        wording.joined("A", light, "picture in", proportions(*pixels.size), "format"),
        "in black and white" if grey else "in colour",
        f"with much {much}" if much else "",
    )
    sentence = ", ".join(part for part in parts if part) + "."
    number = len(people(found))
    if number == 0:
        return sentence
    verb = "appears" if number == 1 else "appear"
    least = "one person" if number == 1 else wording.counted(number, "person")
    return f"{sentence} There {verb} to be at least {least} in it."


def proportions(width: int, height: int) -> str:
    """Return "landscape", "portrait" or "square"."""
    ratio = width / height
    return "landscape" if ratio > 1.05 else "portrait" if ratio < 0.95 else "square"


def prevailing(pixels: PIL.Image.Image) -> str:
    """Return the at most two colours of which there is much, as in "blue and green", or ""."""
    small = np.asarray(colour.thumbnail(pixels, Box(0, 0, *pixels.size))).reshape(-1, 3)
    found = colour.shares(small)
    names = [colour.NAMES[k] for k in np.argsort(-found, kind="stable") if found[k] >= MUCH]
    return wording.listed(names[:2])
