from pathlib import Path

import pytest

from gpd import documents
from gpd.artifacts import UserError
from gpd.data import prepare
from gpd.documents import PromptsFacts
from tests.data.sources import PROMPTS, params_of, texts, write_source

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_splits_off_the_asked_number_by_hash() -> None:
    write_source()
    prepare.run(params_of(4))
    assert len(texts("evaluation")) == 4
    assert sorted(texts("train") + texts("evaluation")) == sorted(PROMPTS)
    facts = documents.load_manifest(Path("data/prompts"), PromptsFacts).facts
    assert facts == PromptsFacts(num_prompts=16, num_evaluation_prompts=4, num_clips=0)
    assert documents.verify(Path("data/prompts")) == []


def test_a_rerun_gives_the_same_bytes() -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "a cat"}])
    prepare.run(params_of())
    before = {path.name: path.read_bytes() for path in Path("data/prompts").iterdir()}
    prepare.run(params_of())
    assert {path.name: path.read_bytes() for path in Path("data/prompts").iterdir()} == before


def test_a_failure_leaves_the_old_output() -> None:
    write_source()
    prepare.run(params_of())
    before = documents.load_manifest(Path("data/prompts"))
    write_source("one\none\n")
    with pytest.raises(UserError):
        prepare.run(params_of())
    assert documents.load_manifest(Path("data/prompts")) == before
    assert documents.verify(Path("data/prompts")) == []
