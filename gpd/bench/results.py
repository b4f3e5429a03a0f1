"""What `gpd bench wan` measures, as a document and for a person."""

from rich.console import Console
from rich.table import Table

from gpd.documents import FORMAT, Document, Git

GIB = 2**30


class Setting(Document):
    """What was measured, and where.

    Attributes:
        device: its name; for a CPU with its widest instructions and the number of threads.
        tokens: of a clip, as the transformer's self-attention sees them.
        dtype: that the networks multiply in.
        stand_ins: what is neither Wan's architecture nor its data; weights are random always.
    """

    profile: str
    architecture: str
    num_parameters: int
    num_frames: int
    height: int
    width: int
    tokens: int
    device: str
    torch: str
    dtype: str
    merge_padding: bool
    gradient_checkpointing: bool
    lora_rank: int
    batch: int
    iterations: int
    stand_ins: str


class PartCost(Document):
    """Of one part of the pipeline: wall time, and the most memory that its process had resident."""

    name: str
    seconds: float
    peak_bytes: int


class StepCost(Document):
    """Of one iteration, by part.

    Attributes:
        loop: seconds of an iteration of the real loop; None if too few were asked for.
        peak_bytes: of the device's memory as torch allocates it; None on a CPU, whose peak is that of the part.
        planned_bytes: what `gpd plan` says of it.
    """

    target: float
    forward: float
    backward: float
    optimizer: float
    loop: float | None
    peak_bytes: int | None
    planned_bytes: int | None

    @property
    def bare(self) -> float:
        """Seconds of the evaluations that an iteration needs."""
        return self.target + self.forward + self.backward

    @property
    def whole(self) -> float:
        """Seconds of an iteration: of the loop if it was timed, else of its parts."""
        return self.bare + self.optimizer if self.loop is None else self.loop


class Rates(Document):
    """How much is computed, and how fast.

    Attributes:
        forwards_per_second: of training, counted as everywhere: a backward is two.
        teraflop_per_forward: of one sample, by counting the products of every operator.
        teraflop_per_second: of an iteration's forwards and its backward: two forwards' worth if all weights are
            trained, one if they are frozen beside factors. What checkpointing computes again does not count.
        matrix_teraflop_per_second: of one large product of matrices in the same format, measured on this device.
    """

    forwards_per_second: float
    teraflop_per_forward: float
    teraflop_per_second: float
    matrix_teraflop_per_second: float

    @property
    def share(self) -> float:
        """Of the rate of matrix products."""
        return self.teraflop_per_second / self.matrix_teraflop_per_second


class SampleCost(Document):
    """Seconds of one sample, without the VAE: guided on 48 steps (96 forwards), and in 6 forwards.

    Each is the time of one step, the median of a few, multiplied.
    """

    of_96_forwards: float
    of_6_forwards: float


class Benchmark(Document):
    """data/benchmarks/DEVICE.json.

    Attributes:
        flops_per_second: of training, which `gpd plan` reads.
        plain_distance: |a - b| / |b| of a sample of gpd's student, a, and of plain diffusers' from the same noise, b.
    """

    format: int = FORMAT
    git: Git
    setting: Setting
    parts: list[PartCost]
    step: StepCost
    rates: Rates
    sample: SampleCost
    plain_distance: float
    flops_per_second: float


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
    step, rates, sample = found.step, found.rates, found.sample
    return [
        ("iteration: target", f"{step.target:.3f} s"),
        ("iteration: student forward", f"{step.forward:.3f} s"),
        ("iteration: backward", f"{step.backward:.3f} s"),
        ("iteration: optimizer", f"{step.optimizer:.3f} s"),
        ("iteration of the loop over its evaluations", "not timed" if step.loop is None else _ratio(step)),
        ("forwards of training", f"{rates.forwards_per_second:.3f} /s"),
        ("one forward of one sample", f"{rates.teraflop_per_forward:.3f} TFLOP"),
        ("training", f"{rates.teraflop_per_second:.3f} TFLOP/s"),
        ("one large product of matrices", f"{rates.matrix_teraflop_per_second:.3f} TFLOP/s"),
        ("training's share of that", f"{rates.share:.1%} (goal on an H100: 45 %)"),
        ("device memory at its peak", _memory(step.peak_bytes)),
        ("device memory by `gpd plan`", _memory(step.planned_bytes)),
        ("a sample by 96 forwards, guided", f"{sample.of_96_forwards:.1f} s"),
        ("a sample by 6 forwards", f"{sample.of_6_forwards:.1f} s"),
        ("the student in gpd and in plain diffusers", f"{found.plain_distance:.1e} apart"),
    ]


def _ratio(step: StepCost) -> str:
    return f"{step.whole / step.bare:.3f} (goal on an H100: 1.03)"


def _memory(size: int | None) -> str:
    return "not known" if size is None else f"{size / GIB:.2f} GiB"
