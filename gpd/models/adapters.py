"""Low-rank training (LoRA: Hu et al. 2021, arXiv 2106.09685) by PEFT: a matrix stays, two thin factors learn."""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.randomness import Stream, seed_of
from gpd.documents import check_files
from gpd.documents.reading import parse_json

WEIGHTS_FILE = "pytorch_lora_weights.safetensors"  # as diffusers' `load_lora_weights` looks for it in a folder
HEADER_KEY = "lora_adapter_metadata"  # of the file's header; without it diffusers would guess the scale
SIDES = ("lora_A", "lora_B")


class Factors(NamedTuple):
    """An adapter as it is stored.

    Attributes:
        rank: of every pair of factors; PEFT's alpha is the same, which makes the scale alpha / rank 1.
        tensors: `MATRIX.lora_A.weight` [rank, n] and `MATRIX.lora_B.weight` [m, rank] for each matrix [m, n].
    """

    rank: int
    tensors: dict[str, Tensor]


def block_matrices(network: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of the transformer's blocks by name: neither the layers before and after, nor factors."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and ".blocks." in f".{name}" and ".lora_" not in name
    }


def adapted_layers(network: nn.Module) -> dict[str, Any]:
    """The layers that have factors, by the names of their matrices."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {name: module for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)}


def add_factors(network: nn.Module, matrices: Iterable[str], name: str, rank: int, seed: int = 0) -> None:
    """New factors called `name` beside these matrices, in the matrices' format; nothing else changes.

    W [m, n] becomes W + B A with A [rank, n] and B [m, rank]; B begins as zero, so that the network stays what it is.
    PEFT's factor alpha / rank is 1: under Adam it does what the learning rate does (Hu et al., section 4.1). Equal
    (rank, seed) give equal factors.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(matrices))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
        torch.manual_seed(seed_of(seed, Stream.ADAPTER))
        inject_adapter_in_model(config, network, adapter_name=name)


def check_rank(network: nn.Module, rank: int) -> None:
    """Whether the blocks' matrices can have factors of this rank.

    Raises:
        UserError: one of them cannot.
    """
    for name, module in block_matrices(network).items():
        most = min(module.weight.shape)
        if rank > most:
            raise UserError(
                f"params.yaml: distill.lora_rank={rank} is more than {name}.weight can have: it is "
                f"{list(module.weight.shape)}, of rank {most} at most"
            )


def attach(network: nn.Module, factors: Factors, source: Path) -> None:
    """Gives a plain network an adapter for good, frozen and in the format of the network's matrices.

    Raises:
        UserError: the adapter, which comes from `source`, is for other matrices.
    """
    matrices = list(block_matrices(network))
    check_names(matrices, factors, source)
    add_factors(network, matrices, "student", factors.rank)
    fill(adapted_layers(network), "student", factors)
    network.requires_grad_(False)


def check_names(matrices: Iterable[str], factors: Factors, source: Path) -> None:
    """Whether the adapter has factors for each of these matrices and for no others.

    Raises:
        UserError: naming the first tensor that is missing or has no place.
    """
    wanted = {f"{name}.{side}.weight" for name in matrices for side in SIDES}
    for name in sorted(wanted ^ factors.tensors.keys()):
        what = "is missing" if name in wanted else "has no place in this base model"
        raise UserError(f"{source}: {name} {what}")


def fill(layers: Mapping[str, Any], name: str, factors: Factors) -> None:
    """Sets the factors called `name`."""
    with torch.no_grad():
        for matrix, layer in layers.items():
            for side in SIDES:
                getattr(layer, side)[name].weight.copy_(factors.tensors[f"{matrix}.{side}.weight"])


def merge(network: nn.Module) -> None:
    """Leaves plain weights W + B A and no trace of the factors; a network without factors stays as it is."""
    if not hasattr(network, "peft_config"):
        return
    for name, module in adapted_layers(network).items():
        module.merge()
        network.set_submodule(name, module.get_base_layer(), strict=True)
    del network.peft_config


def save_factors(folder: Path, factors: Factors) -> None:
    """Writes the adapter as diffusers does: names begin with the part that they are for, the header has its settings.

    The header has this one key: safetensors writes several in an order that changes from run to run.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in factors.tensors.items()}
    part = next(iter(tensors)).partition(".")[0]
    matrices = sorted({name.removeprefix(f"{part}.").rpartition(".lora_")[0] for name in tensors})
    settings = {"r": factors.rank, "lora_alpha": factors.rank, "target_modules": matrices}
    header = json.dumps({f"{part}.{key}": value for key, value in settings.items()}, indent=2, sort_keys=True)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={HEADER_KEY: header})


def load_factors(folder: Path) -> Factors:
    """The adapter that lies in a folder.

    Raises:
        UserError: it is damaged, or its factors are not of one rank and of scale 1 as ours are.
    """
    path = folder / WEIGHTS_FILE
    check_files(folder, WEIGHTS_FILE)
    try:
        with safe_open(path, framework="pt") as file:
            header, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings = parse_json(header.get(HEADER_KEY, "{}"))
    except Exception as error:  # noqa: BLE001 - safetensors has an exception of its own for each kind of damage
        raise UserError(f"{path}: not readable as an adapter ({error})") from None
    ranks = {tensor.shape[0] for name, tensor in tensors.items() if ".lora_A." in name}
    scales = {value for key, value in settings.items() if key.endswith((".r", ".lora_alpha"))}
    if len(ranks) != 1 or scales != ranks:
        raise UserError(f"{path}: factors of rank {sorted(ranks)} with r and lora_alpha {sorted(scales)}; expected one")
    return Factors(ranks.pop(), tensors)
