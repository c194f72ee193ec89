"""The machines that a plan is made for: "nodes=4,cpus=16,gpus=8"."""

from dataclasses import dataclass, fields

from lskd.errors import UserError


@dataclass(frozen=True, slots=True)
class Cluster:
    """Alike machines: how many `nodes`, and the processor cores and accelerators of each."""

    nodes: int = 1
    cpus: int = 1
    gpus: int = 0

    def __str__(self) -> str:
        return f"nodes={self.nodes},cpus={self.cpus},gpus={self.gpus}"


def read_cluster(text: str) -> Cluster:
    """Return the cluster that a text such as "nodes=4,cpus=16,gpus=8" names.

    Each part may be left out. Raises UserError for anything else.
    """
    form = f"--cluster {text!r}: the form is nodes=4,cpus=16,gpus=8 (cores and GPUs of each node)"
    known = {field.name for field in fields(Cluster)}
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in known or name in found or not value.isascii() or not value.isdigit():
            raise UserError(form)
        found[name] = int(value)
    cluster = Cluster(**found)
    if cluster.nodes < 1 or cluster.cpus < 1:
        raise UserError(f"{form}; at least one node with one core")
    return cluster
