"""The cache of a frozen tower's features: equal to what it replaces, and never stale."""

import resource
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toys
from torch import Tensor

from forked import begun
from lskd.blip2.features import FeatureCache, Limits, Storage, key
from lskd.blip2.objectives import StudentObjective
from lskd.blip2.pixels import Eye
from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Tokenizer
from lskd.distil import ledger
from lskd.distil.ledger import Ledger
from lskd.distil.lessons import Lessons, Variety
from lskd.distil.task import Pupil, StudentTask
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.types import Example, Image, View

ROOMY = Limits(gigabytes=1.0, views=3)


def some_views(folder: Path, pictures: int = 3) -> list[View]:
    """Return views of pictures: plain, with one region, and with two in either order."""
    made = []
    for example in toys.examples(folder / "pictures", pictures)[::3]:
        image = Image(example.image_id, example.path, example.width, example.height)
        first, second = example.regions[:2]
        turned = replace(second, id=0), replace(first, id=1)
        made += [View(image, drawn) for drawn in ((), (first,), (first, second), turned)]
    return made


class Tower:
    """The features of views, and how often each was seen."""

    def __init__(self, model: Stage1 | None = None) -> None:
        self.model = model or toys.student()
        self.model.backbone.freeze(vision=True)
        self.eye = Eye("clear", toys.SIDE, ThreadPoolExecutor(1))
        self.seen: list[View] = []

    def __call__(self, views: Sequence[View]) -> Tensor:
        self.seen += views
        return self.model.backbone.features(self.eye(views))

    def cache(self, folder: Path, storage: Storage = "float32", note: str = "") -> FeatureCache:
        return FeatureCache(folder, self.model.backbone, note, storage)


def filled(folder: Path, tower: Tower, views: list[View], storage: Storage) -> FeatureCache:
    cache = tower.cache(folder, storage)
    cache.fill(lambda: views, tower, ROOMY, lambda line: None)
    return cache


@pytest.mark.parametrize(
    ("storage", "atol", "rtol"), [("float32", 1e-6, 0.0), ("bf16", 1e-6, 0.004)]
)
def test_cached_features_equal_those_seen_anew(
    tmp_path: Path, storage: Storage, atol: float, rtol: float
) -> None:
    # A number in bfloat16 has 8 bits: it is off by at most 2**-8 of itself.
    views, tower = some_views(tmp_path), Tower()
    cache = filled(tmp_path, tower, views, storage)
    for some in (views[::-1], views[2:3], [views[0], views[0]]):
        fresh = Tower()(some)
        torch.testing.assert_close(cache(some).float(), fresh, atol=atol, rtol=rtol)


def test_each_view_is_seen_once_whatever_happens_to_the_process(tmp_path: Path) -> None:
    views, tower = some_views(tmp_path), Tower()
    filled(tmp_path, tower, [*views[:5], *views[:5]], "float32")
    assert tower.seen == views[:5]
    again = Tower()
    cache = filled(tmp_path, again, views, "float32")
    assert again.seen == views[5:] and len(cache) == len(views)
    torch.testing.assert_close(cache(views), Tower()(views), atol=1e-6, rtol=0)


def test_a_block_without_its_key_is_seen_again(tmp_path: Path) -> None:
    views = some_views(tmp_path)
    cache = filled(tmp_path, Tower(), views, "float32")
    keys = cache.folder / "keys"
    keys.write_bytes(keys.read_bytes()[: 16 * 7 + 5])  # as a kill while keys are written leaves it
    again = Tower()
    mended = filled(tmp_path, again, views, "float32")
    assert again.seen == views[7:]
    torch.testing.assert_close(mended(views), Tower()(views), atol=1e-6, rtol=0)


def test_another_tower_size_style_or_storage_never_reads_it(tmp_path: Path) -> None:
    views, tower = some_views(tmp_path), Tower()
    filled(tmp_path, tower, views, "float32")
    changed = toys.student()
    with torch.no_grad():
        changed.backbone.vision.model.encoder.layers[1].mlp.fc2.bias[3] += 1e-6
    others = [
        tower.cache(tmp_path, note="release"),
        tower.cache(tmp_path, "bf16"),
        Tower(changed).cache(tmp_path),
        Tower(toys.student(of=toys.size(image=70))).cache(tmp_path),
    ]
    assert [len(cache) for cache in others] == [0, 0, 0, 0]
    assert len(tower.cache(tmp_path)) == len(views)


def test_image_regions_ids_and_order_tell_views_apart(tmp_path: Path) -> None:
    views = some_views(tmp_path)
    assert len({key(view) for view in views}) == len(views)
    first = views[2]
    moved = replace(first.regions[0], polygons=((1.0, 2.0, 3.0, 4.0, 5.0, 6.0),))
    assert key(View(first.image, first.regions[::-1])) != key(first)
    assert key(View(first.image, (moved, *first.regions[1:]))) != key(first)
    copy = View(replace(first.image, path="elsewhere.png"), first.regions)
    renamed = View(copy.image, (replace(first.regions[0], label="other"), *first.regions[1:]))
    assert key(renamed) == key(first)  # a copy of the picture; labels are not drawn


def test_its_size_is_told_before_it_is_filled_and_bounded(tmp_path: Path) -> None:
    views, tower = some_views(tmp_path), Tower()
    said: list[str] = []
    cache = tower.cache(tmp_path)
    each = 17 * 24 * 4  # tokens, width, bytes
    small = Limits(gigabytes=11.5 * each / 1e9, views=4)
    with pytest.raises(UserError, match=r"features of 12 views take .* GB, more than cache_gb"):
        cache.fill(lambda: views, tower, small, said.append)
    assert tower.seen == [] and said[0].startswith(
        f"features of 12 views take {12 * each / 1e9:.3g}"
    )
    cache.fill(lambda: views, tower, replace(small, gigabytes=12 * each / 1e9), said.append)
    assert (cache.folder / "features").stat().st_size == 12 * each


def test_a_view_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    views = some_views(tmp_path)
    with pytest.raises(UserError, match="lacks a view"):
        filled(tmp_path, Tower(), views[:3], "float32")(views)


def fill_a_disk(folder: Path) -> None:
    views, tower = some_views(folder), Tower()
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))  # nine of twelve blocks
    with pytest.raises(UserError, match="is kept, and the same command goes on") as found:
        filled(folder, tower, views, "float32")
    assert "\n" not in str(found.value)


def test_a_full_disk_is_one_clear_line_and_what_was_written_is_kept(tmp_path: Path) -> None:
    limited = begun(fill_a_disk, tmp_path)  # the limit is for a whole process, and for good
    limited.join()
    assert limited.exitcode == 0
    views, again = some_views(tmp_path), Tower()
    cache = filled(tmp_path, again, views, "float32")
    assert again.seen == views[9:]
    torch.testing.assert_close(cache(views), Tower()(views), atol=1e-6, rtol=0)


def test_training_on_the_cache_is_training_on_the_tower(tmp_path: Path) -> None:
    """The same fixed views, once kept and once seen anew each time, give the same losses."""
    ledger.write(tmp_path / "examples", toys.examples(tmp_path / "pictures", 3))
    examples = Ledger(Example, tmp_path / "examples")
    lessons = Lessons(examples, Variety(0.5, None, "plain", 1.0, 1.0, 2, 0), Wording())
    tokenizer, tower = Tokenizer(toys.vocabulary(tmp_path)), Tower()
    views = [view for row in range(len(lessons)) for view in lessons.fixed_views(row)]
    cache = filled(tmp_path, tower, views, "float32")
    objective = StudentObjective(tower.model, tokenizer.decode_id)
    totals = []
    for cached, sights in ((True, cache), (False, tower.eye)):
        task = StudentTask(Pupil(objective, cached), lessons, sights, tokenizer, 48)
        generator = torch.Generator().manual_seed(5)
        losses = task.losses(task.model, range(len(lessons)), generator)
        totals.append(torch.stack([value for _, value in losses.parts]))
    torch.testing.assert_close(totals[0], totals[1], atol=1e-6, rtol=0)


def test_the_loss_is_the_weighted_sum_of_its_parts(tmp_path: Path) -> None:
    ledger.write(tmp_path / "examples", toys.examples(tmp_path / "pictures", 3))
    lessons = Lessons(
        Ledger(Example, tmp_path / "examples"),
        Variety(0.5, None, "plain", 1.0, 1.0, None, 0),
        Wording(),
    )
    tokenizer, tower = Tokenizer(toys.vocabulary(tmp_path)), Tower()
    pupil = Pupil(StudentObjective(tower.model, tokenizer.decode_id), cached=False)
    for weights in ((1.0, 1.0, 1.0), (0.1, 2.0, 0.0)):
        task = StudentTask(pupil, lessons, tower.eye, tokenizer, 48, weights)
        found = task.losses(pupil, range(len(lessons)), torch.Generator().manual_seed(5))
        itc, itm, itg = (value for _, value in found.parts)
        expected = weights[0] * itc + weights[1] * itm + weights[2] * itg
        torch.testing.assert_close(found.total, expected, atol=1e-6, rtol=0)
