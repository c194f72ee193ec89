"""The sample that people judge: how large, from which images, and always the same."""

from collections import Counter
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from table_house import House, image, triple

from lskd.critique import sample
from lskd.critique.sample import held_out
from lskd.types import Image, Sample, Triple


def filled(folder: Path, images: int, each: int, shard_size: int = 4, seed: int = 0) -> House:
    house = House(folder, seed)
    names = [f"image{number}" for number in range(images)]
    for start in range(0, images, shard_size):
        some = names[start : start + shard_size]
        shard = f"{start // shard_size:05d}"
        house.put(Image, shard, [image(name) for name in some])
        house.put(Triple, shard, [triple(f"{n}-{k}", n) for n in some for k in range(each)])
    return house


def test_as_many_are_drawn_as_were_asked_for_and_no_image_is_on_both_sides(tmp_path: Path) -> None:
    house = filled(tmp_path, images=20, each=6)
    house.make(sample.STAGE, train=40, evaluate=8)
    drawn = house.rows(Sample)
    assert Counter(one.purpose for one in drawn) == {"train": 40, "evaluate": 8}
    assert len({one.triple_id for one in drawn}) == 48
    train = {one.image_id for one in drawn if one.purpose == "train"}
    evaluate = {one.image_id for one in drawn if one.purpose == "evaluate"}
    assert not train & evaluate
    assert house.said == [] and house.ticks == 20


def test_each_sample_lies_in_the_shard_of_its_image(tmp_path: Path) -> None:
    house = filled(tmp_path, images=10, each=3)
    made = house.make(sample.STAGE, train=5, evaluate=3)
    assert list(made) == house.tables.shards(Triple)
    for shard in made:
        there = {one.id for one in house.tables.read(Triple, shard)}
        assert {one.triple_id for one in house.tables.read(Sample, shard)} <= there


def test_too_few_triples_are_all_taken_in_proportion_and_that_is_said(tmp_path: Path) -> None:
    house = filled(tmp_path, images=12, each=5)
    house.make(sample.STAGE)
    purposes = Counter(one.purpose for one in house.rows(Sample))
    assert purposes == {"train": 50, "evaluate": 10}  # 20,000 to 4,000
    (told,) = house.said
    assert "60 triples of 12 images give 50 and 10" in told


def test_one_image_is_not_divided(tmp_path: Path) -> None:
    house = filled(tmp_path, images=1, each=5)
    house.make(sample.STAGE, train=3, evaluate=1)
    assert [one.purpose for one in house.rows(Sample)] == ["train"] * 3
    assert "one image cannot be on both sides" in house.said[0]


def test_no_triples_give_an_empty_sample(tmp_path: Path) -> None:
    house = filled(tmp_path, images=3, each=0)
    house.make(sample.STAGE)
    assert house.rows(Sample) == [] and "0 triples of 0 images" in house.said[0]


def test_the_sample_hangs_on_the_seed_and_not_on_the_shards(tmp_path: Path) -> None:
    drawn = []
    for name, shard_size, seed in (("a", 4, 0), ("b", 20, 0), ("c", 4, 1)):
        house = filled(tmp_path / name, 20, 6, shard_size, seed)
        house.make(sample.STAGE, train=20, evaluate=10)
        drawn.append({(one.triple_id, one.purpose) for one in house.rows(Sample)})
    assert drawn[0] == drawn[1] != drawn[2]


@given(
    st.dictionaries(st.text("abcdef", max_size=4), st.integers(1, 30), max_size=20),
    st.floats(0.01, 0.99),
    st.integers(0, 3),
)
@example(counts=dict.fromkeys("abcde", 10), share=0.56, seed=0)
def test_the_images_held_out_come_as_near_to_their_share_as_one_image_allows(
    counts: dict[str, int], share: float, seed: int
) -> None:
    counted = Counter(counts)
    apart = held_out(counted, share, seed)
    assert apart == held_out(counted, share, seed)
    assert len(apart) < max(1, len(counts)) and (apart or len(counts) < 2)
    if 1 < len(apart) < len(counts) - 1:
        held = sum(counts[name] for name in apart)
        assert abs(held - share * counted.total()) <= max(counts.values()) / 2
