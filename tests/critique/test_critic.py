"""The critic: trained on judgments, measured on images it never saw, and asked as any critic is."""

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from colour_world import SIDE, fill, opinions, write, write_base
from pydantic import ValidationError
from table_house import House

import house
from lskd.blip2 import weights
from lskd.blip2.files import read_size
from lskd.blip2.stage1 import new_critic, new_student
from lskd.critique import fit, note, sample
from lskd.critique.evaluation import Judged, calibrated, evaluate
from lskd.critique.metrics import calibration_error
from lskd.critique.settings import Settings
from lskd.critique.trained import TrainedCritic
from lskd.critique.view import Look
from lskd.errors import JudgmentsNeeded, UserError
from lskd.execute import Selection
from lskd.picture import Picture
from lskd.protocols import Critic, Seen
from lskd.types import (
    Box,
    Concepts,
    Dialogue,
    Fit,
    Image,
    Judgment,
    Narratives,
    Region,
    Regions,
    Reject,
    Sample,
    Score,
    Triple,
)

QUICK = {"image": SIDE, "tokens": 48, "precision": "float32", "workers": 2, "dropout": 0.0}
SCHOOL = {**QUICK, "epochs": 12, "batch": 32, "learning_rate": 2e-3}
# Half the time: the tower sees each view once.
FROZEN = SCHOOL | {"train_vision": False, "views": 1, "storage": "float32", "learning_rate": 3e-3}
BRIEF = {**QUICK, "epochs": 1, "batch": 16, "learning_rate": 1e-3}


class World:
    """A house with a sample drawn, a base to train from, and what people think."""

    def __init__(self, folder: Path, images: int, train: int, evaluate: int) -> None:
        self.folder = folder
        self.house = House(folder / "run")
        self.truth = fill(self.house, images)
        self.house.make(sample.STAGE, train=train, evaluate=evaluate)
        self.house.said.clear()
        self.base = write_base(folder / "base")
        self.judgments = write(folder / "judgments.parquet", opinions(self.truth))

    def fit(self, **settings: object) -> Fit:
        given = {"judgments": str(self.judgments), "weights": str(self.base)}
        self.house.make(fit.STAGE, **(given | settings))
        (found,) = self.house.rows(Fit)
        return found

    @property
    def critic(self) -> Path:
        return self.house.folder / "critic" / "model"

    def seen(self) -> list[Seen]:
        regions = {row.image_id: row for row in self.house.rows(Regions)}
        return [self.about(image, regions[image.id]) for image in self.house.rows(Image)]

    def triples(self, seen: Sequence[Seen]) -> list[list[Triple]]:
        every = self.house.rows(Triple)
        return [[t for t in every if t.image_id == one.picture.image.id] for one in seen]

    @staticmethod
    def about(image: Image, regions: Regions) -> Seen:
        return Seen(
            Picture(image),
            Concepts(image.id, (), (), ()),
            Narratives(image.id, ()),
            regions,
            Dialogue(image.id, ()),
        )

    def weights(self) -> dict[str, torch.Tensor]:
        critic = new_critic(read_size(self.critic))
        weights.load(critic, self.critic)
        return {name: weight.detach() for name, weight in critic.named_parameters()}


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world whose critic has learned; tests only look at it."""
    world = World(tmp_path_factory.mktemp("learned"), images=80, train=240, evaluate=80)
    world.fit(**FROZEN)
    return world


@pytest.fixture
def small(tmp_path: Path) -> World:
    return World(tmp_path, images=12, train=32, evaluate=16)


def test_a_critic_tells_good_from_bad_on_images_that_it_never_saw(learned: World) -> None:
    (found,) = learned.house.rows(Fit)
    base_rate = sum(all(parts) for parts in learned.truth.values()) / len(learned.truth)
    assert found.judged == 320 and found.accepted == base_rate == 0.25
    assert found.average_precision is not None and found.average_precision > 0.8
    assert found.precision is not None and found.precision > 0.7
    assert found.calibration_error is not None and found.calibration_error < 0.2


@pytest.mark.check
def test_a_critic_whose_tower_is_trained_as_well_tells_good_from_bad(tmp_path: Path) -> None:
    found = World(tmp_path, images=80, train=240, evaluate=80).fit(**SCHOOL)
    assert found.average_precision is not None and found.average_precision > 0.8


def test_a_trained_critic_scores_triples_and_rates_their_parts(learned: World) -> None:
    critic = TrainedCritic(str(learned.critic))
    assert isinstance(critic, Critic)
    samples = {s.triple_id for s in learned.house.rows(Sample) if s.purpose == "evaluate"}
    seen = learned.seen()
    scores = [one for several in critic.score(seen, learned.triples(seen)) for one in several]
    assert [s.triple_id for s in scores] == [t.id for ts in learned.triples(seen) for t in ts]
    held_out = [score for score in scores if score.triple_id in samples]
    for part in ("qa", "rationale"):
        means = []
        for wanted in (True, False):
            qa_true = [s for s in held_out if learned.truth[s.triple_id][0]]
            some = held_out if part == "qa" else qa_true  # else the first question rejects both
            place = ("qa", "rationale").index(part)
            said = [getattr(s, part) for s in some if learned.truth[s.triple_id][place] is wanted]
            assert all(0 <= value <= 1 for value in said)
            means.append(sum(said) / len(said))
        assert means[0] > means[1] + 0.2, part


def test_scores_hang_neither_on_batches_nor_on_what_else_is_asked(learned: World) -> None:
    seen = learned.seen()[:6]
    triples = learned.triples(seen)
    together = TrainedCritic(str(learned.critic)).score(seen, triples)
    alone = TrainedCritic(str(learned.critic), batch_views=1, batch_texts=1, workers=1)
    for one, asked, expected in zip(seen, triples, together, strict=True):
        (said,) = alone.score([one], [asked[::-1]])
        for score, other in zip(said[::-1], expected, strict=True):
            assert score.triple_id == other.triple_id
            assert score.accept == pytest.approx(other.accept, abs=1e-5)
    assert alone.score([], []) == [] and alone.score(seen[:1], [[]]) == [()]


def test_bf16_scores_are_near_those_of_float32(learned: World) -> None:
    seen = learned.seen()[:6]
    triples = learned.triples(seen)
    full = TrainedCritic(str(learned.critic)).score(seen, triples)
    half = TrainedCritic(str(learned.critic), precision="bf16").score(seen, triples)
    for several, others in zip(full, half, strict=True):
        for one, other in zip(several, others, strict=True):
            assert one.accept == pytest.approx(other.accept, abs=0.1)


def test_the_curve_is_written_in_numbers_and_as_a_picture(learned: World) -> None:
    folder = learned.house.folder / "critic"
    told = json.loads((folder / "curve.json").read_text())
    assert told["judged"] == 80 and told["confidence"] == 0.95
    kept = [point["kept"] for point in told["points"]]
    assert kept == sorted(kept) and kept[-1] == 1
    assert told["points"][-1]["precision"] == pytest.approx(told["accepted"])
    assert told["wished"]["precision"] >= 0.7
    drawn = ElementTree.fromstring((folder / "curve.svg").read_text())
    assert drawn.tag.endswith("svg")
    assert "Precision of 80 held-out triples" in "".join(drawn.itertext())


def test_the_folder_of_a_critic_says_all_that_is_needed_to_ask_it(learned: World) -> None:
    about = note.read(learned.critic)
    assert about.use == "lskd.critique.trained:TrainedCritic"
    assert about.look == Look("clear", "all", SIDE, 48)
    assert about.ratings == ("qa", "rationale") and about.base == str(learned.base)
    (found,) = learned.house.rows(Fit)
    assert (about.digest, about.temperature) == (found.digest, found.temperature)
    names = {file.name for file in learned.critic.iterdir()}
    assert names == {"config.json", "critic.toml", "model.safetensors", "vocab.txt"}
    assert not list(learned.house.folder.rglob("checkpoints"))
    assert list(learned.house.folder.rglob("losses.svg"))


def test_the_stage_says_how_good_the_critic_is(learned: World) -> None:
    said = "\n".join(learned.house.said)
    assert "240 judged triples to train on and 80 to evaluate on, of 320" in said
    assert "people accept 25%" in said and "on 80 held-out triples: precision" in said
    assert "in [corpus] keeps" in said


def test_the_threshold_that_is_told_keeps_what_is_told_of_it(learned: World) -> None:
    (line,) = [line for line in learned.house.said if line.startswith("threshold = ")]
    curve = json.loads((learned.house.folder / "critic" / "curve.json").read_text())
    threshold = float(line.split()[2])
    kept = max(point["kept"] for point in curve["points"] if point["value"] >= threshold)
    assert kept == curve["wished"]["kept"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Return the weights of a small critic that was trained with all losses."""
    world = World(tmp_path_factory.mktemp("both"), images=12, train=32, evaluate=16)
    world.fit(**BRIEF)
    return world.weights()


@pytest.mark.parametrize(("qa", "rationale"), [(False, False), (True, False), (False, True)])
def test_each_loss_can_be_switched_off(
    small: World, both: dict[str, torch.Tensor], qa: bool, rationale: bool
) -> None:
    small.fit(**BRIEF, qa_loss=qa, rationale_loss=rationale)
    some = small.weights()
    assert any(not torch.equal(both[name], some[name]) for name in both)
    (lines,) = small.house.folder.rglob("losses.jsonl")
    first = json.loads(lines.read_text().splitlines()[0])
    assert ("qa" in first, "rationale" in first, "accept" in first) == (qa, rationale, True)
    wanted = [n for n, on in (("qa", qa), ("rationale", rationale)) if on]
    assert tomllib.loads((small.critic / "critic.toml").read_text())["ratings"] == wanted
    seen = small.seen()[:1]
    score = TrainedCritic(str(small.critic)).score(seen, small.triples(seen))[0][0]
    assert ((score.qa is not None), (score.rationale is not None)) == (qa, rationale)


@pytest.mark.parametrize("trained", [True, False])
def test_the_image_encoder_is_trained_unless_it_is_frozen(small: World, trained: bool) -> None:
    small.fit(**BRIEF, train_vision=trained)
    before = new_student(read_size(small.base))
    weights.load(before, small.base)
    after = small.weights()
    towers = {n: w for n, w in before.named_parameters() if n.startswith("backbone.vision.")}
    changed = [name for name, weight in towers.items() if not torch.equal(weight, after[name])]
    assert bool(changed) is trained


def test_a_frozen_tower_that_sees_each_view_once_makes_the_same_critic(small: World) -> None:
    frozen = BRIEF | {"train_vision": False, "epochs": 2}
    small.fit(**frozen)
    expected = small.weights()
    small.house.said.clear()
    small.fit(**frozen, views=1, storage="float32")
    found = small.weights()
    # Only the company in which views pass the tower differs.
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=1e-3)
    shown = len({one.image_id for one in small.house.rows(Sample) if one.purpose == "train"})
    told = [line for line in small.house.said if "are to be seen" in line]
    assert len(told) == 1 and told[0].endswith(f"; {shown} views are to be seen")
    small.house.said.clear()
    small.fit(**frozen, views=1, storage="float32", qa_loss=False)
    assert any(line.endswith("; 0 views are to be seen") for line in small.house.said)


def test_features_of_a_tower_that_is_trained_are_not_kept() -> None:
    with pytest.raises(ValidationError, match=r"views = 1 keeps .*train_vision = true"):
        Settings(weights="base", views=1)


def test_a_run_waits_for_judgments_and_says_where_the_samples_are(small: World) -> None:
    small.judgments.unlink()
    with pytest.raises(JudgmentsNeeded) as caught:
        small.fit(**BRIEF)
    told = str(caught.value)
    assert caught.value.exit_code == 5 and "\n" not in told
    assert "48 triples in" in told and str(small.house.folder / "sample" / "sample") in told
    assert "triple_id, annotator, qa, rationale" in told and "has none yet" in told
    with pytest.raises(JudgmentsNeeded):
        small.fit(**BRIEF, judgments=None)
    small.judgments.with_suffix(".csv").write_text("triple_id,annotator,qa,rationale\n")
    with pytest.raises(JudgmentsNeeded):
        small.fit(**BRIEF, judgments=str(small.judgments.with_suffix(".csv")))


def test_new_judgments_make_a_new_critic_and_the_same_ones_do_not(small: World) -> None:
    first = small.fit(**BRIEF)
    file = small.critic / "model.safetensors"
    made = file.stat().st_mtime_ns
    assert small.fit(**BRIEF) == first and file.stat().st_mtime_ns == made
    mean = [
        Judgment(j.triple_id, j.image_id, j.annotator, 1, None)
        if j.triple_id == max(small.truth) or j.triple_id.endswith("red-b")
        else j
        for j in opinions(small.truth)
    ]
    write(small.judgments, mean)
    other = small.fit(**BRIEF)
    assert other.digest != first.digest and other.accepted < first.accepted
    assert file.stat().st_mtime_ns != made


def test_new_judgments_to_evaluate_on_train_nothing_again(small: World) -> None:
    held_out = {s.triple_id for s in small.house.rows(Sample) if s.purpose == "evaluate"}
    given = opinions(small.truth)
    write(small.judgments, [j for j in given if j.triple_id not in held_out])
    first = small.fit(**BRIEF)
    assert first.judged == 32 and first.average_precision is None and first.temperature == 1
    assert "nothing was held out" in small.house.said[-1]
    file = small.critic / "model.safetensors"
    made = file.stat().st_mtime_ns
    write(small.judgments, given)
    second = small.fit(**BRIEF)
    assert second.judged == 48 and second.average_precision is not None
    assert file.stat().st_mtime_ns == made and second.digest != first.digest


def test_judgments_that_cannot_be_used_are_rejects_and_the_rest_is_learned(small: World) -> None:
    given = opinions(small.truth)
    lonely, quarrel = given[0], given[2]
    gone = small.house.rows(Image)[-1]
    Path(gone.path).unlink()
    write(
        small.judgments,
        [
            lonely,
            *given[2:],
            Judgment("nobody", "x", "ann", 3, 3),
            Judgment(quarrel.triple_id, quarrel.image_id, quarrel.annotator, 4 - quarrel.qa, 1)
            if quarrel.qa != 2
            else Judgment(quarrel.triple_id, quarrel.image_id, quarrel.annotator, 1, None),
            Judgment(given[8].triple_id, "elsewhere", "cy", 3, 3),
            Judgment(given[8].triple_id, "", "dan", 7, 3),
        ],
    )
    found = small.fit(**BRIEF)
    # Of 12 images with 4 triples each: one image is gone, and two triples have one annotator.
    assert found.judged == 48 - 4 - 2
    reasons = [reject.reason for reject in small.house.rows(Reject, "critic")]
    assert reasons.count("judged by 1 of 2 annotators") == 2
    assert reasons.count(f"{quarrel.annotator} contradicts it") == 2
    assert sum("its image is gone" in reason for reason in reasons) == 4
    assert sum("no triple of this run" in reason for reason in reasons) == 1
    assert sum("its triple is about image" in reason for reason in reasons) == 1
    assert sum("qa is 7" in reason for reason in reasons) == 1
    assert "are left out, the first because: qa is 7" in small.house.said[0]


def test_an_image_that_has_changed_stops_the_critic_before_it_is_trained(small: World) -> None:
    changed = small.house.rows(Image)[-1]
    Path(changed.path).write_bytes(b"another")
    with pytest.raises(UserError, match="has changed since the images stage read it"):
        small.fit(**BRIEF)
    assert not list(small.house.folder.rglob("losses.jsonl"))


def test_new_shards_of_images_leave_the_critic_as_it_is(small: World) -> None:
    small.fit(**BRIEF)
    small.house.put(Image, "00009", [])
    made = small.house.make(
        fit.STAGE, judgments=str(small.judgments), weights=str(small.base), **BRIEF
    )
    assert made == {"00009": ()}


def test_whether_a_critic_is_due_is_told_ahead_and_not_by_how_its_folder_is_spelled(
    small: World,
) -> None:
    settings = {"judgments": str(small.judgments), "weights": str(small.base), **BRIEF}
    assert small.house.grows(fit.STAGE, **settings)
    assert not small.critic.exists()
    first = small.fit(**BRIEF)
    said = list(small.house.said)
    assert not small.house.grows(fit.STAGE, **settings) and small.house.said == said
    spelled = House(Path(os.path.relpath(small.house.folder)))
    assert not spelled.grows(fit.STAGE, **settings)
    assert spelled.make(fit.STAGE, **settings) == {}
    assert small.house.rows(Fit) == [first]
    small.house.put(Image, "00009", [])
    assert small.house.grows(fit.STAGE, **settings)
    small.fit(**BRIEF)
    assert not small.house.grows(fit.STAGE, **settings)
    write(small.judgments, opinions(small.truth)[2:])
    assert small.house.grows(fit.STAGE, **settings)


def test_judgments_outside_of_the_sample_keep_their_image_on_its_side(small: World) -> None:
    samples = small.house.rows(Sample)
    held_out = {s.image_id for s in samples if s.purpose == "evaluate"}
    for shard in small.house.tables.shards(Sample):
        kept = [s for s in small.house.tables.read(Sample, shard) if s.triple_id[-1] == "b"]
        small.house.put(Sample, shard, kept)
    found = small.fit(**BRIEF)
    assert found.judged == len(small.truth) == 48
    evaluated = json.loads((small.house.folder / "critic" / "curve.json").read_text())["judged"]
    assert evaluated == 4 * len(held_out)


@pytest.mark.parametrize(
    ("judgments", "said"),
    [
        ([Judgment("nobody", "x", "ann", 3, 3)], "none of 1 judgments is of a triple of this run"),
        ("one person", "no judged triple to train on: 48 are left out; the first: judged by 1"),
        ("praise", "all 32 judged triples to train on are accepted"),
    ],
)
def test_judgments_that_teach_nothing_are_an_error_of_one_line(
    small: World, judgments: list[Judgment] | str, said: str
) -> None:
    given = opinions(small.truth)
    if judgments == "one person":
        judgments = [j for j in given if j.annotator == "ann"]
    elif judgments == "praise":
        judgments = [Judgment(j.triple_id, j.image_id, j.annotator, 3, 3) for j in given]
    assert not isinstance(judgments, str)
    write(small.judgments, judgments)
    with pytest.raises(UserError) as caught:
        small.fit(**BRIEF)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not isinstance(caught.value, JudgmentsNeeded)


def test_no_sample_is_an_error_that_names_the_section(small: World) -> None:
    for shard in small.house.tables.shards(Sample):
        small.house.put(Sample, shard, [])
    with pytest.raises(UserError, match=r"needs a section \[sample\]"):
        small.fit(**BRIEF)


def test_a_training_that_was_stopped_goes_on_and_ends_in_the_same_critic(
    small: World, tmp_path: Path
) -> None:
    long = BRIEF | {"epochs": 2, "save_every": 2, "dropout": 0.1}
    whole = small.fit(**long)
    expected = small.weights()
    other = World(tmp_path / "other", images=12, train=32, evaluate=16)
    (other.critic / "config.json").mkdir(parents=True)  # nothing can be written there
    with pytest.raises(UserError, match="cannot write"):
        other.fit(**long)
    (checkpoints,) = other.house.folder.rglob("checkpoints")
    last = max(checkpoints.iterdir())
    last.unlink()  # as if it had been killed before
    (other.critic / "config.json").rmdir()
    found = other.fit(**long)
    assert any("going on after step" in line for line in other.house.said)
    after = other.weights()
    assert all(torch.equal(after[name], weight) for name, weight in expected.items())
    assert found.average_precision == whole.average_precision


def test_a_loss_that_is_no_number_stops_the_training(small: World) -> None:
    with pytest.raises(UserError, match="step"):
        small.fit(**BRIEF | {"learning_rate": 1e30, "epochs": 6, "warmup": 0})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weights": "nowhere.pth"}, "no vocabulary at nowhere.pth"),
        ({"vocabulary": "nowhere.txt"}, "no vocabulary at nowhere.txt"),
        ({"size": "vit_h"}, "size = 'vit_h': expected vit_g, vit_l"),
        ({"tokens": 49}, "tokens = 49; the model reads at most 48"),
    ],
)
def test_a_base_that_cannot_be_used_is_an_error_of_one_line(
    small: World, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        small.fit(**BRIEF | settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_lavis_file_is_a_base_too(small: World, both: dict[str, torch.Tensor]) -> None:
    student = new_student(read_size(small.base))
    weights.load(student, small.base)
    weights.save(student, small.folder / "base.pth")
    given = {"weights": str(small.folder / "base.pth"), "size": str(small.base)}
    found = small.fit(**BRIEF, **given, vocabulary=str(small.base / "vocab.txt"))
    assert all(torch.equal(weight, both[name]) for name, weight in small.weights().items())
    assert found.judged == 48
    assert note.read(small.critic).base == given["weights"]


def test_a_critic_can_be_trained_in_bf16_and_with_recomputed_activations(small: World) -> None:
    found = small.fit(**BRIEF | {"precision": "bf16", "recompute": True, "average": 0.9})
    assert found.judged == 48 and found.average_precision is not None


def test_a_vocabulary_of_another_model_is_refused(small: World) -> None:
    (small.base / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    with pytest.raises(UserError, match=r"give the vocab\.txt that belongs to it"):
        small.fit(**BRIEF)


def test_texts_that_are_too_long_are_told_of(small: World) -> None:
    small.fit(**BRIEF | {"tokens": 12})
    assert any("32 of 32 texts are longer than `tokens`" in line for line in small.house.said)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{question} {answer}", "expected each of"), ("{question", "expected '}'")],
)
def test_a_text_that_is_no_template_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(weights="w", text=text)


def test_a_folder_that_holds_no_critic_is_refused(tmp_path: Path, learned: World) -> None:
    with pytest.raises(UserError, match=r"is no critic: it has no critic\.toml"):
        TrainedCritic(str(tmp_path))
    (tmp_path / "critic.toml").write_text('use = "x"\n')
    with pytest.raises(UserError, match=r"critic\.toml: base: "):
        TrainedCritic(str(tmp_path))
    for wrong in ({"device": "abacus"}, {"precision": "int3"}, {"workers": 0}, {"batch_views": 0}):
        with pytest.raises(UserError):
            TrainedCritic(str(learned.critic), **wrong)


IMAGE = Image("i", "i.png", 100, 100)
PLACES = Regions("i", tuple(Region(n, Box(n, n, n + 9, n + 9), "t", "a t", 1.0) for n in range(4)))
BY_ID = Triple("t", "r", "i", "id", "Why [2]?", "So.", "It is [2].", (2,))
BY_PHRASE = Triple("t", "r", "i", "description", "Why [the cat]?", "So.", "It is.", (2,))


def test_all_regions_are_drawn_or_those_named_and_none_for_phrases() -> None:
    everything, named = Look(drawn="all"), Look(drawn="named")
    assert everything.view(BY_ID, IMAGE, PLACES).regions == PLACES.regions
    assert named.view(BY_ID, IMAGE, PLACES).regions == PLACES.regions[2:3]
    assert everything.view(BY_PHRASE, IMAGE, PLACES).regions == ()
    assert everything.words(BY_ID) == "question: Why [2]? answer: So. rationale: It is [2]."


def test_a_critic_that_says_no_number_is_not_measured() -> None:
    with pytest.raises(UserError, match="says no number of 1 of 2"):
        evaluate([Judged("a", float("nan"), True), Judged("b", 1.0, False)], 0.7)


def test_the_calibration_error_is_not_measured_where_its_temperature_was_fitted() -> None:
    # The critic knows the first half of the images, and guesses in the second.
    knows = [Judged(f"a{n:03d}", 4.0 if n % 2 else -4.0, n % 2 == 1) for n in range(100)]
    guesses = [Judged(f"b{n:03d}", 4.0 if n % 2 else -4.0, n % 4 < 2) for n in range(100)]
    found = evaluate([*knows, *guesses], 0.9)
    scores = calibrated([4.0 if n % 2 else -4.0 for n in range(100)] * 2, found.temperature)
    labels = [one.accepted for one in (*knows, *guesses)]
    flattered = calibration_error(scores, labels)
    assert flattered is not None and found.quality.calibration_error is not None
    assert found.quality.calibration_error > flattered + 0.2


def test_what_cannot_be_measured_is_unknown() -> None:
    alike = evaluate([Judged("a", 1.0, True), Judged("b", 2.0, True)], 0.9)
    assert alike.temperature == 1 and alike.quality.calibration_error is None
    assert alike.quality.both_recall is None and alike.quality.recall == 1
    nothing = evaluate([], 0.9)
    assert nothing.accepted is None and nothing.wished is None and nothing.points == ()


def test_the_score_stage_takes_the_trained_critic_by_one_line_of_the_run_file(
    learned: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = house.build(tmp_path)
    line = (
        f'critic = {{ use = "lskd.critique.trained:TrainedCritic", folder = "{learned.critic}" }}'
    )
    file.write_text(file.read_text().replace('critic = { use = "models:Judge" }', line))
    run = house.run(file, selection=Selection(until="score"))
    scores = house.rows(run, Score)
    assert [s.triple_id for s in scores] == [t.id for t in house.rows(run, Triple)]
    assert all(0 < s.accept < 1 and s.qa is not None for s in scores) and len(scores) == 36
