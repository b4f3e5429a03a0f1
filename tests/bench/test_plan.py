import pytest

from gpd.bench.plan import find_device


@pytest.mark.parametrize(
    ("name", "gib", "found"),
    [
        ("NVIDIA H100 80GB HBM3", 79.1, "h100"),
        ("NVIDIA A100-SXM4-40GB", 39.4, "a100-40"),
        ("NVIDIA A100-SXM4-80GB", 79.3, "a100-80"),
        ("NVIDIA GeForce RTX 4090", 23.5, "rtx4090"),
        ("NVIDIA T4", 14.6, None),
    ],
)
def test_a_gpu_is_found_by_its_own_name_and_memory(name: str, gib: float, found: str | None) -> None:
    device = find_device(name, gib)
    assert (device and device.name) == found
