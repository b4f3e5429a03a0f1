"""Low-rank training (LoRA: Hu et al. 2021, arXiv 2106.09685) by PEFT: a matrix stays, two thin factors learn."""

import torch
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.randomness import Stream, seed_of


def block_matrices(network: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of the transformer's blocks by name: neither the layers before and after, nor factors."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and ".blocks." in f".{name}" and ".lora_" not in name
    }


def make_trainable(network: nn.Module, rank: int, seed: int) -> None:
    """All weights if `rank` is 0; else new float32 factors of the blocks' matrices and nothing else.

    W [m, n] becomes W + B A with A [rank, n] and B [m, rank]; B begins as zero, so that the network stays what it is.
    PEFT's factor alpha / rank is 1: under Adam it does what the learning rate does (Hu et al., section 4.1). Equal
    (rank, seed) give equal factors.

    Raises:
        UserError: a matrix has no such rank.
    """
    network.requires_grad_(rank == 0)
    if rank == 0:
        return
    from peft import LoraConfig, inject_adapter_in_model

    matrices = block_matrices(network)
    for name, module in matrices.items():
        _check_rank(f"{name}.weight", module.weight, rank)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, Stream.ADAPTER))
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(matrices)), network)
    for weight in network.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()


def _check_rank(name: str, weight: Tensor, rank: int) -> None:
    if rank > min(weight.shape):
        raise UserError(
            f"params.yaml: distill.lora_rank={rank} is more than {name} can have: it is {list(weight.shape)}, "
            f"of rank {min(weight.shape)} at most"
        )


def merge(network: nn.Module) -> None:
    """Leaves plain weights W + B A and no trace of the factors; a network without factors stays as it is."""
    if not hasattr(network, "peft_config"):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [(name, module) for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)]
    for name, module in adapted:
        module.merge()
        network.set_submodule(name, module.get_base_layer(), strict=True)
    del network.peft_config
