import pytest
import torch

from gpd.core.precision import exact_products, fast_dtype, multiplies_bfloat16, multiply_on_tensor_cores


@pytest.mark.parametrize("device", ["cpu", "cuda", torch.device("cuda", 0)])
def test_float32_stays_float32(device: torch.device | str) -> None:
    assert fast_dtype("float32", device) == "float32"


def test_a_gpu_gets_what_was_wanted() -> None:
    assert fast_dtype("bfloat16", "cuda") == "bfloat16"


def test_a_cpu_gets_bfloat16_only_with_instructions_for_it() -> None:
    """AVX2 has none; of the wider sets only some have."""
    assert isinstance(multiplies_bfloat16("cpu"), bool)
    assert fast_dtype("bfloat16", "cpu") == ("bfloat16" if multiplies_bfloat16("cpu") else "float32")
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        assert not multiplies_bfloat16("cpu")


@pytest.mark.parametrize(
    ("wanted", "has_gpu", "becomes"),
    [("bfloat16", True, "high"), ("float32", True, "highest"), ("bfloat16", False, "highest")],
)
def test_only_who_wants_bfloat16_of_a_gpu_gets_tf32(
    wanted: str, has_gpu: bool, becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    with exact_products():
        multiply_on_tensor_cores(wanted)
        assert torch.get_float32_matmul_precision() == becomes


def test_exact_products_end_with_their_block() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_what_each_format_leaves_of_a_small_change() -> None:
    """bfloat16, TF32, float32: weights of .03 that 150 iterations at a rate of 1e-6 took on a random walk."""
    generator = torch.Generator().manual_seed(0)
    weights = 0.03 * torch.randn(200_000, generator=generator, dtype=torch.float64)
    change = 1e-6 * 150**0.5 * torch.randn(200_000, generator=generator, dtype=torch.float64)
    assert [round(kept(weights, change, bits), 2) for bits in (8, 11, 24)] == [0.33, 0.82, 1.0]


def kept(weights: torch.Tensor, change: torch.Tensor, bits: int) -> float:
    """Cosine of a change and what is left of it when weights are rounded to so many significant bits."""
    left = rounded(weights + change, bits) - rounded(weights, bits)
    return float(torch.nn.functional.cosine_similarity(left, change, dim=0))


def rounded(values: torch.Tensor, bits: int) -> torch.Tensor:
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp(torch.round(mantissa * 2**bits) / 2**bits, exponent)
