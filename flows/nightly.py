"""Every night: what is stale, measured; a student that beats the champion by the stated margin takes its place."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact

from flows.checkpoints import Checkpoint, as_subject, look_up
from flows.outputs import evaluation_of
from flows.parameters import AtOnce, Commit, Overrides, Retries, described
from flows.pipeline import OPTIONS, describe_run, guarded, prepared, run_stages, start, sync_registry
from flows.process import StageFailedError, read_command
from flows.results import Measured, measured
from flows.shown import show_run
from flows.stages import USER_ERROR
from flows.tree import Tree
from gpd.artifacts import UserError
from gpd.documents.collapse import signs_of_collapse


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


@flow(name="nightly", flow_run_name=_run_name, **OPTIONS)
def nightly(
    metric: Annotated[str, described("What decides; a metric of the evaluations.", min_length=1)] = "trajectory_error",
    margin: Annotated[
        float,
        described("How much better the new student must be, as a share of the champion's value.", ge=0.0, le=1.0),
    ] = 0.02,
    alias: Annotated[str, described("Whose place is at stake, in the registry.", min_length=1)] = "champion",
    commit: Commit = "HEAD",
    overrides: Overrides = None,
    retries: Retries = 1,
    at_once: AtOnce = 1,
) -> None:
    """Runs the pipeline and compares its student of as many steps with the champion, under one protocol."""
    with guarded() as root:
        with prepared(root, commit, overrides) as tree:
            run_stages(tree, wanted=None, retries=retries, at_once=at_once)
            sync_registry(tree)
            show_run(tree, "nightly")
            champion = look_up(root, alias)
            student = contender(list(measured(tree.folder)), champion)
        if champion is not None and champion.content != student.content:
            champion = _measure(root, champion, student, commit, overrides, retries, at_once)
        decision = judge(student, champion, metric, margin)
        if decision.is_promoted:
            decision = promote(tree, student.content, alias, decision)
        tell(student, alias, decision)


def contender(subjects: list[Measured], champion: Checkpoint | None) -> Measured:
    """The student that samples in as many steps as the champion; without one, the one of the fewest steps."""
    students = [one for one in subjects if not one.is_teacher]
    steps = {score["steps"] for score in champion.scores} if champion else set()
    return min([one for one in students if one.scores.steps in steps] or students, key=lambda one: one.scores.steps)


def judge(student: Measured, champion: Checkpoint | None, metric: str, margin: float) -> Decision:
    """The decision, also if nothing can be compared.

    Raises:
        UserError: the evaluation has no such metric.
    """
    if metric not in student.scores.metrics:
        raise UserError(f"metric {metric!r}: the evaluation has {', '.join(student.scores.metrics)}")
    own = student.scores.metrics[metric]
    if signs := signs_of_collapse({name: score.value for name, score in student.scores.metrics.items()}):
        return Decision(False, f"it has collapsed: {'; '.join(signs)}")
    if champion is None:
        return decide(metric, own.value, None, own.direction, margin)
    if champion.content == student.content:
        return Decision(False, f"it is the champion already; {metric} {own.value:.4g}")
    theirs = champion.score(metric, student.protocol)
    if theirs is None:
        return Decision(False, f"the champion has no {metric} under this protocol, so nothing can be compared")
    return decide(metric, own.value, float(theirs["value"]), own.direction, margin)


def _measure(
    root: Path,
    champion: Checkpoint,
    student: Measured,
    commit: str,
    overrides: Overrides,
    retries: int,
    at_once: int,
) -> Checkpoint:
    """The champion with scores under the student's protocol: measured now, if it was not before."""
    if any(score["protocol"] == student.protocol for score in champion.scores):
        return champion
    try:
        name, students = as_subject(root, commit, overrides or {}, champion.content)
    except UserError as error:
        get_run_logger().warning(str(error))
        return champion
    with prepared(root, commit, overrides, students) as tree:
        run_stages(tree, wanted={evaluation_of(tree.folder, name)}, retries=retries, at_once=at_once)
        sync_registry(tree)
    return look_up(root, champion.content) or champion


def promote(tree: Tree, content: str, alias: str, decision: Decision) -> Decision:
    """Gives the alias to a checkpoint; the registry's history keeps the reason and this run.

    A refusal of the registry's, such as a protected alias, is a decision too: a person moves it, by force.
    """
    reason = f"{decision.because} (nightly, flow run {runtime.flow_run.id})"
    words = ["gpd", "registry", "promote", f"--alias={alias}", f"--because={reason}", "--by=nightly", "--", content]
    try:
        read_command(words, cwd=tree.folder, env=tree.environment())
    except StageFailedError as error:
        if error.exit_status != USER_ERROR:
            raise
        return Decision(False, f"{decision.because}; {error.last_lines[-1].removeprefix('gpd: ')}")
    return decision


def tell(student: Measured, alias: str, decision: Decision) -> None:
    """Writes the decision to the log and to a page."""
    verdict = f"{student.name} is the new {alias}" if decision.is_promoted else f"the {alias} stays"
    get_run_logger().info(f"{verdict}: {decision.because}")
    text = (
        f"# {verdict[0].upper()}{verdict[1:]}\n\n{decision.because}.\n\n"
        f"* student `{student.name}`, checkpoint `{student.content}`\n* protocol `{student.protocol}`\n"
    )
    create_markdown_artifact(text, key="nightly-decision", description=f"{verdict}: {decision.because}")


if __name__ == "__main__":
    start(nightly)
