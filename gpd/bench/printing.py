"""What `gpd bench wan` measures, printed for a person."""

from rich.console import Console
from rich.table import Table

from gpd.documents.benchmarks import Benchmark, IterationCost, PartCost, Setting

GIB = 2**30


def show_setting(setting: Setting) -> None:
    """Before anything is measured."""
    size = f"{setting.num_frames} frames of {setting.height} x {setting.width} px, {setting.tokens} tokens"
    trained = f"factors of rank {setting.lora_rank}" if setting.lora_rank else "all weights"
    print(
        f"bench wan: {setting.architecture}, {setting.num_parameters:,} parameters; {size}\n"
        f"on {setting.device}, torch {setting.torch}; products in {setting.dtype}; trained: {trained}, "
        f"batch {setting.batch}, {setting.iterations} iterations\n"
        f"padding of texts {'computed once' if setting.merge_padding else 'as Wan computes it'}; "
        f"blocks {'computed again in the backward' if setting.gradient_checkpointing else 'kept for the backward'}\n"
        f"all weights are random; {setting.stand_ins}",
        flush=True,
    )


def show_part(part: PartCost) -> None:
    """As soon as it is done."""
    print(f"  {part.name:<22} {part.seconds:8.1f} s   peak {part.peak_bytes / GIB:6.2f} GiB resident", flush=True)


def show(found: Benchmark) -> None:
    """A table of what a training step and a sample cost."""
    table = Table("measured", "figure")
    for what, figure in _rows(found):
        table.add_row(what, figure)
    Console(width=110).print(table)


def _rows(found: Benchmark) -> list[tuple[str, str]]:
    iteration, rates, sample = found.iteration, found.rates, found.sample
    return [
        ("iteration: target", f"{iteration.target:.3f} s"),
        ("iteration: student forward", f"{iteration.forward:.3f} s"),
        ("iteration: backward", f"{iteration.backward:.3f} s"),
        ("iteration: optimizer", f"{iteration.optimizer:.3f} s"),
        ("iteration of the loop over its evaluations", "not timed" if iteration.loop is None else _ratio(iteration)),
        ("forwards of training", f"{rates.forwards_per_second:.3f} /s"),
        ("one forward of one sample", f"{rates.teraflop_per_forward:.3f} TFLOP"),
        ("training", f"{rates.teraflop_per_second:.3f} TFLOP/s"),
        ("one large product of matrices", f"{rates.matrix_teraflop_per_second:.3f} TFLOP/s"),
        ("training's share of that", f"{rates.share:.1%} (goal on an H100: 45 %)"),
        ("device memory at its peak", _memory(iteration.peak_bytes)),
        ("device memory by `gpd plan`", _memory(iteration.planned_bytes)),
        ("both halves of guidance in one call", f"{found.guided.together:.3f} s"),
        ("one after the other", f"{found.guided.apart:.3f} s (GPD_GUIDED_APART=1)"),
        ("a sample by 96 forwards, guided", f"{sample.of_96_forwards:.1f} s"),
        ("a sample by 6 forwards", f"{sample.of_6_forwards:.1f} s"),
        ("the student in gpd and in plain diffusers", f"{found.plain_distance:.1e} apart"),
    ]


def _ratio(iteration: IterationCost) -> str:
    return f"{iteration.whole / iteration.bare:.3f} (goal on an H100: 1.03)"


def _memory(size: int | None) -> str:
    return "not known" if size is None else f"{size / GIB:.2f} GiB"
