"""data/benchmarks/DEVICE.json: what `gpd bench wan` measured on a device."""

from typing import Literal

from gpd.documents.document import FORMAT, Document
from gpd.documents.runs import Git


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


class IterationCost(Document):
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


class GuidedCost(Document):
    """Seconds of one guided evaluation of one sample: both halves in one call, or one after the other; the faster."""

    together: float
    apart: float
    faster: Literal["together", "apart"]


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
    iteration: IterationCost
    rates: Rates
    sample: SampleCost
    guided: GuidedCost
    plain_distance: float
    flops_per_second: float
