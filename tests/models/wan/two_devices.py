"""Run by test_attention under torchrun: the tokens of a clip split over two CPU processes, as over two GPUs."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig

from gpd.models import wan
from tests.models.wan.states import SHAPE, distance


def main() -> None:
    dist.init_process_group("gloo")
    torch.accelerator.device_count = lambda: 1  # diffusers numbers devices, and a CPU has none to number
    latents, timesteps, text = torch.randn(SHAPE), torch.tensor([500]), torch.randn(1, 4, 64)
    for merge_padding in (True, False):
        network = wan.load_network(Path(sys.argv[1]), merge_padding=merge_padding)
        with torch.no_grad():
            whole = network(latents, timesteps, text)
            network.transformer.enable_parallelism(config=ContextParallelConfig(ulysses_degree=2))
            split = network(latents, timesteps, text)
        if dist.get_rank() == 0:
            print(distance(split, whole) < 1e-5, end=" ")
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
