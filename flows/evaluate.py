"""One checkpoint, measured under any protocol, beside the teacher."""

from typing import Annotated

from prefect import flow, runtime
from prefect.artifacts import create_table_artifact
from pydantic import Field

from flows.checkpoints import as_subject
from flows.outputs import evaluation_of, evaluations_of_teacher
from flows.parameters import AtOnce, Commit, Overrides, Retries, described
from flows.pipeline import OPTIONS, describe_run, guarded, prepared, run_stages, start, sync_registry
from flows.results import measured, result_rows
from flows.sections import protocol_overrides


def _run_name() -> str:
    parameters = runtime.flow_run.parameters
    return describe_run(f"evaluate {parameters.get('checkpoint', '')}", parameters, with_students=False)


@flow(name="evaluate", flow_run_name=_run_name, **OPTIONS)
def evaluate(
    checkpoint: Annotated[
        str, described("A subject of params.yaml, or an alias, best:6 or a hash of the registry.", min_length=1)
    ] = "champion",
    num_prompts: Annotated[
        Annotated[int, Field(ge=1)] | None,
        described("How many evaluation prompts; as params.yaml says if it is left out."),
    ] = None,
    seeds: Annotated[
        list[Annotated[int, Field(ge=0)]] | None,
        described("Seeds of the noise; as params.yaml says if they are left out."),
    ] = None,
    commit: Commit = "HEAD",
    overrides: Overrides = None,
    retries: Retries = 1,
    at_once: AtOnce = 1,
) -> None:
    """Measures a checkpoint against the guided teacher on the same prompts and noise, and records it."""
    with guarded() as root:
        asked = {**(overrides or {}), **protocol_overrides(root, commit, num_prompts=num_prompts, seeds=seeds)}
        name, students = as_subject(root, commit, asked, checkpoint)
        with prepared(root, commit, asked, students) as tree:
            wanted = {evaluation_of(tree.folder, name), *evaluations_of_teacher(tree.folder)}
            run_stages(tree, wanted=wanted, retries=retries, at_once=at_once)
            sync_registry(tree)
            subjects = [subject for subject in measured(tree.folder) if subject.is_teacher or subject.name == name]
            table = result_rows(subjects)
            create_table_artifact(table=table, key="evaluate-results", description=f"{name} beside teacher")


if __name__ == "__main__":
    start(evaluate)
