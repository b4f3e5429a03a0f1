"""Runs stages of dvc.yaml in the trees of an ablation, in this process; what is finished is not run again."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gpd.ablation.commits import DIRTY
from gpd.ablation.grid import GRID_FILE
from gpd.ablation.plan import Run
from gpd.ablation.results import RunResult, StageResult
from gpd.ablation.trees import MEASURING, TRAINING, Tree, done_file
from gpd.documents import Evaluation, StudentFacts, git_state, load_document, load_manifest, write_document
from gpd.params import Params
from gpd.stages import Stage, order

EVALUATION = "evaluation.json"
ROLES = ("teacher", "previous", "student")  # of training; the probe measures


def commands() -> dict[str, Callable[[Params, str], None]]:
    """Stage of dvc.yaml -> what its command runs."""
    from gpd.data import encode, prepare
    from gpd.distillation import distill
    from gpd.evaluation import evaluate
    from gpd.sampling import sample

    return {
        "prepare": lambda params, _: prepare.run(params),
        "encode": lambda params, _: encode.run(params),
        "distill": distill.run,
        "sample": lambda params, name: sample.run(params, name, "0/1"),
        "evaluate": evaluate.run,
    }


def make(tree: Tree, root: Path) -> None:
    """Runs those stages of a tree that are not finished.

    Args:
        root: of the repository, absolute; the tree's paths are relative to it.
    """
    for path, place in tree.inputs.items():
        _link(root / tree.folder / path, root / place)
    with contextlib.chdir(tree.folder):
        for name in order(tree.stages):
            done = done_file(tree, name)
            if not done.exists():
                stage, _, item = name.partition("@")
                commands()[stage](tree.params, item)
                done.parent.mkdir(exist_ok=True)
                done.touch()


def execute(run: Run, tree: Tree, result: Path, root: Path, num_threads: int) -> None:
    """Trains a run's stages, evaluates the last student, writes the result. In a process of its own."""
    import torch

    torch.set_num_threads(num_threads)
    os.chdir(root)
    with _output_in(tree.folder / "log.txt"):
        make(tree, root)
    write_document(result, read_result(run, tree))


def read_result(run: Run, tree: Tree) -> RunResult:
    """What the stages of a finished run have written."""
    evaluation = load_evaluation(tree.folder, tree.stages[MEASURING + run.last_stage])
    scores = evaluation.subjects[run.last_stage]
    folders = [tree.folder / out for stage in tree.named(TRAINING).values() for out in stage.outs]
    facts = [load_manifest(folder, StudentFacts).facts for folder in folders]
    return RunResult(
        variant=run.variant,
        budget=run.budget,
        seed=run.seed,
        protocol=evaluation.protocol.hash,
        commit=_commit(),
        steps=scores.steps,
        training_forwards=sum(stage.forwards[role] for stage in facts for role in ROLES),
        sampling_forwards=scores.forwards,
        metrics={name: score.value for name, score in scores.metrics.items()},
        stages=[StageResult(stage=stage.stage, before=stage.before, after=stage.after) for stage in facts],
    )


def _commit() -> str | None:
    """Of the code that runs, as a person names it; what an ablation itself writes is no edit."""
    found = git_state(but=GRID_FILE.parent)
    return found.commit and found.commit[:7] + (DIRTY if found.is_dirty else "")


def load_floors(base: Tree) -> list[Evaluation]:
    """Evaluations of the undistilled teacher: of the reference, and those others that have been measured."""
    first, *others = base.named(MEASURING).values()
    measured = (stage for stage in others if evaluation_file(base.folder, stage).exists())
    return [load_evaluation(base.folder, stage) for stage in (first, *measured)]


def load_evaluation(folder: Path, stage: Stage) -> Evaluation:
    """What a stage of dvc.yaml measured in a tree."""
    return load_document(Evaluation, evaluation_file(folder, stage), "`gpd ablate` writes it")


def evaluation_file(folder: Path, stage: Stage) -> Path:
    """Where it stands."""
    (path,) = (folder / out for out in stage.outs if out.endswith(f"/{EVALUATION}"))
    return path


@contextlib.contextmanager
def _output_in(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield


def _link(link: Path, target: Path) -> None:
    """A link to what is there; what is not is for the stage that needs it to make, or to name. What it made stays."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    if target.exists() and not link.exists():
        link.symlink_to(target)
