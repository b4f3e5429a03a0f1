import json

import pytest

from gpd.data import prepare
from tests.data.sources import PROMPTS, error_of, params_of, texts, write_source

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_prompts_may_be_jsonl() -> None:
    write_source(None, rows="\n".join(json.dumps({"text": text}) for text in PROMPTS))
    prepare.run(params_of(4))
    assert sorted(texts("train") + texts("evaluation")) == sorted(PROMPTS)


def test_the_source_must_be_there_with_one_prompt_file() -> None:
    assert error_of() == "prepare.source='source': no such folder"
    write_source(None, clips=[])
    assert "neither prompts.txt nor prompts.jsonl" in error_of()
    write_source(rows='{"text": "a"}')
    assert "both prompts.txt and prompts.jsonl" in error_of()
