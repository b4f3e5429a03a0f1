from collections.abc import Iterator
from pathlib import Path

import pytest

from gpd.params import Params
from tests.attack.miniature import lay_out, raw_params
from tests.workspace import working_in


@pytest.fixture(scope="session")
def encoded_miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest workspace, up to its latents: 2 x 2 x 2, a model of one block, two clips. Do not write there."""
    from gpd.data import encode, prepare

    folder, params = tmp_path_factory.mktemp("miniature") / "work", Params.model_validate(raw_params())
    lay_out(folder)
    with working_in(folder):
        prepare.run(params)
        encode.run(params, "0/1")
    return folder


@pytest.fixture
def miniature(encoded_miniature: Path) -> Iterator[Params]:
    """Its params; it is the working directory."""
    with working_in(encoded_miniature):
        yield Params.model_validate(raw_params())
