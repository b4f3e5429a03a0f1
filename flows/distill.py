"""The whole pipeline: one task for each DVC stage, an evaluation beside the next distillation."""

from typing import Annotated, Any

from prefect import flow, runtime
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.pipeline import MOST_STAGES, describe_run, guarded, prepared, run_stages, start, sync_registry
from flows.shown import show_run


def _run_name() -> str:
    return describe_run("distill", runtime.flow_run.parameters)


@flow(
    name="distill",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_STAGES),
    persist_result=False,
)
def distill(
    commit: Annotated[str, Field(min_length=1)] = "HEAD",
    overrides: dict[str, Any] | None = None,
    retries: Annotated[int, Field(ge=0, le=10)] = 1,
    at_once: Annotated[int, Field(ge=1, le=16)] = 1,
) -> None:
    """Prompts and clips to students, evaluation, report and registry; what DVC has already is not done again.

    Args:
        commit: commit, branch or tag of this repository to run; changes that are not committed are not seen.
        overrides: values for params.yaml by dotted keys, such as {"distill.stages.k8.learning_rate": 0.0001}.
        retries: how often a failed stage is tried again; a mistake in the params is not.
        at_once: how many stages go at the same time, such as an evaluation beside the next distillation. More than 1
            where each has a GPU of its own: on the same cores two slow each other down more than they save.
    """
    with guarded() as root, prepared(root, commit, overrides) as tree:
        run_stages(tree, wanted=None, retries=retries, at_once=at_once)
        sync_registry(tree)
        show_run(tree, "distill")


if __name__ == "__main__":
    start(distill)
