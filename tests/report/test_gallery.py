from pathlib import Path

from lskd.report.gallery import Size, draw
from lskd.report.wording import clip, ink, marked, pieces
from lskd.table import Tables
from lskd.types import Example, Image, Mention, Reject, Triple
from report.house import STAGES, full, put, reply, tables, triple


def crowd(folder: Path, images: int, each: int) -> Tables:
    """Write `images` images with `each` triples, half of which are rejected for five reasons."""
    house = tables(folder)
    for number in range(images):
        image = Image(f"{number:016x}", f"{number}.png", 10, 10)
        said = reply(image, "id", "said", 1, 0.0)
        rows = [triple(said, place, ("What?", "That.", "So.")) for place in range(each)]
        put(house, f"{number // 4:05d}-{number % 4}", [image, said, *rows])
        odd = [Reject(said.id, f"reason {'abcde'[number % 5]}", f"text {n}") for n in range(each)]
        put(house, f"{number // 4:05d}-{number % 4}", odd, "parse")
    return house


def test_a_gallery_shows_different_images_before_it_shows_one_twice(tmp_path: Path) -> None:
    hall = draw(STAGES, crowd(tmp_path, 8, 5), Size(kept=8))
    shown = [one.row.image_id for one in hall.gallery if isinstance(one.row, Triple)]
    assert len(set(shown)) == 8


def test_rejects_of_different_reasons_are_shown_first(tmp_path: Path) -> None:
    hall = draw(STAGES, crowd(tmp_path, 10, 5), Size(rejected=5))
    assert len({one.reason for one in hall.gallery if one.kind == "rejected"}) == 5


def test_the_same_seed_shows_the_same_and_another_seed_others(tmp_path: Path) -> None:
    house = crowd(tmp_path, 9, 9)
    assert draw(STAGES, house, Size(seed=1)) == draw(STAGES, house, Size(seed=1))
    assert draw(STAGES, house, Size(seed=1)) != draw(STAGES, house, Size(seed=2))


def test_no_more_is_shown_than_was_asked_for(tmp_path: Path) -> None:
    hall = draw(STAGES, crowd(tmp_path, 9, 9), Size(kept=3, rejected=2, examples=1))
    assert [one.kind for one in hall.gallery] == ["unfiltered"] * 3 + ["rejected"] * 2
    assert [len(exhibits) for _, exhibits in hall.examples] == [1, 0]
    assert draw(STAGES, crowd(tmp_path, 2, 2), Size(0, 0, 0, 0)).gallery == ()


def test_an_exhibit_knows_its_score_its_reply_and_why_it_was_left_out(tmp_path: Path) -> None:
    hall = draw(STAGES, full(tmp_path), Size())
    kept, other, dropped, *rejected = hall.gallery
    assert [one.kind for one in hall.gallery] == ["kept"] * 2 + ["dropped"] + ["rejected"] * 2
    assert (kept.accept, other.accept, dropped.accept) == (0.9, 0.5, 0.2)
    assert dropped.reason == "scores below the threshold"
    assert kept.reply is not None
    assert kept.reply.messages[1].text == "Write exactly 3 triples"
    assert {one.reason for one in rejected} == {"names unknown region 7", "names unknown region 12"}
    assert all(one.image and one.regions and one.reply for one in rejected)


def test_rejects_of_other_stages_are_told_with_their_source(tmp_path: Path) -> None:
    left_out = dict(draw(STAGES, full(tmp_path), Size()).left_out)
    assert [one.source for one in left_out["images"]] == [f"{tmp_path}/note.txt"]
    assert "parse" not in left_out


def test_an_imported_corpus_is_shown_with_what_its_examples_hold(tmp_path: Path) -> None:
    house = full(tmp_path)
    for table in ("parse/triple", "images/image", "regions/regions", "generate/reply"):
        for file in (tmp_path / "run" / table).iterdir():
            file.unlink()
    first = draw(STAGES, house, Size()).gallery[0]
    assert isinstance(first.row, Example)
    assert first.image is not None
    assert first.image.path == str(tmp_path / "red.png")
    assert [region.id for region in first.regions] == [0, 1]


def test_a_picture_marks_what_the_text_names_or_all_if_that_is_not_there(tmp_path: Path) -> None:
    hall = draw(STAGES, full(tmp_path), Size())
    kept = next(one for one in hall.gallery if one.accept == 0.9)
    assert [region.id for region in marked(kept)] == [0]
    stray = next(one for one in hall.gallery if one.reason == "names unknown region 7")
    assert [region.id for region in marked(stray)] == [0, 1]


def test_tags_and_phrases_become_chips_and_no_text_is_lost() -> None:
    text = "See [0, 1] and [A brown dog], not [sic]."
    found = list(pieces(text, (), [Mention("a brown dog", 3)]))
    assert [[chip.id for chip in piece.chips] for piece in found] == [[], [0, 1], [], [3], []]
    assert [piece.text for piece in found] == ["See ", "", " and ", "A brown dog", ", not [sic]."]


def test_ink_is_readable_on_any_paper() -> None:
    assert (ink(255, 255, 0), ink(0, 0, 128), ink(0, 0, 0)) == ("#000", "#fff", "#fff")


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 4) == "abcd … (3 more characters)"
