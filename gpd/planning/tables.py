"""A plan on a terminal, in 100 columns."""

from collections.abc import Iterable

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from gpd.planning.plan import Plan, PlannedStage

WIDTH = 100
LAYOUTS = {
    "one": "one process",
    "ddp": "{0.processes} processes, all weights on each device (DDP)",
    "fsdp": "{0.processes} processes, weights shared out (FSDP2)",
}


def show(plan: Plan) -> None:
    """Prints the plan."""
    console = Console(width=WIDTH, highlight=False)
    for line in _headline(plan):
        console.print(line)
    for title, table in tables_of(plan):
        console.print(f"\n[bold]{title}[/bold]")
        console.print(table)
    for note in plan.notes:
        console.print(f"* {note}")


def tables_of(plan: Plan) -> list[tuple[str, Table]]:
    """With their titles."""
    memory = plan.memory
    how = LAYOUTS[memory.layout].format(memory)
    parts = f"micro-batch {memory.micro_batch}" + (f" x {memory.accumulated}" if memory.accumulated > 1 else "")
    return [
        (f"Memory of a device: {how}, {parts}", memory_table(plan)),
        ("Work", stage_table(plan)),
        ("Disk", disk_table(plan)),
    ]


def _headline(plan: Plan) -> Iterable[str]:
    device = plan.device
    yield (
        f"[bold]{plan.profile}[/bold] on {device.name}:{device.number}: {plan.model}, {plan.parameters:,} parameters, "
        f"{plan.tflop_per_forward:g} TFLOP a forward"
    )
    verdict = "fits" if plan.fits else "[bold]does not fit[/bold]"
    yield f"{verdict}: {plan.device_days:.2f} GPU-days, {plan.cpu_hours:.1f} CPU-core-hours beside them"


def memory_table(plan: Plan) -> Table:
    """Parts of the heaviest distillation stage, then the peaks of all stages."""
    memory = plan.memory
    table = _table("distill", "GB")
    for name, size in memory.parts.items():
        table.add_row(name, f"{size:.2f}")
    table.add_section()
    table.add_row("peak of distill", f"{memory.peak:.2f}")
    for stage, size in memory.others.items():
        table.add_row(f"peak of {stage}", f"{size:.2f}")
    table.add_row("usable", f"{plan.device.usable_gb:.2f}")
    table.add_section()
    for name, size in memory.host.items():
        table.add_row(f"CPU: {name}", f"{size:.2f}")
    return table


def stage_table(plan: Plan) -> Table:
    """Forwards and time of every DVC stage."""
    table = _table("stage", "forwards", "hours", "GPUs", "GPU-hours", "CPU-core-hours")
    for stage in plan.stages:
        table.add_row(*_cells(stage))
    table.add_section()
    hours = sum(stage.hours for stage in plan.stages)
    table.add_row(
        "all", f"{plan.forwards:,.0f}", f"{hours:.2f}", "", f"{plan.device_days * 24:.2f}", f"{plan.cpu_hours:.2f}"
    )
    return table


def _cells(stage: PlannedStage) -> tuple[str, ...]:
    hours = (f"{stage.hours:.2f}", str(stage.devices), f"{stage.device_hours:.2f}")
    forwards, cpu = (f"{stage.forwards:,.0f}" if stage.forwards else "", f"{stage.cpu_hours:.2f}")
    return (stage.stage, forwards, *hours, cpu if stage.cpu_hours else "")


def disk_table(plan: Plan) -> Table:
    """Bytes by folder."""
    table = _table("folder", "GB")
    for folder, size in plan.disk.items():
        table.add_row(folder, f"{size:.2f}")
    table.add_section()
    table.add_row("all", f"{sum(plan.disk.values()):.2f}")
    table.add_row("with DVC's cache, by copies", f"{plan.disk_with_cache['copies']:.2f}")
    table.add_row("by links (cache.type)", f"{plan.disk_with_cache['links']:.2f}")
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=SIMPLE)
    table.add_column(first)
    for number in numbers:
        table.add_column(number, justify="right")
    return table
