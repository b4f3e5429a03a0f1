"""Shared fixtures: real parts, small enough that the whole suite stays quick."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ["PREFECT_API_URL"] = ""  # a server of somebody's own is not ours to use

from pathlib import Path

import pytest
from hypothesis import settings

from tests.workspace import evaluated, workspace  # noqa: F401

# No deadlines: nothing here asserts a time. In CI the same examples every run, so that a red run can be repeated;
# elsewhere new ones, so that somebody meets what CI does not.
settings.register_profile("gpd", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("gpd")


TESTS = Path(__file__).parent


LONGEST = (TESTS / "test_pipeline.py", TESTS / "flows")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: with several processes (`-n`) the other files then fill the gaps."""
    items.sort(key=lambda item: next((n for n, path in enumerate(LONGEST) if item.path.is_relative_to(path)), 2))


@pytest.fixture(scope="session")
def small_wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan pipeline with random weights, like the miniature but with two transformer blocks, and its manifest."""
    import torch

    from gpd import documents
    from gpd.models import wan
    from gpd.tiny import text, train, vae

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "small-wan"
    wan.save_base(
        folder,
        transformer=wan.make_transformer({**train.TRANSFORMER_CONFIG, "num_layers": 2}),
        vae=wan.make_vae({**vae.VAE_CONFIG, "base_dim": 8, "decoder_base_dim": 8}),
        text_encoder=wan.make_text_encoder(text.UMT5_CONFIG),
        tokenizer=text.make_tokenizer(),
        grid_steps=48,
        shift=3.0,
    )
    facts = documents.BaseFacts(name="small-wan", repository=None, revision=None)
    documents.write_manifest(folder, facts, inputs={}, params={})
    return folder


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, as a repository of its own, with `dvc repro` done."""
    from tests.clone import make_copy, run

    folder = make_copy(tmp_path_factory.mktemp("clone") / "gpd")
    run("dvc", "repro", cwd=folder)
    return folder
