"""What stands in the header of a released file: what it is (modelspec) and where it comes from (gpd)."""

import json
from pathlib import Path

from safetensors.torch import save_file

from gpd.artifacts import hash_json
from gpd.documents.reading import parse_json
from gpd.models.exchange import Weights
from gpd.release.student import Student


def make_header(student: Student, *, is_adapter: bool) -> dict[str, str]:
    """Text by key, as safetensors keeps it. No time stands in it: equal exports have equal bytes."""
    return {"format": "pt", **_modelspec(student, is_adapter), **_lineage(student), **_sampling(student)}


def _modelspec(student: Student, is_adapter: bool) -> dict[str, str]:
    """Keys of https://github.com/Stability-AI/ModelSpec."""
    exchange, settings = student.exchange, student.manifest.params
    values = {
        "sai_model_spec": "1.0.0",
        "architecture": f"{exchange.architecture}/lora" if is_adapter else exchange.architecture,
        "implementation": exchange.implementation,
        "title": student.stem,
        "description": "Guided Progressive Distillation: fewer steps, no guidance",
        "license": exchange.license,
        "usage_hint": f"{student.grid.num_steps} Euler steps, shift {student.shift:g}, guidance scale 1 (off)",
    }
    if "model.width" in settings and "model.height" in settings:
        values["resolution"] = f"{settings['model.width']}x{settings['model.height']}"
    return {f"modelspec.{key}": value for key, value in values.items()}


def _lineage(student: Student) -> dict[str, str]:
    """Content hashes of the student, of all that went into it, and of its settings."""
    names = {"teacher": "base"}
    parents = {names.get(relation, relation): parent.content for relation, parent in student.manifest.inputs.items()}
    own = {"student": student.manifest.content, "params": hash_json(student.manifest.params)}
    return {f"gpd.{key}": value for key, value in {**own, **parents}.items()}


def _sampling(student: Student) -> dict[str, str]:
    grid = student.grid
    return {
        "gpd.stage": student.manifest.facts.stage,
        "gpd.steps": str(grid.num_steps),
        "gpd.shift": repr(student.shift),
        "gpd.sigmas": json.dumps([round(float(sigma), 6) for sigma in grid.sigmas]),
        "gpd.sampler": "euler",
        "gpd.guidance_scale": "1.0",
    }


def save_with_header(tensors: Weights, path: Path, header: dict[str, str]) -> None:
    """A safetensors file whose bytes depend on its content alone: the library writes the header in any order."""
    save_file(tensors, path, metadata=header)
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        entries = parse_json(file.read(size).decode())
        entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= size, "the same entries in another order"
        file.seek(8)
        file.write(text.ljust(size))
