import pytest

from gpd.artifacts import UserError
from gpd.models.base import Geometry

WAN = Geometry(channels=16, latent_frames=4, latent_px=8, token_px=16)


@pytest.mark.parametrize(
    ("size", "shape"),
    [((17, 64, 64), (16, 5, 8, 8)), ((81, 480, 832), (16, 21, 60, 104)), ((1, 16, 32), (16, 1, 2, 4))],
)
def test_shapes_of_latents(size: tuple[int, int, int], shape: tuple[int, ...]) -> None:
    WAN.check(*size)
    assert WAN.latent_shape(*size) == shape


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((18, 64, 64), "params.yaml: model: num_frames=18 is not 4k + 1; the nearest are 17 and 21"),
        ((20, 64, 64), "params.yaml: model: num_frames=20 is not 4k + 1; the nearest are 17 and 21"),
        ((17, 60, 64), "params.yaml: model: height=60 is not a multiple of 16"),
        ((17, 64, 8), "params.yaml: model: width=8 is not a multiple of 16"),
    ],
)
def test_sizes_that_do_not_come_out_even_are_named(size: tuple[int, int, int], message: str) -> None:
    with pytest.raises(UserError) as caught:
        WAN.check(*size)
    assert str(caught.value) == message


def test_every_size_has_its_line() -> None:
    with pytest.raises(UserError) as caught:
        WAN.check(2, 3, 4)
    assert len(str(caught.value).splitlines()) == 3
