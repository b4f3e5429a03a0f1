"""Every night: what is stale, measured; a student that beats the champion by the stated margin takes its place."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.checkpoints import Checkpoint, as_subject, look_up
from flows.pipeline import MOST_STAGES, describe_run, guarded, prepared, run_stages, start, sync_registry
from flows.process import read_command
from flows.results import TEACHER, evaluated
from flows.shown import show_run
from flows.tree import Overrides, Tree
from gpd.artifacts import UserError


@dataclass(frozen=True)
class Decision:
    """Whether the candidate takes the champion's place, and why, in words."""

    is_promoted: bool
    because: str


def decide(metric: str, candidate: float, champion: float | None, direction: str, margin: float) -> Decision:
    """Better by more than `margin`, a share of the champion's value (of its distance from 1 where 1 is best)."""
    if math.isnan(candidate):
        return Decision(False, f"{metric} of the candidate is not a number")
    if champion is None or math.isnan(champion):
        words = "there is no champion yet" if champion is None else "the champion's is not a number"
        return Decision(True, f"{words}; {metric} {candidate:.4g}")
    said = f"{metric} {candidate:.4g} against the champion's {champion:.4g}, margin {margin:.1%}"
    if direction == "higher":
        is_better = candidate > champion + margin * abs(champion)
    else:
        new, old = (abs(value - 1.0) if direction == "one" else value for value in (candidate, champion))
        is_better = new < old - margin * abs(old)
    return Decision(is_better, said)


def _run_name() -> str:
    return describe_run("nightly", runtime.flow_run.parameters)


@flow(
    name="nightly",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_STAGES),
    persist_result=False,
)
def nightly(
    metric: Annotated[str, Field(min_length=1)] = "trajectory_error",
    margin: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02,
    alias: Annotated[str, Field(min_length=1)] = "champion",
    commit: Annotated[str, Field(min_length=1)] = "HEAD",
    overrides: dict[str, Any] | None = None,
    retries: Annotated[int, Field(ge=0, le=10)] = 1,
    at_once: Annotated[int, Field(ge=1, le=16)] = 1,
) -> None:
    """Runs the pipeline and compares its last student with the champion, under one protocol.

    Args:
        metric: what decides; a metric of the evaluations.
        margin: how much better the new student must be, as a share of the champion's value.
        alias: whose place is at stake, in the registry.
        commit: commit, branch or tag of this repository to run; changes that are not committed are not seen.
        overrides: values for params.yaml by dotted keys.
        retries: how often a failed stage is tried again; a mistake in the params is not.
        at_once: how many stages go at the same time.
    """
    with guarded() as root:
        with prepared(root, commit, overrides) as tree:
            run_stages(tree, wanted=None, retries=retries, at_once=at_once)
            sync_registry(tree)
            show_run(tree, "nightly")
            evaluation = last_evaluation(tree.folder)
        champion = look_up(root, alias)
        if champion is not None and champion.content != evaluation.content:
            champion = _measured(root, champion, evaluation, commit, overrides or {}, retries, at_once)
        decision = judge(evaluation, champion, metric, margin)
        if decision.is_promoted:
            promote(tree, evaluation.content, alias, decision.because)
        tell(evaluation, alias, decision)


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of the last student: of which checkpoint, under which protocol, with which metrics."""

    name: str
    content: str
    protocol: str
    metrics: dict[str, dict[str, Any]]


def last_evaluation(folder: Path) -> Evaluation:
    """Of the student that samples in the fewest steps."""
    found = [json.loads(path.read_text()) for path in evaluated(folder, "evaluation.json")]
    rows = [(each["protocol"]["hash"], name, subject) for each in found for name, subject in each["subjects"].items()]
    students = [row for row in rows if not row[1].startswith(TEACHER)]
    protocol, name, subject = min(students, key=lambda row: row[2]["steps"])
    return Evaluation(name, subject["checkpoint"], protocol, subject["metrics"])


def judge(evaluation: Evaluation, champion: Checkpoint | None, metric: str, margin: float) -> Decision:
    """The decision, also where nothing can be compared.

    Raises:
        UserError: the evaluation has no such metric.
    """
    if metric not in evaluation.metrics:
        raise UserError(f"metric {metric!r}: the evaluation has {', '.join(evaluation.metrics)}")
    own = evaluation.metrics[metric]
    if champion is None:
        return decide(metric, own["value"], None, own["direction"], margin)
    if champion.content == evaluation.content:
        return Decision(False, f"it is the champion already; {metric} {own['value']:.4g}")
    theirs = champion.score(metric, evaluation.protocol)
    if theirs is None:
        return Decision(False, f"the champion has no {metric} under this protocol, so nothing can be compared")
    return decide(metric, own["value"], float(theirs["value"]), own["direction"], margin)


def _measured(
    root: Path,
    champion: Checkpoint,
    evaluation: Evaluation,
    commit: str,
    overrides: Overrides,
    retries: int,
    at_once: int,
) -> Checkpoint:
    """The champion with scores under the evaluation's protocol: measured now, where it was not before."""
    if any(score["protocol"] == evaluation.protocol for score in champion.scores):
        return champion
    try:
        name, students = as_subject(root, commit, overrides, champion.content)
    except UserError as error:
        get_run_logger().warning(str(error))
        return champion
    with prepared(root, commit, overrides, students) as tree:
        run_stages(tree, wanted={f"evaluate@{name}"}, retries=retries, at_once=at_once)
        sync_registry(tree)
    return look_up(root, champion.content) or champion


def promote(tree: Tree, content: str, alias: str, because: str) -> None:
    """Gives the alias to a checkpoint; the registry's history keeps the reason and this run."""
    reason = f"{because} (nightly, flow run {runtime.flow_run.id})"
    words = ["gpd", "registry", "promote", content, "--alias", alias, "--because", reason, "--by", "nightly"]
    read_command(words, cwd=tree.folder, env=tree.environment())


def tell(evaluation: Evaluation, alias: str, decision: Decision) -> None:
    """Says in the log and on a page what was decided."""
    verdict = f"{evaluation.name} is the new {alias}" if decision.is_promoted else f"the {alias} stays"
    get_run_logger().info(f"{verdict}: {decision.because}")
    text = (
        f"# {verdict[0].upper()}{verdict[1:]}\n\n{decision.because}.\n\n"
        f"* student `{evaluation.name}`, checkpoint `{evaluation.content}`\n* protocol `{evaluation.protocol}`\n"
    )
    create_markdown_artifact(text, key="nightly-decision", description=f"{verdict}: {decision.because}")


if __name__ == "__main__":
    start(nightly)
