"""One run of an ablation: the same commands as everywhere, in a small tree of its own.

.work/ablation/base-<fingerprint>/   data that all runs share: prompts, latents, the reference and the teacher's floors
.work/ablation/run-<fingerprint>/    one run's students; removed when its result is written
.work/ablation/<fingerprint>.json    the result
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.ablation.grid import Run
from gpd.documents import StudentFacts
from gpd.params import Params

FOLDER = artifacts.WORK / "ablation"
SHARED = ("prompts", "latents", "samples/reference")
TRAINING_CODE = ("core", "models", "data", "distillation")  # folders of gpd
MEASURING_CODE = ("core", "models", "data", "sampling", "evaluation", "tiny")
ROLES = ("teacher", "previous", "student")  # of training; the probe measures


def code_hash(folders: Sequence[str]) -> str:
    """Of the sources that decide a figure: figures of other code are other figures."""
    package = Path(artifacts.__file__).parent
    files = [path for folder in folders for path in sorted((package / folder).rglob("*.py"))]
    return artifacts.hash_json({str(path.relative_to(package)): artifacts.hash_file(path) for path in files})


def base_tree(params: Params) -> Path:
    """Where the shared data of a grid lies."""
    sections = params.model_dump(include={"model", "prepare", "encode", "sample", "evaluate"})
    inputs = [
        documents.identify(Path(params.model.path)).content,
        params.distill.final_steps,
        code_hash(MEASURING_CODE),
    ]
    return FOLDER / f"base-{artifacts.hash_json([sections, inputs])[:16]}"


def run_tree(run: Run) -> Path:
    """Where a run's students lie."""
    sections = run.params.model_dump(include={"model", "prepare", "encode", "distill"})
    inputs = [documents.identify(Path(run.params.model.path)).content, code_hash(TRAINING_CODE)]
    return FOLDER / f"run-{artifacts.hash_json([sections, inputs])[:16]}"


def result_file(run: Run, base: Path) -> Path:
    """Where a run's result lies."""
    return FOLDER / f"{artifacts.hash_json([run_tree(run).name, base.name])[:16]}.json"


def make_base(tree: Path, params: Params) -> None:
    """Prepares, encodes and samples the reference, and measures the undistilled teacher; nothing that is there."""
    from gpd.data import encode, prepare
    from gpd.evaluation import evaluate
    from gpd.sampling import sample

    root = Path.cwd().resolve()
    with _inside(tree, root, params):
        make: dict[str, Callable[[], None]] = {
            "prompts": lambda: prepare.run(params),
            "latents": lambda: encode.run(params, "0/1"),
        }
        for name in undistilled(params):
            make[f"samples/{name}"] = partial(sample.run, params, name)
            make[f"evaluations/{name}/clips"] = partial(evaluate.run, params, name)
        for folder, command in make.items():
            if not (Path("data") / folder / artifacts.MANIFEST).exists():
                command()


def undistilled(params: Params) -> list[str]:
    """The reference and the baselines."""
    return [name for name, subject in params.sample.subjects.items() if subject.checkpoint == params.model.path]


def load_floors(base: Path) -> dict[str, Any]:
    """The evaluations of the undistilled teacher, as one: they share their protocol."""
    paths = sorted((base / "data/evaluations").glob("*/evaluation.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return {**found[0], "subjects": {key: value for each in found for key, value in each["subjects"].items()}}


def execute(run: Run, root: Path, base: Path, num_threads: int) -> None:
    """Trains the run's stages, evaluates the last student, writes the result. In a process of its own."""
    import torch

    torch.set_num_threads(num_threads)
    os.chdir(root)
    tree = run_tree(run)
    tree.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        _link(tree / "data" / name, (base / "data" / name).resolve())
    with (
        (tree / "log.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        result = _train_and_measure(run, tree, root)
    artifacts.write_json(result_file(run, base), result)


def _train_and_measure(run: Run, tree: Path, root: Path) -> dict[str, Any]:
    from gpd.distillation import distill
    from gpd.evaluation import evaluate
    from gpd.sampling import sample

    with _inside(tree, root, run.params):
        for name in run.params.distill.stages:
            if not (Path("data/students") / name / artifacts.MANIFEST).exists():
                distill.run(run.params, name)
        sample.run(run.params, run.last_stage, "0/1")
        evaluate.run(run.params, run.last_stage)
        facts = [
            documents.load_manifest(Path("data/students") / name, StudentFacts).facts
            for name in run.params.distill.stages
        ]
        found = json.loads(Path(f"data/evaluations/{run.last_stage}/evaluation.json").read_text(encoding="utf-8"))
    subject = found["subjects"][run.last_stage]
    return {
        "format": 1,
        "variant": run.variant,
        "budget": run.budget,
        "seed": run.seed,
        "protocol": found["protocol"]["hash"],
        "training_forwards": sum(stage.forwards[role] for stage in facts for role in ROLES),
        "sampling_forwards": subject["forwards"],
        "metrics": {name: entry["value"] for name, entry in subject["metrics"].items()},
        "stages": [stage.model_dump(include={"stage", "before", "after"}) for stage in facts],
    }


@contextlib.contextmanager
def _inside(tree: Path, root: Path, params: Params) -> Iterator[None]:
    """The tree as the working directory, with the base model and the source where params look for them."""
    for name in (params.model.path, params.prepare.source):
        if not Path(name).is_absolute():
            _link(tree / name, root / name)
    with contextlib.chdir(tree):
        yield


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)
