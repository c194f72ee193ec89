"""A critic whose pictures are permuted: a control that reads words and sees something else."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from colour_world import SIDE, fill, opinions, write_base
from table_house import House, image

from lskd.blip2 import files, weights
from lskd.blip2.stage1 import new_critic
from lskd.critique import note
from lskd.critique.evaluation import Quality
from lskd.critique.judgments import Given
from lskd.critique.rows import rows_of
from lskd.critique.trained import TrainedCritic
from lskd.critique.view import Look, Pictures, permuted
from lskd.errors import UserError
from lskd.picture import Picture
from lskd.protocols import Seen
from lskd.types import Concepts, Dialogue, Image, Narratives, Regions, Triple


def test_every_image_gets_another_and_none_is_left_out() -> None:
    images = [image(name) for name in ("c", "a", "b", "a")]
    others = permuted(images)
    assert set(others) == {one.id for one in others.values()} == {"a", "b", "c"}
    assert all(name != other.id for name, other in others.items())


def test_one_image_alone_cannot_be_permuted() -> None:
    with pytest.raises(UserError, match="at least two images"):
        permuted([Image("a", "a.png", 1, 1)])


def test_a_control_learns_beside_no_picture_of_its_own_and_beside_all_of_them(world: House) -> None:
    given = Given(tuple(opinions(fill(world, 4))), ())
    own, blind = (
        rows_of(given, world.tables, [], Look(pictures=pictures), 2).rows
        for pictures in ("own", "permuted")
    )
    of = {one.id: one.image_id for one in world.rows(Triple)}
    assert all(row.view.image.id == of[row.label.triple_id] for row in own)
    assert len(blind) == len(own) == 16
    assert all(row.view.image.id != of[row.label.triple_id] for row in blind)
    assert {row.view.image.id for row in blind} == {one.id for one in world.rows(Image)}
    assert [replace(row, view=own[n].view) for n, row in enumerate(blind)] == list(own)


def test_a_control_scores_as_its_critic_does_that_is_shown_other_pictures(world: House) -> None:
    fill(world, 4)
    images = {one.id: one for one in world.rows(Image)}
    regions = world.rows(Regions)
    triples = [[t for t in world.rows(Triple) if t.image_id == r.image_id] for r in regions]
    own, blind = (
        TrainedCritic(str(written(world.folder / pictures, pictures)), device="cpu", workers=1)
        for pictures in ("own", "permuted")
    )
    shown = [seen(images[row.image_id], row) for row in regions]
    others = permuted(list(images.values()))
    swapped = [seen(others[row.image_id], row) for row in regions]
    found, wanted, other = (
        [[score.accept for score in scores] for scores in critic.score(some, triples)]
        for critic, some in ((blind, shown), (own, swapped), (own, shown))
    )
    for several, expected, wrong in zip(found, wanted, other, strict=True):
        assert several == pytest.approx(expected, abs=1e-6)
        assert several != pytest.approx(wrong, abs=1e-5)


@pytest.fixture
def world(tmp_path: Path) -> House:
    return House(tmp_path)


def seen(image: Image, regions: Regions) -> Seen:
    """Return an image as a critic is given it, with the regions of any."""
    nothing = Concepts(image.id, (), (), ()), Narratives(image.id, ())
    return Seen(Picture(image), *nothing, regions, Dialogue(image.id, ()))


def written(folder: Path, pictures: Pictures) -> Path:
    """Write a critic that has learnt nothing; it is the same for all pictures."""
    base = write_base(folder)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        critic = new_critic(files.read_size(base), dropout=0.0)
        for weight in critic.parameters():
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.15)
    weights.save(critic, base)
    look = Look(image=SIDE, tokens=48, pictures=pictures)
    use = "lskd.critique.trained:TrainedCritic"
    note.write(base, note.About(use, "base", 0, (), 1.0, 0, 0.0, "", "", "", look, Quality()))
    return base
