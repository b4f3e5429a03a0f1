"""Source folders to prepare."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.data import prepare
from gpd.params import Params, load_params

PROMPTS = [f"prompt number {i}" for i in range(20)]


def params_of(num_evaluation_prompts: int = 4, seed: int = 0) -> Params:
    params = load_params(Path(str(resources.files("gpd.models") / "profiles" / "tiny-wan.yaml")))
    settings = {"source": "source", "num_evaluation_prompts": num_evaluation_prompts, "seed": seed}
    return params.model_copy(update={"prepare": params.prepare.model_copy(update=settings)})


def write_source(
    prompts: str | None = "\n".join(PROMPTS) + "\n",
    evaluation: str | None = None,
    rows: str | None = None,
    **folders: list[dict[str, Any] | str],
) -> None:
    """A source folder; `clips` and `evaluation_clips` are lists of captions, each file holds its own name."""
    files = {"prompts.txt": prompts, "prompts.jsonl": rows, "evaluation.txt": evaluation}
    for name, text in files.items():
        if text is not None:
            artifacts.write_text(Path("source") / name, text)
    for folder, captions in folders.items():
        for row in captions:
            if isinstance(row, dict) and isinstance(row.get("file"), str):
                artifacts.write_text(Path("source") / folder / row["file"], f"{folder}/{row['file']}")
        lines = [row if isinstance(row, str) else json.dumps(row) for row in captions]
        artifacts.write_text(Path("source") / folder / "captions.jsonl", "".join(f"{line}\n" for line in lines))


def read(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path("data/prompts", name).read_text(encoding="utf-8").split("\n") if line]


def error_of(**settings: int) -> str:
    with pytest.raises(UserError) as caught:
        prepare.run(params_of(**settings))
    assert not Path("data/prompts").exists()
    return str(caught.value)


def texts(split: str) -> list[str]:
    return [row["text"] for row in read("prompts.jsonl") if row["split"] == split]
