"""Shared fixtures: real parts, small enough that the whole suite stays quick."""

import gc
import os
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ["PREFECT_API_URL"] = ""  # a server of somebody's own is not ours to use

from collections.abc import Generator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.workspace import evaluated, workspace  # noqa: F401

pytest_plugins = ["tests.costs", "tests.order"]

# No deadlines: nothing here asserts a time. In CI the same examples every run, so that a red run can be repeated;
# elsewhere new ones, so that somebody meets what CI does not. 40 of them: what 40 do not find, 100 seldom do.
settings.register_profile("gpd", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=40)
settings.load_profile("gpd")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules are no garbage: nobody looks for any while they are imported, and later they are passed over."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
    """The tracked files, as a repository of its own, with `dvc repro` done: to copy from, never to work in.

    It is made once, whatever the number of test processes; their folders lie side by side in that of the run.
    """
    from tests.clone import make_copy, run

    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "clone"
    folder, done = shared / "gpd", shared / "done"
    with FileLock(f"{shared}.lock"):
        if not done.exists():
            shutil.rmtree(shared, ignore_errors=True)  # of a process that failed
            make_copy(folder)
            run("dvc", "repro", cwd=folder)
            done.touch()
    return folder
