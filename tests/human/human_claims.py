"""Claims of every kind, for those who send them elsewhere."""

from hypothesis import strategies as st

from lskd.human.work import Claim
from lskd.types import Box, Region, Triple

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
TRIPLE = Triple("t1", "r1", "img1", "id", "What is [1] for?", 'To "sit", or', "It is\nlow", (1,))
REGIONS = (
    Region(0, Box(10.5, 20, 110.5, 220), "dog", "a wet dog", 0.5, ((10.5, 20.0, 110.5, 220.0),)),
    Region(1, Box(300, 0, 640, 480), "bench", "", 0.25),
)
CLAIM = Claim(TRIPLE, "/photos/a b.jpg", 640, 480, REGIONS)


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> Box:
    """Draw a box with area within a picture of a size."""
    x0, y0 = draw(st.floats(0, width * 0.9)), draw(st.floats(0, height * 0.9))
    x1 = draw(st.floats(x0 + width * 0.05, width))
    return Box(x0, y0, x1, draw(st.floats(y0 + height * 0.05, height)))


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    """Draw a claim with any words, sizes and regions."""
    width, height = draw(st.integers(1, 8000)), draw(st.integers(1, 8000))
    numbers = draw(st.lists(st.integers(0, 30), max_size=4, unique=True))
    regions = tuple(
        Region(number, draw(boxes(width, height)), draw(TEXT), draw(TEXT), 0.5)
        for number in sorted(numbers)
    )
    triple = Triple(draw(st.uuids()).hex, "r", "img", "id", draw(TEXT), draw(TEXT), draw(TEXT), ())
    return Claim(triple, "/photos/a.jpg", width, height, regions)
