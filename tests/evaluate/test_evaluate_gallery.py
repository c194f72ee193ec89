"""The page of an evaluation: which questions it shows, and that it needs nothing but itself."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from evaluate_world import CONSTANT, context, lot, put_visualcomet, settings, world

from lskd.evaluate import gallery
from lskd.evaluate.figures import right_of
from lskd.evaluate.page import parted, render
from lskd.evaluate.predictions import Scores
from lskd.evaluate.trial import Trial, key, read
from lskd.evaluate.work import Evaluation, evaluate


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    root = tmp_path_factory.mktemp("gallery")
    models = {"one": lot(1, title="One & <two>"), "two": lot(2), "same": CONSTANT}
    return evaluate(settings(world(root), models), context(root / "out"))


def trial_of(found: Evaluation, name: str) -> tuple[Trial, dict[str, Scores]]:
    number = [trial.name for trial in found.trials].index(name)
    answers = {model: said[number] for model, said in found.answers.items()}
    return found.trials[number], answers


def test_exhibits_are_drawn_by_lot_and_take_turns_by_verdict(found: Evaluation) -> None:
    trial, answers = trial_of(found, "aokvqa")
    shown = gallery.draw(trial, answers, 6, 0)
    assert shown == gallery.draw(trial, answers, 6, 0)
    assert len(shown) == 6 and len({key(one.item) for one in shown}) == 6
    assert [one.verdict for one in shown[:2]] == ["differ", "wrong"]
    assert [key(o.item) for o in shown] != [key(o.item) for o in gallery.draw(trial, answers, 6, 1)]


def test_each_model_has_chosen_one_choice_and_the_right_ones_are_shown(found: Evaluation) -> None:
    for name in ("vcr", "sherlock", "visualcomet", "aokvqa", "snli_ve", "visual7w"):
        trial, answers = trial_of(found, name)
        for one in gallery.draw(trial, answers, 5, 0):
            assert sum(len(choice.chosen_by) for choice in one.choices) == len(answers)
            right = [choice.text for choice in one.choices if choice.right]
            assert right == [one.item.choices[place] for place in right_of(one.item)]
            assert len(one.choices) + one.hidden == len(one.item.choices)


def test_many_candidates_are_cut_to_those_that_matter(tmp_path: Path) -> None:
    put_visualcomet(tmp_path / "vc", 30)
    chosen = settings({"visualcomet": {"folder": str(tmp_path / "vc")}}, {"a": lot()})
    (trial,) = read(chosen.benchmarks, "error", ())
    item = trial.items[0]
    assert len(item.choices) == 50
    scores = {key(item): tuple(float(place == 40) for place in range(50))}
    one = gallery.exhibit(item, {"a": scores})
    assert len(one.choices) == gallery.MOST and one.hidden == 44
    assert one.choices[-1].chosen_by == ("a",) and not one.choices[-1].right


def test_a_verdict_says_whether_models_are_right(found: Evaluation) -> None:
    trial, _ = trial_of(found, "aokvqa")
    item = trial.items[0]
    right = [float(place in item.right) for place in range(4)]
    wrong = [1 - score for score in right]
    assert gallery.verdict_of(item, [right, right]) == "right"
    assert gallery.verdict_of(item, [right, wrong]) == "differ"
    assert gallery.verdict_of(item, [wrong, wrong]) == "wrong"


class Addresses(HTMLParser):
    """Gathers what a page would load, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_sound_file_that_loads_nothing(found: Evaluation) -> None:
    text = render(found, 3, 0)
    page = Addresses()
    page.feed(text)
    assert page.open == []
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.found)
    assert "One &amp; &lt;two&gt;" in text and "<two>" not in text
    assert text.count('<article class="card') == 3 * 6
    assert "@media (prefers-color-scheme: dark)" in text and "url(" not in text
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'", text)


def test_a_gallery_of_none_is_a_page_of_figures(found: Evaluation) -> None:
    text = render(found, 0, 0)
    assert "<article" not in text and "none was to be shown" in text


def test_parts_stand_side_by_side_for_each_model(found: Evaluation) -> None:
    for part in parted(found):
        for _, items, outcomes in part.lines:
            assert len(outcomes) == 3
            assert {one.items for one in outcomes if one is not None} == {items}
