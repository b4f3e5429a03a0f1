"""DVC stage `prepare`: collects prompts and clips of a source folder, checks them and settles the split."""

import json
from pathlib import Path

from gpd import artifacts, documents
from gpd.data.sources import collect
from gpd.data.texts import text_id
from gpd.documents import PromptsFacts
from gpd.params import Params

OUTPUT = Path("data/prompts")


def run(params: Params) -> None:
    """Writes data/prompts/ from the folder that params.prepare.source names.

    Raises:
        UserError: one line for each thing that is wrong in the source.
    """
    source = Path(params.prepare.source)
    with documents.recording_run("prepare", params.prepare.model_dump()) as record:
        training, evaluation, clips = collect(source, params.prepare)
        with artifacts.replacing(OUTPUT) as folder:
            _write_lines(folder / "prompts.jsonl", [*_rows(training, "train"), *_rows(evaluation, "evaluation")])
            _write_lines(folder / "clips.jsonl", clips)
            facts = PromptsFacts(
                num_prompts=len(training), num_evaluation_prompts=len(evaluation), num_clips=len(clips)
            )
            manifest = documents.write_manifest(folder, facts, inputs={}, params=params.prepare.model_dump())
        record.wrote(OUTPUT, manifest)
    print(f"prepare: {len(training)} training prompts, {len(evaluation)} held out, {len(clips)} clips -> {OUTPUT}/")


def _rows(texts: list[str], split: str) -> list[dict[str, str]]:
    return [{"id": text_id(text), "text": text, "split": split} for text in texts]


def _write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    artifacts.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
