"""A tower that learns to say loudly which frames cover a patch."""

from pathlib import Path

import pytest
import torch
from lab_house import BASE

from lskd.blip2 import weights
from lskd.blip2.files import read_size
from lskd.blip2.stage1 import new_student
from lskd.blip2.vision import VisionTower
from lskd.lab.pretrain.gallery import Still, still
from lskd.lab.pretrain.tints import Louder, TintTask, heard
from lskd.training.loop import fit
from lskd.training.recipe import Recipe


@pytest.fixture(scope="module")
def stills() -> list[Still]:
    return [still(seed) for seed in range(48)]


def tower() -> VisionTower:
    student = new_student(read_size(BASE), dropout=0.0)
    weights.load(student, BASE)
    return student.backbone.vision


def pixels(stills: list[Still]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(one.frames[0].pixels) for one in stills]).permute(
        0, 3, 1, 2
    )


def test_directions_are_at_right_angles_and_those_of_a_seed() -> None:
    one, other = Louder(tower(), 3), Louder(tower(), 3)
    torch.testing.assert_close(one.directions, other.directions)
    torch.testing.assert_close(one.directions @ one.directions.T, torch.eye(len(one.directions)))


def test_nothing_has_moved_before_training(stills: list[Still]) -> None:
    with torch.no_grad():
        _, moved = Louder(tower(), 0)(pixels(stills[:4]))
    assert moved == 0


def test_tints_become_louder_and_little_else_moves(stills: list[Still], tmp_path: Path) -> None:
    louder = Louder(tower(), 1)
    for parameter in louder.directions, *louder.before.parameters():
        assert not parameter.requires_grad
    recipe = Recipe(steps=80, batch=8, warmup=2, learning_rate=2e-3, clip=1.0, seed=0)
    task = TintTask(louder, stills)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        first = task.losses(louder, range(16), generator)
    before = heard(louder, stills[:8])
    fit(task, len(stills), recipe, tmp_path, lambda text: None, lambda n: None)
    with torch.no_grad():
        last = task.losses(louder, range(16), generator)
        spread = louder.before(torch.zeros(1, 3, 144, 144)).square().mean()
    assert dict(last.parts)["frames"] < 0.6 * dict(first.parts)["frames"]
    assert dict(last.parts)["moved"] < 0.2 * spread
    assert heard(louder.eval(), stills[:8]) > before
