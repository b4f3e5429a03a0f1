"""The smallest workspace that goes through every DVC stage: 2 x 2 x 2 latents, two students' iterations, real parts.

`PIPELINE` are the commands in order; `make` runs them once, and keeps the workspace before and after each.
"""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gpd import documents
from gpd.artifacts import hash_file
from gpd.models.use import profile_text
from tests.attack.command import Ended, run_command

ROOT = Path(__file__).parents[2]
CAPTIONS = ["a red box moves left", "a blue ball rests", "a green box turns", "a red ball moves right"]
REGISTRY = "registry.db"


@dataclass(frozen=True)
class Step:
    """A command of the pipeline and what it writes."""

    words: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def name(self) -> str:
        return "-".join(word for word in self.words if word not in ("--shard", "0/1"))


def _evaluated(name: str) -> tuple[str, ...]:
    return (f"data/evaluations/{name}",)


SUBJECTS = ("reference", "teacher-2", "k4")
PIPELINE = (
    Step(("prepare",), ("data/prompts",)),
    Step(("encode",), ("data/latents",)),
    Step(("distill", "k4"), ("data/students/k4",)),
    *(Step(("sample", name, "--shard", "0/1"), (f"data/samples/{name}",)) for name in SUBJECTS),
    *(Step(("evaluate", name), _evaluated(name)) for name in SUBJECTS),
    Step(("report",), ("data/report",)),
    Step(("registry", "sync"), (REGISTRY,)),
    Step(("ablate",), ("data/ablation",)),
)
ATTACKED = tuple(step for step in PIPELINE if not {"reference", "teacher-2"} & set(step.words))  # without its likes


def raw_params() -> dict[str, Any]:
    """params.yaml of the miniature's profile, made as small as its checks allow."""
    raw: dict[str, Any] = yaml.safe_load(profile_text("tiny-wan"))
    base = "data/base"
    raw["model"] |= {"path": base, "grid_steps": 8, "num_frames": 5, "height": 16, "width": 16}
    raw["prepare"] |= {"source": "data/source", "num_evaluation_prompts": 2}
    raw["encode"] |= {"samples_per_shard": 2}
    raw["sample"]["num_kept_points"] = 2
    raw["distill"] |= {"final_steps": 2, "pool_slots": 4, "warmup_iterations": 1, "save_every_seconds": 1}
    raw["distill"]["probe"] = {"num_states": 2}
    stage = {"horizon": 4, "tail": 4, "previous": base, "iterations": 6, "batch": 2, "learning_rate": 1e-4}
    raw["distill"]["stages"] = {"k4": stage}
    teacher, student = {"solver": "euler", "guidance_scale": 3.0}, {"solver": "euler", "guidance_scale": 1.0}
    raw["sample"] |= {"num_prompts": 2, "batch": 2, "diversity_prompts": 1, "diversity_seeds": 2}
    raw["sample"]["subjects"] = {
        "reference": {"checkpoint": base, "steps": 8, **teacher},
        "teacher-2": {"checkpoint": base, "steps": 2, **teacher},
        "k4": {"checkpoint": "data/students/k4", "steps": 2, **student},
    }
    raw["evaluate"] |= {"batch": 2, "num_shown_clips": 1}
    raw["report"] |= {"num_clips": 1}
    return raw


def raw_grid() -> dict[str, Any]:
    """data/ablation/grid.yaml with one variant and one floor: a training of a few iterations for each of two seeds."""
    stages = [{"horizon": 4, "tail": 4, "share": 1.0}]
    variant = {"label": "ours", "group": "rivals", "stages": stages}
    fixed = {"budget": 60, "seeds": [0, 1], "batch": 2, "learning_rate": 1e-4, "floors": [2]}
    return {**fixed, "common": {"distill.warmup_iterations": 1}, "variants": {"recipe": variant}}


def _stand_in_for_code(folder: Path) -> None:
    """Empty files and folders where dvc.yaml names code: ablations are named by it, and it may be edited meanwhile."""
    for name in set(re.findall(r"\bgpd/[\w/.]+", (folder / "dvc.yaml").read_text())):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)


def lay_out(folder: Path, *, has_base: bool = True) -> None:
    """params.yaml, dvc.yaml, a base model with random weights, prompts and two clips."""
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(raw_params(), sort_keys=False))
    shutil.copy(ROOT / "dvc.yaml", folder)
    _stand_in_for_code(folder)
    (folder / "data/ablation").mkdir(parents=True)
    (folder / "data/ablation/grid.yaml").write_text(yaml.safe_dump(raw_grid(), sort_keys=False))
    if has_base:
        _save_base(folder / "data/base")
    source = folder / "data/source"
    source.mkdir(parents=True)
    (source / "prompts.txt").write_text("".join(f"{caption}\n" for caption in CAPTIONS[:3]))
    (source / "evaluation.txt").write_text("".join(f"a yellow {word} moves up\n" for word in ("box", "ball")))
    _draw_clips(source / "clips")


def _save_base(folder: Path) -> None:
    import torch

    from gpd.models import wan
    from gpd.tiny import text, train, vae

    torch.manual_seed(0)
    small = {"num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32}
    wan.save_base(
        folder,
        transformer=wan.make_transformer({**train.TRANSFORMER_CONFIG, **small}),
        vae=wan.make_vae({**vae.VAE_CONFIG, "base_dim": 4, "decoder_base_dim": 4}),
        text_encoder=wan.make_text_encoder({**text.UMT5_CONFIG, "num_layers": 1}),
        tokenizer=text.make_tokenizer(),
        grid_steps=8,
        shift=3.0,
    )
    facts = documents.BaseFacts(name="smallest", repository=None, revision=None)
    documents.write_manifest(folder, facts, inputs={}, params={})


def _draw_clips(folder: Path) -> None:
    import json

    import numpy as np

    from gpd.data.clips import write_mp4

    rows = []
    for number in range(2):
        frames = np.random.default_rng(number).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
        write_mp4(folder / f"{number}.mp4", frames, 16.0)
        rows.append({"file": f"{number}.mp4", "caption": CAPTIONS[number]})
    (folder / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@dataclass(frozen=True)
class Miniature:
    """Workspaces: `before` has one for each step's name, in which all steps before have run and it has not."""

    before: dict[str, Path]
    expected: dict[str, dict[str, str]]  # step -> digests of what it writes, without an interruption
    seconds: dict[str, float]  # that each step took

    def after(self, step: Step) -> Path:
        """The workspace in which it has run."""
        return self.before[step.name].with_name(f"after-{step.name}")

    def run(self, step: Step, folder: Path) -> Ended:
        """A step in a workspace, undisturbed."""
        return run_command(folder, step.words)


def make(folder: Path, steps: tuple[Step, ...] = PIPELINE) -> Miniature:
    """Runs the pipeline once in `folder`, each step in a workspace of its own."""
    before, expected, seconds = {}, {}, {}
    place = folder / "start"
    lay_out(place, has_base=len(steps) > 1)  # the first step reads no model
    for step in steps:
        before[step.name] = place
        place = folder / f"after-{step.name}"
        copy(before[step.name], place)
        began = time.monotonic()
        ended = run_command(place, step.words)
        assert ended.code == 0, ended
        seconds[step.name] = time.monotonic() - began
        expected[step.name] = digests(place, step)
    return Miniature(before, expected, seconds)


def copy(source: Path, target: Path) -> None:
    """A workspace that shares its files until one replaces them: nothing here writes into a file that it finds."""
    shutil.copytree(source, target, copy_function=_share, symlinks=True)


def _share(source: str, target: str) -> None:
    if Path(source).name.startswith(REGISTRY) or source.endswith(".lock"):
        shutil.copy2(source, target)  # SQLite does, and a lock is held on the file itself
    else:
        os.link(source, target)


def digests(folder: Path, step: Step) -> dict[str, str]:
    """Content of a step's output, file by file; of the registry its rows."""
    if step.outs == (REGISTRY,):
        return _rows(folder / REGISTRY)
    found = sorted(path for out in step.outs for path in (folder / out).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in found}


def _rows(file: Path) -> dict[str, str]:
    from gpd import registry
    from gpd.registry import export_lines

    if not file.exists():
        return {}
    with registry.open_registry(str(file)) as session:
        return {str(number): line for number, line in enumerate(export_lines(session.connection()))}
