"""The picture of a critic's curve says in words only what was measured."""

from xml.etree import ElementTree

from lskd.critique import curve
from lskd.critique.evaluation import Evaluation, Judged, evaluate


def described(evaluation: Evaluation) -> str:
    text = ElementTree.fromstring(curve.svg(evaluation)).findtext(
        "{http://www.w3.org/2000/svg}desc"
    )
    assert text is not None
    return text


def test_the_picture_tells_the_shares_that_were_measured_each_once() -> None:
    # Three scores among eight triples, so that no threshold keeps a tenth, a fifth or the half.
    scores = [2.0] * 3 + [0.5] * 3 + [-1.0] * 2
    judged = [Judged(f"i{n}", score, n % 3 != 2) for n, score in enumerate(scores)]
    found = evaluate(judged, 0.7)
    assert [point.kept for point in found.points] == [3 / 8, 6 / 8, 1.0]
    assert described(found) == "Accepted by people: 0.667 of the best 38%, 0.750 of the best 100%."


def test_the_score_on_the_picture_keeps_no_less_than_the_point_that_it_stands_at() -> None:
    scores = [8.0, 1.8626, 0.0, -1.0, -2.0]  # the second is 0.8656 as a probability
    found = evaluate([Judged(f"i{n}", one, n < 2) for n, one in enumerate(scores)], 0.7)
    texts = ElementTree.fromstring(curve.svg(found)).iter("{http://www.w3.org/2000/svg}text")
    (said,) = [one.text or "" for one in texts if "or more" in (one.text or "")]
    told = float(said.split("a score of ")[1].split()[0])
    kept = curve.nearest(found.points, curve.KEPT)
    lower = [one.value for one in found.points if one.value < kept.value]
    assert max(lower) < told <= kept.value


def test_the_picture_of_nothing_says_so() -> None:
    assert described(evaluate([], 0.7)) == "No triples were held out."
