"""One checkpoint, measured under any protocol, beside the teacher."""

from typing import Annotated, Any

from prefect import flow, runtime
from prefect.artifacts import create_table_artifact
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.checkpoints import as_subject
from flows.pipeline import MOST_STAGES, describe_run, guarded, prepared, run_stages, start, sync_registry
from flows.results import TEACHER, result_rows


def _run_name() -> str:
    parameters = runtime.flow_run.parameters
    return describe_run(f"evaluate {parameters.get('checkpoint', '')}", parameters, with_students=False)


@flow(
    name="evaluate",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_STAGES),
    persist_result=False,
)
def evaluate(
    checkpoint: Annotated[str, Field(min_length=1)] = "champion",
    num_prompts: Annotated[int, Field(ge=1)] | None = None,
    seeds: list[Annotated[int, Field(ge=0)]] | None = None,
    commit: Annotated[str, Field(min_length=1)] = "HEAD",
    overrides: dict[str, Any] | None = None,
    retries: Annotated[int, Field(ge=0, le=10)] = 1,
    at_once: Annotated[int, Field(ge=1, le=16)] = 1,
) -> None:
    """Measures a checkpoint against the guided teacher on the same prompts and noise, and records it.

    Args:
        checkpoint: a name of evaluate.subjects in params.yaml, or an alias or hash of the registry.
        num_prompts: how many evaluation prompts; as params.yaml says where it is left out.
        seeds: seeds of the noise; as params.yaml says where it is left out.
        commit: commit, branch or tag of this repository to run; changes that are not committed are not seen.
        overrides: values for params.yaml by dotted keys, such as {"reference.guidance_scale": 4.0}.
        retries: how often a failed stage is tried again; a mistake in the params is not.
        at_once: how many stages go at the same time.
    """
    asked = dict(overrides or {}) | ({"reference.num_prompts": num_prompts} if num_prompts else {})
    asked |= {"reference.seeds": seeds} if seeds else {}
    with guarded() as root:
        name, students = as_subject(root, commit, asked, checkpoint)
        with prepared(root, commit, asked, students) as tree:
            wanted = {f"evaluate@{name}", f"evaluate@{TEACHER}"}
            run_stages(tree, wanted=wanted, retries=retries, at_once=at_once)
            sync_registry(tree)
            rows = [
                row for row in result_rows(tree.folder) if row["subject"] == name or row["subject"].startswith(TEACHER)
            ]
            create_table_artifact(table=rows, key="evaluate-results", description=f"{name} beside teacher")


if __name__ == "__main__":
    start(evaluate)
