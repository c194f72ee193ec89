"""A model that is too large for one device is spread over processes: FSDP2, through accelerate.

In: a model on each process, all alike, and an Accelerator that was launched with FSDP (as by
`accelerate launch --config_file runs/accelerate/fsdp.yaml`). Out: a module that computes the same
and of which each process keeps a share. Its `layers` are gathered one after the other as they run;
what is trained besides is gathered for a whole step, and frozen weights outside of the layers stay
whole on each process and in the model, which can be asked for what they compute.
"""

import copy
import os
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from lskd.errors import UserError

HOW = "accelerate launch --config_file runs/accelerate/fsdp.yaml"


@runtime_checkable
class Layered(Protocol):
    """A model that can be spread over processes; its forward runs before that of its layers."""

    def layers(self) -> list[nn.Module]:
        """Return the parts that are gathered one by one; none lies in another."""
        ...


def wanted() -> bool:
    """Return whether this process was launched to train with FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def spread(accelerator: Any, model: nn.Module) -> nn.Module:
    """Return a module with the same weights, of which each process keeps a share.

    The model's own weights are empty until `gather` brings them back, but for those that stay whole
    (and are the same tensors). Raises UserError for a model that has no layers, and for settings of
    accelerate that this is not made for.
    """
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    # A copy, since what FSDP makes of a module is never again one that a process has alone.
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    module = copy.deepcopy(model, dict(shared))
    layers = module.layers() if isinstance(module, Layered) else []
    if not layers:
        raise UserError(
            f"a {type(model).__name__} cannot be spread over processes by FSDP: launch this "
            "training without FSDP"
        )
    plugin = _plugin(accelerator)
    plugin.transformer_cls_names_to_wrap = sorted({type(layer).__name__ for layer in layers})
    plugin.ignored_modules = list(whole_parts(module, layers))
    for part in plugin.ignored_modules:
        part.to(accelerator.device)
    module = cast(nn.Module, fsdp2_prepare_model(accelerator, module))
    own = dict(model.named_parameters())
    for name, weight in module.named_parameters():
        if weight is not own[name]:
            own[name].data = own[name].data.new_empty(0)
    return module


def gather(module: nn.Module, model: nn.Module) -> None:
    """Give a model on each process the whole weights of the module that was made of it.

    All processes must call this.
    """
    own = dict(model.named_parameters())
    for name, weight in module.named_parameters():
        if weight is not own[name]:
            own[name].data = whole(weight.detach())


def whole_parts(model: nn.Module, layers: list[nn.Module]) -> Iterator[nn.Module]:
    """Yield the largest parts that have no layer in them and no weight that is trained."""
    inside = {id(part) for layer in layers for part in layer.modules()}
    if id(model) in inside:
        return
    trained = any(weight.requires_grad for weight in model.parameters())
    if not trained and not any(id(part) in inside for part in model.modules()):
        yield model
        return
    for part in model.children():
        yield from whole_parts(part, layers)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor as one process alone would have it; all must call this for one's sake."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()


def wholes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as `whole` does."""
    return {name: whole(tensor) for name, tensor in tensors.items()}


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """Return what this process has of a whole tensor that lies as the other one does."""
    mesh = getattr(other, "device_mesh", None)
    if mesh is None or tensor.shape != other.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    places = getattr(other, "placements", None)
    return distribute_tensor(tensor.to(torch.device(mesh.device_type)), mesh, places)


def _plugin(accelerator: Any) -> Any:
    """Return accelerate's settings of FSDP, checked, and have it take this machine's processes so.

    accelerate itself uses FSDP on accelerators only; torch can on processors, too.
    """
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    state = accelerator.state
    if accelerator.distributed_type == DistributedType.MULTI_CPU:
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
    if accelerator.distributed_type != DistributedType.FSDP:
        raise UserError(f"FSDP needs more processes than this one: start it with {HOW}")
    plugin = state.fsdp_plugin
    wrong = {
        "fsdp_version": (plugin.fsdp_version, plugin.fsdp_version == 2, "2"),
        "fsdp_auto_wrap_policy": (
            plugin.auto_wrap_policy,
            plugin.auto_wrap_policy is not None,
            "TRANSFORMER_BASED_WRAP",
        ),
        "fsdp_activation_checkpointing": (
            plugin.activation_checkpointing,
            not plugin.activation_checkpointing,
            "false (recompute = true in the model's line does it)",
        ),
        "fsdp_cpu_ram_efficient_loading": (
            plugin.cpu_ram_efficient_loading,
            not plugin.cpu_ram_efficient_loading,
            "false",
        ),
    }
    for name, (given, right, expected) in wrong.items():
        if not right:
            raise UserError(f"{name} = {given} in accelerate's settings: expected {expected}")
    return plugin
