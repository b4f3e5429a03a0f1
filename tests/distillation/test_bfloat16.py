"""A whole stage multiplies nothing in bfloat16 on a CPU that would emulate it, whatever params ask for."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gpd.core.precision import multiplies_bfloat16
from gpd.data import encode
from gpd.distillation import distill
from gpd.params import Params, Probe, States

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution", "_linear_pointwise", "matmul", "linear"}


class Products(TorchDispatchMode):
    """Collects the formats that products are made in."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().rpartition("::")[2].partition(".")[0]
        if name in PRODUCTS or "attention" in name:
            self.formats |= {value.dtype for value in args if isinstance(value, torch.Tensor)}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_are_made_in_a_format_that_the_cpu_has(workspace: Params, dtype: str) -> None:
    stage = workspace.distill.stages["k4"].model_copy(update={"iterations": 2, "batch": 2})
    params = workspace.model_copy(
        update={
            "model": workspace.model.model_copy(update={"dtype": dtype}),
            "distill": workspace.distill.model_copy(
                update={
                    "stages": {**workspace.distill.stages, "k4": stage},
                    "states": States(stream=1.0, clips=0.0, rollouts=0.0),
                    "pool_slots": 2,
                    "probe": Probe(num_states=2),
                }
            ),
        }
    )
    encode.run(params, "0/1")
    with Products() as products:
        distill.run(params, "k4")
    assert torch.float32 in products.formats
    if dtype == "float32" or not multiplies_bfloat16("cpu"):
        assert torch.bfloat16 not in products.formats
