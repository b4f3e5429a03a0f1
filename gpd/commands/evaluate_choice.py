"""What `gpd evaluate` is asked for: a subject of params.yaml, two folders of clips, or VBench."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpd.artifacts import UserError
from gpd.params import Params

FOLDERS = ("clips", "reference", "out")
VBENCH = (
    *("protocol", "subject", "checkpoint", "clips", "out", "dimension", "num_prompts", "shard", "full_info"),
    *("sampling_prompts", "environment", "static_filter"),
)
SAMPLING = ("subject", "checkpoint", "shard", "sampling_prompts")  # say nothing where the clips are there


def run(load_params: Callable[[], Params], given: dict[str, Any]) -> None:
    """Runs the evaluation that the given arguments mean.

    Args:
        given: arguments of `gpd evaluate` that are not None.

    Raises:
        UserError: arguments are missing or contradict each other.
    """
    if "protocol" in given:
        _run_vbench(load_params, given)
    elif "clips" in given or "reference" in given:
        _run_compare(given)
    elif "subject" in given:
        from gpd.commands import evaluate

        _refuse(given, ("subject",), f"evaluate {given['subject']}")
        evaluate.run(load_params(), given["subject"])
    else:
        raise UserError("evaluate: give a subject of params.yaml, --clips and --reference, or --protocol vbench")


def _run_compare(given: dict[str, Any]) -> None:
    from gpd.commands import compare

    _refuse(given, FOLDERS, "--clips with --reference")
    for name in ("clips", "reference"):
        if name not in given:
            raise UserError(f"--{name} is missing: --clips and --reference go together")
    compare.run(given["clips"], given["reference"], given.get("out") or Path("comparison.json"))


def _run_vbench(load_params: Callable[[], Params], given: dict[str, Any]) -> None:
    from gpd.commands import vbench

    if given["protocol"] != "vbench":
        raise UserError(f"--protocol={given['protocol']}: the only one is vbench")
    _refuse(given, VBENCH, "--protocol vbench")
    if "clips" in given:
        _refuse(given, tuple(name for name in VBENCH if name not in SAMPLING), "--protocol vbench --clips")
    if "subject" in given and "checkpoint" in given:
        raise UserError(f"{given['subject']} and --checkpoint={given['checkpoint']}: give one of them")
    request = vbench.Request(
        subject=given.get("subject"),
        checkpoint=given.get("checkpoint"),
        dimensions=list(dict.fromkeys(given.get("dimension", []))),
        num_prompts=given.get("num_prompts"),
        shard=given.get("shard"),
        full_info=given.get("full_info"),
        clips=given.get("clips"),
        out=given.get("out"),
        environment=given.get("environment", vbench.ENVIRONMENT),
        static_filter=given.get("static_filter", True),
        sampling_prompts=given.get("sampling_prompts"),
    )
    vbench.run(load_params, request)


def _refuse(given: dict[str, Any], allowed: tuple[str, ...], asked: str) -> None:
    """An argument that would say nothing is a mistake."""
    for name in given:
        if name not in allowed:
            shown = given[name] if name == "subject" else f"--{name.replace('_', '-')}"
            raise UserError(f"{shown} does not go with {asked}")
