"""The whole pipeline: one task for each DVC stage."""

from typing import Annotated

from prefect import flow, runtime

from flows.parameters import AtOnce, Commit, Overrides, Retries, described
from flows.pipeline import OPTIONS, describe_run, guarded, prepared, run_stages, start, sync_registry
from flows.shown import show_run


def _run_name() -> str:
    return describe_run("distill", runtime.flow_run.parameters)


@flow(name="distill", flow_run_name=_run_name, **OPTIONS)
def distill(
    commit: Commit = "HEAD",
    overrides: Overrides = None,
    stages: Annotated[
        list[str] | None,
        described('Stages to run, with all that they need, such as ["distill@k8"]; the whole pipeline if left out.'),
    ] = None,
    retries: Retries = 1,
    at_once: AtOnce = 1,
) -> None:
    """Prompts and clips to students, evaluation, report and registry; what DVC has already is not done again."""
    with guarded() as root, prepared(root, commit, overrides) as tree:
        run_stages(tree, wanted=set(stages) if stages else None, retries=retries, at_once=at_once)
        sync_registry(tree)
        if not stages:  # else what lies there of the others may be of another run
            show_run(tree, "distill")


if __name__ == "__main__":
    start(distill)
