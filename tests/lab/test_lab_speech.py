"""What is said of stills in pre-training, by one process and by several."""

import pytest
import torch
from lab_house import BASE

from lskd.blip2 import weights
from lskd.blip2.files import read_size
from lskd.blip2.stage1 import new_student
from lskd.blip2.text import PAD, collate
from lskd.lab.pretrain.captions import features
from lskd.lab.pretrain.gallery import Still, still
from lskd.lab.pretrain.matching import Matcher, MatchTask, judged
from lskd.lab.pretrain.speech import Choir, Voice, all_kinds, names_alone, plain, shown
from lskd.lab.pretrain.statements import WRONG


@pytest.fixture(scope="module")
def stills() -> list[Still]:
    return [still(seed) for seed in range(24)]


def test_a_choir_says_what_one_voice_says(stills: list[Still]) -> None:
    told = shown(stills)
    rows = [*range(24), *range(20)]
    voice = Voice(told, BASE / "vocab.txt")
    with Choir(told, BASE / "vocab.txt", processes=2) as choir:
        for says in (names_alone, plain, all_kinds):
            alone = voice.said(rows, 7, says)
            assert choir.said(rows, 7, says) == alone
            assert len(alone) == len(rows) * (WRONG + 1)
        assert voice.said(rows, 7) == choir.said(rows, 7) == alone  # of all kinds


def test_the_true_statement_is_first_only_where_it_comes_before_all_false_ones(
    stills: list[Still],
) -> None:
    student = new_student(read_size(BASE), dropout=0.0)
    weights.load(student, BASE)
    seen = features(student, stills, torch.float32)
    voice = Voice(shown(stills), BASE / "vocab.txt")
    found = judged(Matcher(student).eval(), voice, seen)
    assert found["first"] > 0.5 and found["itm"] < 0.55  # chance: 0.25 and 0.69
    torch.nn.init.zeros_(student.matching.weight)
    alike = judged(Matcher(student).eval(), voice, seen)
    assert alike["first"] == 0  # all statements are as sure


def test_frames_are_told_of_only_where_they_are_seen(stills: list[Still]) -> None:
    assert all(not one.drawn for one in shown(stills)[1::2])
    assert any(one.drawn for one in shown(stills)[::2])


def test_the_shipped_base_holds_most_true_statements_above_the_false_ones(
    stills: list[Still],
) -> None:
    student = new_student(read_size(BASE), dropout=0.0)
    weights.load(student, BASE)
    student.eval()
    voice = Voice(shown(stills), BASE / "vocab.txt")
    task = MatchTask(Matcher(student), voice, features(student, stills, torch.float32))
    with torch.no_grad():
        loss = task.losses(task.model, range(24), torch.Generator().manual_seed(0)).total
    assert loss < 0.55  # chance is 0.69


def test_a_batch_of_texts_is_padded_to_its_longest() -> None:
    texts = collate([(5, 6, 7), (8,), (9, 10)])
    assert texts.ids.tolist() == [[5, 6, 7], [8, PAD, PAD], [9, 10, PAD]]
    assert texts.mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert texts.ids.dtype == texts.mask.dtype == torch.int64
