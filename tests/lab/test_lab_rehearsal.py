"""What the lab's student rehearses: scenes of pre-training, with nothing of a world's splits."""

import json
from pathlib import Path

from lskd import marking
from lskd.distil import ledger, rehearsal
from lskd.lab import world
from lskd.lab.world import Numbers
from lskd.picture import image_id


def test_a_world_brings_statements_about_pictures_that_are_in_no_split(tmp_path: Path) -> None:
    ticks: list[int] = []
    numbers = Numbers(6, 3, 3)
    made = world.make(tmp_path / "world", numbers, 0, ticks.append)
    assert sum(ticks) == numbers.pictures == 24
    file = tmp_path / "world" / "rehearsal" / "statements.jsonl"
    found = rehearsal.prepared(file, tmp_path)
    assert ledger.exists(tmp_path / rehearsal.FILE)
    statements = [found[n] for n in range(len(found))]
    assert len({one.image.id for one in statements}) == 12
    assert not {one.image.id for one in statements} & set(made.by_id)
    for one in statements:
        assert one.wrong and one.text not in one.wrong
        assert not any(marking.named(text) for text in (one.text, *one.wrong))


def test_other_worlds_rehearse_the_same_pictures_again(tmp_path: Path) -> None:
    texts = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        world.make(folder, Numbers(3, 1, 1), seed, lambda count: None)
        texts.append((folder / "rehearsal" / "statements.jsonl").read_text())
    assert texts[0] == texts[1]
    names = {json.loads(line)["image"] for line in texts[0].splitlines()}
    assert len(names) == 6
    first, second = (
        {image_id((tmp_path / seed / "rehearsal" / name).read_bytes()) for name in names}
        for seed in ("0", "1")
    )
    assert first == second
