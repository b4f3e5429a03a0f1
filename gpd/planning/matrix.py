"""The table of docs/wan.md, `python -m gpd.planning.matrix`: every profile of Wan2.1 on four machines, in markdown."""

from gpd.models.use import PROFILES
from gpd.planning.plan import Plan, load, make_plan, refusal

GPUS = ("h100:1", "h100:8", "a100-80:1", "rtx4090:1")
HEAD = (
    "| profile | GPUs | fits | peak | processes | at once | distill | reference | other samples | evaluate "
    "| GPU-days | hours |\n| --- | --- | --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)
LAYOUTS = {"one": "one process", "ddp": "copies (DDP), {}", "fsdp": "cut (FSDP2), {}"}


def row(plan: Plan) -> str:
    """One line of the table: GB of a device, samples of one forward times how often, GPU-hours by kind of stage."""
    memory, device = plan.memory, plan.device
    parts = f"{memory.micro_batch}" + (f" x {memory.accumulated}" if memory.accumulated > 1 else "")
    cells = [
        f"`{plan.profile}`",
        f"{device.name}:{device.number}",
        "yes" if plan.fits else "no",
        f"{memory.peak:.1f} of {device.usable_gb:.1f}",
        LAYOUTS[memory.layout].format(memory.processes),
        parts,
        *(f"{hours:.1f}" for hours in _hours(plan)),
        f"{plan.device_days:.2f}",
        f"{sum(stage.hours for stage in plan.stages):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _hours(plan: Plan) -> tuple[float, float, float, float]:
    """GPU-hours of distillation, of the reference, of all other samples, of evaluations."""
    hours = {stage.stage: stage.device_hours for stage in plan.stages}
    of = {kind: sum(each for name, each in hours.items() if name.startswith(kind)) for kind in ("distill", "evaluate")}
    samples = sum(each for name, each in hours.items() if name.startswith("sample"))
    reference = hours["sample@reference"]
    return of["distill"], reference, samples - reference, of["evaluate"]


def main() -> None:
    """Prints the table, then what is said of the plans that do not fit."""
    print(HEAD)
    refused = []
    for profile in (name for name in PROFILES if name.startswith("wan")):
        for gpus in GPUS:
            plan = make_plan(*load(profile), gpus)
            print(row(plan), flush=True)
            refused += [] if plan.fits else [refusal(plan)]
    print("\n" + "\n".join(f"    {line}" for line in refused))


if __name__ == "__main__":
    main()
