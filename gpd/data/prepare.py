"""DVC stage `prepare`: collects prompts and clips of a source folder, checks them and settles the split."""

from collections.abc import Sequence
from pathlib import Path

from gpd import artifacts, documents
from gpd.data.rows import CLIP_ROWS, PROMPT_ROWS, PROMPTS, Prompt, save_rows
from gpd.data.sources import collect
from gpd.data.texts import text_id
from gpd.documents import PromptsFacts
from gpd.params import Params
from gpd.stages import settings_of

MAX_SHOWN = 5  # names of files in a line


def run(params: Params) -> None:
    """Writes data/prompts/ from the folder that params.prepare.source names.

    Raises:
        UserError: one line for each thing that is wrong in the source.
    """
    settings = settings_of("prepare", params.model_dump())
    with documents.recording_run("prepare", settings) as record:
        source = collect(Path(params.prepare.source), params.prepare)
        training, held_out = _rows(source.training, "train"), _rows(source.evaluation, "evaluation")
        with artifacts.replacing(PROMPTS) as folder:
            save_rows(folder / PROMPT_ROWS, [*training, *held_out])
            save_rows(folder / CLIP_ROWS, source.clips)
            facts = PromptsFacts(
                num_prompts=len(training), num_evaluation_prompts=len(held_out), num_clips=len(source.clips)
            )
            manifest = documents.write_manifest(folder, facts, inputs={}, params=settings)
        record.wrote(PROMPTS, manifest)
    print(
        f"prepare: {facts.num_prompts} training prompts, {facts.num_evaluation_prompts} held out, "
        f"{facts.num_clips} clips -> {PROMPTS}/{others_line(source.others)}"
    )


def others_line(others: Sequence[str]) -> str:
    """Which files among the clips were passed over, in one line; empty if none were."""
    if not others:
        return ""
    more = f" and {len(others) - MAX_SHOWN} more" if len(others) > MAX_SHOWN else ""
    are = "1 file is" if len(others) == 1 else f"{len(others)} files are"
    return f"; {are} no clips: {', '.join(others[:MAX_SHOWN])}{more}"


def _rows(texts: list[str], split: str) -> list[Prompt]:
    return [Prompt(id=text_id(text), text=text, split=split) for text in texts]
