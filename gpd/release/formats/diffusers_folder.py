"""The complete pipeline in a folder, for `WanPipeline.from_pretrained`."""

import shutil
from pathlib import Path

from gpd.artifacts import replace_file, write_json
from gpd.documents.reading import parse_json
from gpd.models.exchange import Weights
from gpd.release.formats.format import Source
from gpd.release.formats.full import FullFormat, round_weights
from gpd.release.student import Student, load_plain

SCHEDULER = Path("scheduler/scheduler_config.json")
CALL = "call_the_pipeline_with"


class DiffusersFolder(FullFormat):
    """model_index.json at the top of the release, and the folders that it names."""

    name = "diffusers"

    def write(self, source: Source, folder: Path, dtype: str) -> Path:
        """By the family itself, from the student's folder."""
        student = source.student
        network = load_plain(student.model)
        weights = round_weights(student, dtype)
        for name, parameter in network.transformer.named_parameters():
            parameter.data = weights[name]
        _save(student, folder, network)
        _part_from_links(folder)
        say_how_to_call(folder / SCHEDULER, student.grid.num_steps)
        return folder

    def read(self, source: Source, path: Path) -> Weights:
        """By diffusers, with all parts."""
        return source.student.exchange.load_pipeline(path)


def _save(student: Student, folder: Path, network: object) -> None:
    facts = student.manifest.facts
    student.model.save_student(folder, network, grid_steps=facts.grid_steps, shift=student.shift)  # type: ignore[arg-type]


def _part_from_links(folder: Path) -> None:
    """What is handed out shares no file with the student: an edit there must not reach it."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_nlink > 1:
            copy = path.with_name(f".{path.name}.partial")
            shutil.copy2(path, copy)
            replace_file(copy, path)


def say_how_to_call(config: Path, steps: int) -> None:
    """Has diffusers print, whenever it loads the folder, the arguments that it has no place to keep.

    It warns of keys in a scheduler's config that it has no use for, with their values, keeps them in
    `pipeline.scheduler.config` and saves them again.
    """
    said = f"num_inference_steps={steps}, guidance_scale=1.0; its defaults, 50 guided steps, burn the clip"
    write_json(config, parse_json(config.read_text(encoding="utf-8")) | {CALL: said})
