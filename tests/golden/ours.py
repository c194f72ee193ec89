"""A golden set of BLIP-2 stage 1, and what lskd.blip2 makes of the same inputs."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2 import names, weights
from lskd.blip2.negatives import Kin, Negatives, relate, weigh
from lskd.blip2.objectives import Batch, Losses, StudentObjective, critic_loss
from lskd.blip2.scoring import Ask, score
from lskd.blip2.size import Attention, QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import Critic, Stage1, Verdict, new_critic, new_student
from lskd.blip2.text import Texts, to_write

Pairs = dict[str, tuple[Tensor, Tensor]]  # ours and theirs, by name


class Golden:
    """The files of a golden set."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self.size = size
        self.about: dict[str, Any] = json.loads((folder / f"{size}.json").read_text("utf-8"))
        self.io = self.tensors(f"{size}_io")
        self.gradients = self.tensors(f"{size}_grads")
        self.weights = self.tensors(f"{size}_weights")
        self.heads = self.tensors(f"{size}_critic_heads")
        self.decode_id = int(self.about["special"]["bos_DEC"])

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of a file, or none if the set lacks it."""
        path = self.folder / f"{name}.safetensors"
        return load_file(path) if path.is_file() else {}

    @property
    def texts(self) -> Texts:
        """Return the tokenised texts."""
        return Texts(self.io["in.input_ids"], self.io["in.attention_mask"])

    def student(self, attention: Attention) -> Stage1:
        """Return the student with the set's weights."""
        student = new_student(self._size(), attention, dropout=0.0)
        _read_as_lavis(student, self.weights)
        return student.eval()

    def critic(self, attention: Attention) -> Critic:
        """Return the critic with the set's weights."""
        critic = new_critic(self._size(), attention, dropout=0.0)
        lacking = ("vision_proj.", "text_proj.", "temp")
        kept = {name: t for name, t in self.weights.items() if not name.startswith(lacking)}
        _read_as_lavis(critic, kept | self.heads)
        return critic.eval()

    def _size(self) -> Size:
        config = self.about["config"]
        vit, bert = config["vit"], config["qformer"]
        return Size(
            VisionSize(
                kind="eva",
                image=config["img_size"],
                patch=vit["patch_size"],
                width=vit["embed_dim"],
                depth=vit["depth"],
                heads=vit["num_heads"],
                mlp=int(vit["embed_dim"] * vit["mlp_ratio"]),
            ),
            QFormerSize(
                width=bert["hidden_size"],
                depth=bert["num_hidden_layers"],
                heads=bert["num_attention_heads"],
                mlp=bert["intermediate_size"],
                queries=config["num_query_token"],
                vocabulary=self.about["vocab_size_with_DEC"],
                positions=bert["max_position_embeddings"],
                cross_every=bert["cross_attention_freq"],
            ),
            config["embed_dim"],
        )


def _read_as_lavis(model: weights.Model, tensors: dict[str, Tensor]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lavis.pth"
        torch.save({"model": tensors}, path)
        weights.load(model, path)


def student_states(golden: Golden, student: Stage1) -> Pairs:
    """Return what the passes of a student give."""
    io, texts, qformer = golden.io, golden.texts, student.backbone.qformer
    rows = torch.arange(len(texts))
    features = student.backbone.features(io["in.image"])
    memory = student.backbone.remember(features)
    past = _keys_and_values(student)
    queries, states = qformer.write(memory, Texts(to_write(texts, golden.decode_id), texts.mask))
    ours = {name: kept[:, :, : qformer.size.queries] for name, kept in past.items()}
    matched = qformer.match(
        memory.seen_by(torch.cat([rows, io["in.img_neg"], rows])),
        texts.take(torch.cat([rows, rows, io["in.txt_neg"]])),
    )
    head = student.matching(matched)
    read = qformer.read(texts)
    logits = student.written(states)
    ours |= {
        "vit_output": features,
        "image_embeds": student.backbone.ln_vision(features),
        "query_output": queries,
        "text_output": read,
        "image_feats": student.contrast.of_views(queries),
        "text_feat": student.contrast.of_texts(read),
        "itm_output": matched,
        "itm_head_out": head,
        "itm_logits": head.mean(dim=1),
        "itm_labels": (torch.arange(3 * len(texts)) < len(texts)).long(),
        "lm_hidden": states,
        "lm_logits": logits,
        "lm_nll_per_text": functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), io["in.lm_labels"][:, 1:], reduction="none"
        ).sum(dim=1),
    }
    pairs = paired(golden, "stage1", ours)
    _cut(pairs, "stage1.itm_output", qformer.size.queries)
    _cut(pairs, "stage1.text_output", 1)
    for name in ("stage1.lm_hidden", "stage1.lm_logits"):  # behind a text they mean nothing
        one, other = pairs[name]
        pairs[name] = (one[texts.mask.bool()], other[texts.mask.bool()])
    alone = qformer.look(memory)
    return pairs | {"stage1.query_output (alone)": (alone, io["stage1.query_output"])}


def _keys_and_values(student: Stage1) -> dict[str, Tensor]:
    """Keep what the first and last layers' self-attention makes, (texts, heads, rows, width)."""
    kept: dict[str, Tensor] = {}
    layers = student.backbone.qformer.model.encoder.layer
    heads = student.backbone.qformer.size.heads

    def keeper(name: str) -> Any:
        def keep(_: nn.Module, __: Any, made: Tensor) -> None:
            if name not in kept:  # the first pass is the one that is asked about
                kept[name] = made.reshape(*made.shape[:2], heads, -1).transpose(1, 2)

        return keep

    for number in {0, len(layers) - 1}:
        attention = layers[number].attention.attention
        attention.key.register_forward_hook(keeper(f"query_past_key.{number}"))
        attention.value.register_forward_hook(keeper(f"query_past_value.{number}"))
    return kept


def student_similarities(golden: Golden, student: Stage1, prefix: str, kin: Kin) -> Pairs:
    """Return similarities and the weights of hard negatives."""
    batch = _batch(golden, student)
    backbone = student.backbone
    queries = backbone.qformer.look(backbone.remember(batch.features))
    objective = StudentObjective(student, golden.decode_id, kin)
    to_texts, to_views = objective.similarities(queries, batch.texts, [len(batch.texts)])
    negative = relate(batch.images, batch.wordings, torch.arange(len(batch.texts)), kin).negative
    ours = {
        "sim_i2t": to_texts,
        "sim_t2i": to_views,
        "weights_i2t": weigh(to_texts, negative),
        "weights_t2i": weigh(to_views, negative),
    }
    return paired(golden, prefix, ours)


def _batch(golden: Golden, student: Stage1) -> Batch:
    texts = golden.texts
    rows = torch.arange(len(texts))
    features = student.backbone.features(golden.io["in.image"])
    return Batch(features, texts, golden.io["in.image_id"], rows)


def student_losses(
    golden: Golden, student: Stage1, with_ids: bool, gathered_gradient: bool = False
) -> Losses:
    """Return the losses of LAVIS' forward pass, which was given image ids or not."""
    io, prefix = golden.io, "in.imageid_" if with_ids else "in."
    kin: Kin = "shared" if with_ids else "release"
    objective = StudentObjective(student, golden.decode_id, kin, gathered_gradient)
    negatives = Negatives(io[f"{prefix}img_neg"], io[f"{prefix}txt_neg"])
    losses: Losses = objective(_batch(golden, student), negatives=negatives)
    return losses


def named_losses(losses: Losses) -> dict[str, Tensor]:
    """Return the losses under the names of the golden set."""
    return {
        "loss": losses.total,
        "loss_itc": losses.itc,
        "loss_itm": losses.itm,
        "loss_lm": losses.itg,
    }


def shared_id_matching(golden: Golden, student: Stage1) -> Tensor:
    """Return the match logits with the negatives that were drawn with image ids, (3 texts, 2)."""
    io, texts = golden.io, golden.texts
    rows = torch.arange(len(texts))
    memory = student.backbone.remember(student.backbone.features(io["in.image"]))
    verdict = student.judge(
        memory.seen_by(torch.cat([rows, io["in.imageid_img_neg"], rows])),
        texts.take(torch.cat([rows, rows, io["in.imageid_txt_neg"]])),
    )
    return verdict.match


def scores(golden: Golden, student: Stage1) -> Pairs:
    """Return what `score` says of every text about every view, and of each about its own."""
    io, texts = golden.io, golden.texts
    tokens = [tuple(row[mask.bool()].tolist()) for row, mask in zip(*_both(texts), strict=True)]
    count = len(tokens)

    def features(views: Any) -> Tensor:
        return student.backbone.features(io["in.image"][list(views)])

    asks = [Ask(view, text) for view in range(count) for text in tokens]
    answers = score(student, asks, features, similarities=True)
    assert answers.similarity is not None
    own = score(student, [Ask(n, tokens[n]) for n in range(count)], features, similarities=True)
    assert own.similarity is not None
    ours = {
        "compute_itm": answers.verdict.match[:, 1].reshape(count, count),
        "sim_matrix_no_temp": answers.similarity.reshape(count, count),
        "blip2itm_itm_logits": own.verdict.match,
        "blip2itm_itc": own.similarity[:, None],
    }
    return paired(golden, "eval", ours)


def _both(texts: Texts) -> tuple[Tensor, Tensor]:
    return texts.ids, texts.mask


def critic_states(golden: Golden, critic: Critic) -> Pairs:
    """Return what the critic gives, and its losses."""
    io, texts, qformer = golden.io, golden.texts, critic.backbone.qformer
    memory = critic.backbone.remember(critic.backbone.features(io["in.image"]))
    hidden = qformer.match(memory, texts)
    said = critic.judge(memory, texts)
    assert said.qa is not None and said.rationale is not None
    label, qa, rationale = io["in.label"], io["in.qa_label"], io["in.r_label"]
    match = critic_loss(said, label)
    ours = {
        "hidden": hidden,
        "logits": said.match,
        "prediction": said.match.softmax(dim=1),
        "qa_head_out": critic.qa(hidden),
        "r_head_out": critic.rationale(hidden),
        "qa_logits": said.qa,
        "r_logits": said.rationale,
        "label_loss": match,
        "qa_loss": 2 * (critic_loss(said, label, qa=qa) - match),
        "r_loss_fixed": 2 * (critic_loss(said, label, rationale=rationale) - match),
        "r_loss_released_bug": 2 * (critic_loss(said, label, rationale=qa) - match),
        "loss_fixed": critic_loss(said, label, qa, rationale),
        "loss_released": critic_loss(said, label, qa, qa),
    }
    pairs = paired(golden, "critic", ours)
    _cut(pairs, "critic.hidden", qformer.size.queries)
    return pairs


def student_gradients(golden: Golden, attention: Attention, group: str) -> dict[str, Tensor]:
    """Return the gradients of one of the student's losses, under LAVIS' names."""
    student = golden.student(attention)
    student.backbone.freeze(vision=True)
    losses = student_losses(
        golden, student, group.endswith("_imageid"), group.endswith("_not_detached")
    )
    loss = {"itc": losses.itc, "itm": losses.itm, "lm": losses.itg, "total": losses.total}
    loss[group.split("_")[0]].backward()  # type: ignore[no-untyped-call]  # torch's own
    return lavis_gradients(student)


def critic_gradients(golden: Golden, attention: Attention) -> dict[str, Tensor]:
    """Return the gradients of the critic's mended loss, under LAVIS' names."""
    io, critic = golden.io, golden.critic(attention)
    memory = critic.backbone.remember(critic.backbone.features(io["in.image"]))
    said: Verdict = critic.judge(memory, golden.texts)
    loss = critic_loss(said, io["in.label"], io["in.qa_label"], io["in.r_label"])
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    return lavis_gradients(critic)


def lavis_gradients(model: weights.Model) -> dict[str, Tensor]:
    """Return the gradients of a model, zero where there is none, under LAVIS' names."""
    parameters = dict(model.named_parameters())
    gradients: dict[str, Tensor] = {}
    for link in names.lavis(model):
        ours = [parameters[name] for name in link.ours]
        joined = [torch.zeros_like(p) if p.grad is None else p.grad for p in ours]
        whole = torch.cat(joined) if len(joined) > 1 else joined[0]
        pieces = whole.tensor_split(len(link.theirs)) if len(link.theirs) > 1 else (whole,)
        gradients |= dict(zip(link.theirs, pieces, strict=True))
    return gradients


def _cut(pairs: Pairs, name: str, states: int) -> None:
    """Compare only the first states of rows: the pass makes no others."""
    mine, theirs = pairs[name]
    pairs[name] = (mine, theirs[:, :states])


def paired(golden: Golden, prefix: str, ours: dict[str, Tensor]) -> Pairs:
    """Return those of our tensors that the set has."""
    known = {f"{prefix}.{name}": tensor for name, tensor in ours.items()}
    return {name: (t, golden.io[name]) for name, t in known.items() if name in golden.io}
