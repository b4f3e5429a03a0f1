"""What every DVC stage of a pipeline computes: forwards by the project's own cost functions, and how long they take."""

from collections.abc import Iterator
from dataclasses import dataclass

from gpd import artifacts, documents
from gpd.data.encoders import forwards_per_rollout
from gpd.data.rows import PROMPTS
from gpd.distillation.costs import (
    STUDENT_FORWARDS,
    fill_forwards,
    forwards_per_sample,
    probe_forwards,
    probe_walk_forwards,
    strip_forwards,
    target_forwards,
)
from gpd.documents import Listing, PromptsFacts, Sample
from gpd.models.wan.outline import codec_flops, forward_flops, text_flops
from gpd.params import Params
from gpd.planning.base import Base
from gpd.planning.devices import Device
from gpd.planning.memory import Memory
from gpd.sampling.plan import list_samples, subject_forwards

METRIC_SECONDS = 0.98  # of a CPU core for a million pixels beside the reference's: 31.6 s a clip at 480p, 81 frames
TEXT_TOKENS = 128  # of a prompt in the mean
PROMPTS_ASSUMED = 10_000  # if `prepare` has not run
TF32_SLOWER = 2  # than bfloat16, by every data sheet: how whole students multiply that are sampled or asked


@dataclass(frozen=True)
class Material:
    """What `prepare` collected, or what is assumed before it has run."""

    texts: int
    clips: int
    is_assumed: bool


@dataclass(frozen=True)
class Work:
    """A DVC stage.

    Attributes:
        forwards: of the transformer, of one sample each; a student's backward counts as two.
        seconds: wall time on `devices` of them, or on one CPU core what is done there.
    """

    stage: str
    forwards: float
    seconds: float
    devices: int
    cpu_seconds: float = 0.0

    @property
    def device_seconds(self) -> float:
        """What all devices spend, idle ones not counted."""
        return self.seconds * self.devices


@dataclass(frozen=True)
class Rates:
    """Seconds of one device.

    Attributes:
        forward: of the transformer, one sample.
        decode, encode: of one clip by the VAE.
        text: of one prompt.
        metrics: of one clip on a CPU core.
    """

    forward: float
    decode: float
    encode: float
    text: float
    metrics: float


def rates_of(params: Params, base: Base, device: Device) -> Rates:
    """By the operations that each takes, at the rate that the device is expected to reach."""
    model, architecture = params.model, base.architecture
    pixels = model.num_frames * model.height * model.width
    codec = codec_flops(architecture.vae)
    return Rates(
        forward=forward_flops(architecture.transformer, base.latent_shape(model)) / device.flops_per_second,
        decode=codec.decode * pixels / device.float32_per_second,
        encode=codec.encode * pixels / device.float32_per_second,
        text=text_flops(architecture.text_encoder, TEXT_TOKENS) / device.flops_per_second,
        metrics=METRIC_SECONDS * pixels / 1e6,
    )


def find_material() -> Material:
    """From data/prompts/, if `prepare` has run."""
    if not (PROMPTS / artifacts.MANIFEST).is_file():
        return Material(texts=PROMPTS_ASSUMED, clips=0, is_assumed=True)
    facts = documents.load_manifest(PROMPTS, PromptsFacts).facts
    return Material(facts.num_prompts + facts.num_clips, facts.num_clips, is_assumed=False)


def plan_work(
    params: Params, base: Base, device: Device, number: int, memory: Memory, material: Material
) -> Iterator[Work]:
    """Every stage in the order of dvc.yaml; `prepare` and `report` are a matter of seconds and are left out."""
    rates = rates_of(params, base, device)
    yield encode_work(params, rates, material, number)
    for name in params.distill.stages:
        yield distill_work(params, rates, name, memory, material)
    for name in params.sample.subjects:
        yield sample_work(params, rates, name, number)
    for name in params.sample.subjects:
        yield evaluate_work(params, rates, name)


def encode_work(params: Params, rates: Rates, material: Material, number: int) -> Work:
    """Texts, clips and roll-outs; shared out by index."""
    forwards = params.encode.rollouts.num * forwards_per_rollout(params)
    windows = material.clips * params.encode.windows_per_clip  # at most: how long the clips are is not known yet
    spent = material.texts * rates.text + windows * rates.encode + forwards * rates.forward
    return Work("encode", forwards, spent / number, number)


def distill_work(params: Params, rates: Rates, name: str, memory: Memory, material: Material) -> Work:
    """Training, filling the pool, and measuring the student before and after."""
    distill, grid_steps = params.distill, params.model.grid_steps
    stage = distill.stages[name]
    before = max((each.horizon for each in distill.stages.values() if each.horizon < stage.horizon), default=0)
    samples = stage.iterations * stage.batch
    trained = samples * forwards_per_sample(distill, stage, before, grid_steps)
    probed = probe_forwards(distill, stage, before)
    if material.clips == 0:
        probed += probe_walk_forwards(distill, stage, grid_steps)
    forwards = trained + fill_forwards(distill, stage, grid_steps) + 2 * probed
    forwards += strip_forwards(distill, stage, grid_steps)
    again = samples * (STUDENT_FORWARDS / 3) if params.model.gradient_checkpointing else 0
    asked = samples * target_forwards(distill, stage, before).get("previous", 0) * (student_seconds(params) - 1)
    seconds = (forwards + again + asked) * rates.forward / memory.processes
    return Work(f"distill@{name}", forwards, seconds, memory.processes)


def sample_work(params: Params, rates: Rates, name: str, number: int) -> Work:
    """All samples of a subject; parts of `sample.batch` are shared out."""
    listing = listing_of(params, name)
    rows = len(listing.samples) + len(listing.further)
    forwards = rows * subject_forwards(params.sample.subjects[name])
    parts = -(-rows // listing.batch)
    busy = min(number, parts)
    share = -(-parts // busy) * busy / parts  # the last round is not full
    subject = params.sample.subjects[name]
    each = rates.forward * (1 if subject.checkpoint == params.model.path else student_seconds(params))
    return Work(f"sample@{name}", forwards, forwards * each * share / busy, busy)


def student_seconds(params: Params) -> float:
    """Of a finished student's forward, where the teacher's takes 1: whole weights are float32 (`student_dtype`)."""
    is_whole = params.distill.lora_rank == 0 and params.model.dtype == "bfloat16"
    return TF32_SLOWER if is_whole else 1


def evaluate_work(params: Params, rates: Rates, name: str) -> Work:
    """Decoding and measuring; the reference's clips are decoded once and kept."""
    clips = params.sample.num_prompts * len(params.sample.seeds)
    return Work(f"evaluate@{name}", 0, clips * rates.decode, 1, cpu_seconds=clips * rates.metrics)


def listing_of(params: Params, name: str) -> Listing:
    """A subject's rows and kept points, with numbers for prompts."""
    prompts = [Sample(id=str(index), text="", seed=0, index=index) for index in range(params.sample.num_prompts)]
    return list_samples(params, name, prompts)
