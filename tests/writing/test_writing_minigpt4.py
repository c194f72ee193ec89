"""Mini-GPT4: its authors' file over Vicuna, and the picture in the middle of the prompt."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from checkpoints import write_llava
from lskd.blip2 import weights
from lskd.blip2.pixels import normalised
from lskd.errors import UserError
from lskd.training.order import seed_of
from lskd.writing import note
from lskd.writing.eyes import by_our_names, eyes_of
from lskd.writing.minigpt4 import MiniGPT4Writer
from lskd.writing.writer import Decoding, Line, Writer
from tiny_models import WIDTH, stage1, stage1_size
from tiny_writers import QUERIES, blocks, write_blip2_writer, write_minigpt4, write_vicuna

LINES = (
    Line(0, "what is [0] doing?", "riding the red bicycle."),
    Line(1, "Where is [2]?", "it is left"),
    Line(0, "what is [0] doing?", "yes"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("minigpt4")
    write_vicuna(root / "vicuna")
    write_blip2_writer(root / "blip2", "t5")
    write_minigpt4(root / "projection.pth")
    return root


def load(root: Path, **keys: str) -> MiniGPT4Writer:
    given = {"projection": root / "projection.pth", "blip2": root / "blip2"}
    known = {name: str(path) for name, path in given.items()}
    return MiniGPT4Writer(str(root / "vicuna"), **{**known, **keys})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def writer(root: Path) -> MiniGPT4Writer:
    return load(root)


def test_tower_and_qformer_are_blip2s_the_projection_is_the_authors_and_the_rest_vicunas(
    writer: MiniGPT4Writer, root: Path
) -> None:
    assert isinstance(writer, Writer)
    model = writer.module.model.state_dict()
    theirs = load_file(root / "blip2" / "model.safetensors")
    mapped = torch.load(root / "projection.pth", weights_only=True)["model"]
    vicuna = load_file(root / "vicuna" / "model.safetensors")
    for name, tensor in model.items():
        if name.startswith("language_projection."):
            expected = mapped[name.replace("language_projection", "llama_proj")]
        elif name.startswith("language_model."):
            expected = vicuna[name.removeprefix("language_model.")]
        else:
            expected = theirs[name]
        assert torch.equal(tensor, expected), name


def test_the_picture_stands_between_the_words_that_the_authors_put_about_it(
    writer: MiniGPT4Writer,
) -> None:
    model, tokenizer = writer.module.model, writer.parts.tokenizer
    sights = writer.look([blocks(0), blocks(1)])
    line = LINES[0]

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    words = model.language_model.get_input_embeddings()
    with torch.no_grad():
        pixels = normalised(blocks(0))[None]
        states = model.vision_model(pixels).last_hidden_state
        queries = model.qformer(
            query_embeds=model.query_tokens, encoder_hidden_states=states
        ).last_hidden_state
        picture = model.language_projection(queries)[0]
        before = words(torch.tensor([tokenizer.bos_token_id, *ids("###Human: <Img>")]))
        after = words(torch.tensor(ids(f"</Img> {line.prompt} ###Assistant:")))
        target = ids(f"</Img> {line.prompt} ###Assistant: {line.target}###")[len(after) :]
        embeds = torch.cat([before, picture, after, words(torch.tensor(target))])[None]
        logits = model.language_model(inputs_embeds=embeds).logits[0, -len(target) - 1 : -1]
        each = logits.log_softmax(dim=-1).gather(1, torch.tensor(target)[:, None])
    loss, count = writer.loss(sights, [line])
    assert int(count) == len(target)
    assert float(loss.detach()) == pytest.approx(-float(each.sum()), abs=1e-4)
    assert tokenizer.decode(target) == f"{line.target}###"
    said = len(ids(f"</Img> {line.prompt} ###Assistant: {line.target}")) - len(after)
    assert writer.likelihoods(sights, [line])[0] == pytest.approx(
        float(each[:said].mean()), abs=1e-4
    )


def test_it_trains_and_is_saved_without_vicuna(
    writer: MiniGPT4Writer, root: Path, tmp_path: Path
) -> None:
    learner = load(root)
    sights = learner.look([blocks(0), blocks(1)])
    before = writer.likelihoods(sights, LINES)
    assert learner.likelihoods(sights, LINES) == before
    weights_ = [weight for weight in learner.module.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(weights_, lr=1e-2)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss, count = learner.module(sights, LINES)
        (loss / count).backward()
        optimiser.step()
        losses.append(float(loss.detach() / count))
    assert losses[-1] < losses[0] - 0.1
    learner.save(tmp_path / "trained")
    again = note.opened(tmp_path / "trained")
    assert isinstance(again, MiniGPT4Writer)
    assert again.likelihoods(sights, LINES) == learner.likelihoods(sights, LINES) != before
    names = load_file(tmp_path / "trained" / "trained.safetensors")
    assert not any(name.startswith("language_model.") for name in names)


def test_what_it_writes_ends_before_the_sign_of_its_authors(writer: MiniGPT4Writer) -> None:
    sights = writer.look([blocks(0), blocks(1)])
    asked = [Line(line.view, line.prompt) for line in LINES]
    for decoding in (Decoding(tokens=40, temperature=1.5, seed=seed_of(n)) for n in range(3)):
        for one in writer.write(sights, asked, decoding):
            assert "###" not in one.text
            assert one.stopped in ("end", "stop", "limit")


def test_tower_and_qformer_of_a_lavis_file_are_those_of_the_same_model_in_a_folder(
    root: Path, tmp_path: Path
) -> None:
    size = stage1_size("eva")
    student = stage1(size)
    weights.save(student, tmp_path / "lavis.pth")
    weights.save(student, tmp_path / "folder")
    write_minigpt4(tmp_path / "projection.pth", WIDTH, width=size.qformer.width)
    writer = load(
        root,
        blip2=str(tmp_path / "lavis.pth"),
        size=str(tmp_path / "folder"),
        projection=str(tmp_path / "projection.pth"),
    )
    sights = writer.look([blocks(0, 28)])
    with torch.no_grad():
        features = student.backbone.features(normalised(blocks(0, 28))[None])
        memory = student.backbone.remember(features)
        queries = student.backbone.qformer.look(memory)
        expected = writer.module.model.language_projection(queries)
        torch.testing.assert_close(sights[0].features, features[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(writer.module.pictures(sights), expected, atol=1e-5, rtol=0)


def test_a_bare_tower_in_a_second_file_and_a_qformer_that_the_authors_trained_are_taken(
    root: Path, tmp_path: Path
) -> None:
    size = stage1_size("eva")
    weights.save(stage1(size), tmp_path / "lavis.pth")
    weights.save(stage1(size), tmp_path / "folder")
    whole = torch.load(tmp_path / "lavis.pth", weights_only=True)["model"]
    tower = {n.removeprefix("visual_encoder."): t for n, t in whole.items() if "visual_enc" in n}
    rest = {n: t for n, t in whole.items() if "visual_encoder" not in n}
    torch.save(tower, tmp_path / "eva.pth")
    torch.save({"model": rest}, tmp_path / "rest.pth")
    one = eyes_of(str(tmp_path / "lavis.pth"), size=str(tmp_path / "folder"))
    two = eyes_of(str(tmp_path / "rest.pth"), str(tmp_path / "eva.pth"), str(tmp_path / "folder"))
    assert one.weights.keys() == two.weights.keys()
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)
    with pytest.raises(UserError, match=r"name the file that has it \(vision\)"):
        eyes_of(str(tmp_path / "rest.pth"), size=str(tmp_path / "folder"))
    queries = torch.full((1, size.qformer.queries, size.qformer.width), 0.25)
    write_minigpt4(
        tmp_path / "projection.pth", WIDTH, width=size.qformer.width, more={"query_tokens": queries}
    )
    writer = load(
        root,
        blip2=str(tmp_path / "lavis.pth"),
        size=str(tmp_path / "folder"),
        projection=str(tmp_path / "projection.pth"),
    )
    assert torch.equal(writer.module.model.query_tokens, queries)
    assert writer.module.model.vision_model.post_layernorm.eps == 1e-5


def test_the_biases_of_a_lavis_tower_are_joined() -> None:
    named = by_our_names(
        {
            "visual_encoder.blocks.3.attn.q_bias": torch.ones(2),
            "visual_encoder.blocks.3.attn.v_bias": torch.full((2,), 2.0),
            "visual_encoder.blocks.3.norm2.weight": torch.ones(2),
            "Qformer.bert.encoder.layer.0.crossattention.self.key.weight": torch.ones(1),
            "llama_proj.bias": torch.ones(1),
        }
    )
    assert named["vision_model.encoder.layers.3.self_attn.qkv.bias"].tolist() == [1, 1, 0, 0, 2, 2]
    assert named.keys() == {
        "vision_model.encoder.layers.3.self_attn.qkv.bias",
        "vision_model.encoder.layers.3.layer_norm2.weight",
        "qformer.encoder.layer.0.crossattention.attention.key.weight",
        "language_projection.bias",
    }


def test_files_of_another_kind_or_size_are_refused_in_one_line(root: Path, tmp_path: Path) -> None:
    torch.save({"model": {"t5_proj.weight": torch.ones(2, 2)}}, tmp_path / "t5.pth")
    with pytest.raises(UserError, match="no projection of Mini-GPT4"):
        load(root, projection=str(tmp_path / "t5.pth"))
    write_minigpt4(tmp_path / "wide.pth", text_width=48)
    with pytest.raises(UserError, match="language model of width 48, not 32"):
        load(root, projection=str(tmp_path / "wide.pth"))
    write_minigpt4(tmp_path / "more.pth", more={"lora.weight": torch.ones(1)})
    with pytest.raises(UserError, match=r"that Mini-GPT4 has not, as lora\.weight"):
        load(root, projection=str(tmp_path / "more.pth"))
    write_minigpt4(tmp_path / "narrow.pth", width=8)
    with pytest.raises(UserError, match=r"of another size \(language_projection.weight\)"):
        load(root, projection=str(tmp_path / "narrow.pth"))
    with pytest.raises(UserError, match="needed is a BLIP-2"):
        load(root, blip2=str(write_llava(tmp_path / "llava")))
    with pytest.raises(UserError, match="has its own tower"):
        load(root, vision="eva_vit_g.pth")
    with pytest.raises(UserError, match=r"is a t5 model; needed is Vicuna|needed is Vicuna"):
        MiniGPT4Writer(str(root / "blip2"), str(root / "projection.pth"), str(root / "blip2"))
    with pytest.raises(UserError, match="no checkpoint at"):
        load(root, projection=str(tmp_path / "nothing.pth"))


def test_only_the_shards_that_hold_tower_and_qformer_are_read(root: Path, tmp_path: Path) -> None:
    whole = load(root).module.model
    folder = tmp_path / "sharded"
    whole.save_pretrained(folder, max_shard_size="60KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    eyes = eyes_of(str(folder))
    language = [s for s in shards if all(n.startswith("language") for n in load_file(s))]
    assert language
    for shard in language:
        shard.unlink()
    again = eyes_of(str(folder))
    assert again.weights.keys() == eyes.weights.keys()
    assert again.queries == QUERIES
