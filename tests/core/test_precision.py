import pytest
import torch

from gpd.core.precision import fast_dtype, multiplies_bfloat16


@pytest.mark.parametrize("device", ["cpu", "cuda", torch.device("cuda", 0)])
def test_float32_stays_float32(device: torch.device | str) -> None:
    assert fast_dtype("float32", device) == "float32"


def test_a_gpu_gets_what_was_wanted() -> None:
    assert fast_dtype("bfloat16", "cuda") == "bfloat16"


def test_a_cpu_gets_bfloat16_only_with_instructions_for_it() -> None:
    """AVX2 has none; of the wider sets only some have."""
    assert fast_dtype("bfloat16", "cpu") == ("bfloat16" if multiplies_bfloat16("cpu") else "float32")
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        assert not multiplies_bfloat16("cpu")
