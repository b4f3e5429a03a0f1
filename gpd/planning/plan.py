"""`gpd plan`: what a pipeline needs on a device, as one document and as tables."""

from pathlib import Path

from pydantic import Field

from gpd.artifacts import UserError
from gpd.documents import Document
from gpd.models.use import PROFILE_FILES
from gpd.models.wan.outline import forward_flops, weight_bytes
from gpd.params import PARAMS_FILE, Params, load_params
from gpd.planning.activations import evaluation
from gpd.planning.base import Base, find_base
from gpd.planning.devices import Device, parse_devices
from gpd.planning.disk import parameters, plan_disk, pool_bytes, with_cache
from gpd.planning.memory import FLOAT32, Memory, cuts_by_itself, evaluation_run, plan_memory
from gpd.planning.remedies import find_remedies
from gpd.planning.work import PROMPTS_ASSUMED, TEXT_TOKENS, Material, Work, find_material, plan_work

VAE_BYTES_PER_PIXEL = 8.2e9 / (480 * 832)  # of a frame, to decode: counted operation by operation at 480 x 832 px


class PlannedDevice(Document):
    """What is planned for: `number` devices of `usable_gb` each; `share` of `bf16_peak` (FLOP/s) is reached."""

    name: str
    number: int
    usable_gb: float
    bf16_peak: float
    share: float
    is_measured: bool


class PlannedMemory(Document):
    """Of one device in the heaviest stage of distillation, in GB (1e9 bytes).

    Attributes:
        layout: "one" process; "ddp", a copy on each device; "fsdp", weights shared out.
        parts: by what they are for.
        peak: at the highest moment, below the sum of the parts where gradients come while activations go.
        host: in CPU memory, of all processes.
        others: peaks of the other stages.
    """

    layout: str
    processes: int
    micro_batch: int
    accumulated: int
    parts: dict[str, float]
    peak: float
    host: dict[str, float]
    others: dict[str, float]


class PlannedStage(Document):
    """A DVC stage: forwards of one sample each, wall time, devices it keeps busy, and hours of a CPU core."""

    stage: str
    forwards: float
    hours: float
    devices: int
    device_hours: float
    cpu_hours: float


class Plan(Document):
    """All of it; sizes in GB (1e9 bytes).

    Attributes:
        disk: by folder.
        disk_with_cache: of all folders and DVC's cache, if it makes "copies" or "links".
        remedies: changes that would make it fit; empty if it fits.
        notes: what was assumed.
    """

    profile: str
    model: str
    parameters: int
    tflop_per_forward: float
    device: PlannedDevice
    memory: PlannedMemory
    stages: list[PlannedStage]
    forwards: float
    device_days: float
    cpu_hours: float
    disk: dict[str, float]
    disk_with_cache: dict[str, float]
    fits: bool
    remedies: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


def load(profile: str | None) -> tuple[str, Params]:
    """A profile by name, or params.yaml.

    Raises:
        UserError: there is no such profile, or its values are wrong.
    """
    if profile is None:
        return str(PARAMS_FILE), load_params()
    if profile not in PROFILE_FILES:
        raise UserError(f"plan: profile={profile!r} is not one of {', '.join(sorted(PROFILE_FILES))}")
    return profile, load_params(Path(str(PROFILE_FILES[profile])))


def make_plan(name: str, params: Params, gpu: str) -> Plan:
    """The plan of a pipeline on devices such as "h100:8".

    Raises:
        UserError: no such device, or the sizes of the networks are not to be had.
    """
    device, number = parse_devices(gpu)
    base, material = find_base(params.model), find_material()
    memory = plan_memory(params, base, device, number)
    others = other_peaks(params, base)
    work = list(plan_work(params, base, device, number, memory, material))
    disk = plan_disk(params, base, material)
    fits = memory.fits(device) and max(others.values()) <= device.usable_bytes
    return Plan(
        profile=name,
        model=base.architecture.name,
        parameters=parameters(base),
        tflop_per_forward=_digits(forward_flops(base.architecture.transformer, base.latent_shape(params.model)) / 1e12),
        device=_device(device, number),
        memory=_memory(params, base, memory, others),
        stages=[_stage(each) for each in work],
        forwards=_digits(sum(each.forwards for each in work)),
        device_days=_digits(sum(each.device_seconds for each in work) / 86400),
        cpu_hours=_digits(sum(each.cpu_seconds for each in work) / 3600),
        disk=_gb(disk),
        disk_with_cache=_gb(with_cache(params, base, disk)),
        fits=fits,
        remedies=[] if memory.fits(device) else find_remedies(params, base, device, number),
        notes=_notes(device, number, memory, material, cuts_by_itself(params, base, device)),
    )


def other_peaks(params: Params, base: Base) -> dict[str, float]:
    """Of the stages that train nothing: bytes at their highest moments."""
    model, subjects = params.model, params.sample.subjects.values()
    doubled = 2 if any(subject.guidance_scale > 1 for subject in subjects) else 1
    runs = [
        evaluation_run(params, base, doubled * params.sample.batch),
        evaluation_run(params, base, params.sample.batch, is_student=True),
    ]
    frames = VAE_BYTES_PER_PIXEL * model.height * model.width
    vae = weight_bytes(base.vae) + params.evaluate.batch * frames
    text = weight_bytes(base.text_encoder) / (2 if model.dtype == "bfloat16" else 1)
    return {
        "encode": max(text, vae),
        "sample": max(run.frozen_bytes() + evaluation(run) for run in runs),
        "evaluate": vae,
    }


def refusal(plan: Plan) -> str:
    """One line for a plan that does not fit, with what would make it fit."""
    device, memory = plan.device, plan.memory
    need = {"distill": memory.peak, **memory.others}
    stage = max(need, key=lambda name: need[name])
    what = f"{stage} needs {need[stage]:.1f} GB of the {device.usable_gb:.1f} that {device.name} has"
    in_vain = "No key helps, nor up to 32 devices" + _activations_alone(plan)
    advice = f"It fits with: {'; '.join(plan.remedies)}" if plan.remedies else in_vain
    return f"plan: {plan.profile} does not fit {device.name}:{device.number}: {what}. {advice}"


def _activations_alone(plan: Plan) -> str:
    """Why sharing out weights is in vain: said of one sample's activations."""
    activations = plan.memory.parts["activations"]
    if plan.memory.micro_batch > 1 or activations <= plan.device.usable_gb:
        return ""
    return f": activations of one sample alone are {activations:.1f} GB; fewer frames or px (model.*) make them smaller"


def _device(device: Device, number: int) -> PlannedDevice:
    return PlannedDevice(
        name=device.name,
        number=number,
        usable_gb=_digits(device.usable_bytes / 1e9),
        bf16_peak=device.bf16_peak,
        share=_digits(device.share),
        is_measured=device.is_measured,
    )


def _memory(params: Params, base: Base, memory: Memory, others: dict[str, float]) -> PlannedMemory:
    return PlannedMemory(
        layout=memory.layout,
        processes=memory.processes,
        micro_batch=memory.micro_batch,
        accumulated=memory.accumulated,
        parts=_gb(memory.parts),
        peak=_digits(memory.peak / 1e9),
        host=_gb({"pool of trajectories": pool_bytes(params, base)} | _host_reading(base, memory)),
        others=_gb(others),
    )


def _host_reading(base: Base, memory: Memory) -> dict[str, float]:
    """Every process reads the student in float32 before its share of it goes to the device."""
    if memory.layout != "fsdp":
        return {}
    return {"students before they are cut": float(memory.processes * FLOAT32 * parameters(base))}


def _stage(work: Work) -> PlannedStage:
    return PlannedStage(
        stage=work.stage,
        forwards=_digits(work.forwards),
        hours=_digits(work.seconds / 3600),
        devices=work.devices,
        device_hours=_digits(work.device_seconds / 3600),
        cpu_hours=_digits(work.cpu_seconds / 3600),
    )


def _notes(device: Device, number: int, memory: Memory, material: Material, cuts: bool) -> list[str]:
    source = "measured here" if device.is_measured else "stated, not measured"
    notes = [f"time: {device.share:.0%} of {device.bf16_peak / 1e12:.0f} TFLOP/s in bfloat16 ({source})"]
    if material.is_assumed:
        notes.append(f"data/prompts/ is not there: counted for {PROMPTS_ASSUMED:,} prompts and no clips")
    notes.append(f"a text has {TEXT_TOKENS} tokens in the mean; texts are read from the shards as they are needed")
    if memory.accumulated > 1:
        notes.append(f"set GPD_MICRO_BATCH={memory.micro_batch}: a process' batch goes through in so many parts")
    if device.guides_apart:
        notes.append("set GPD_GUIDED_APART=1: both halves of guidance in one call were slower when measured")
    if memory.processes > 1 and cuts != (memory.layout == "fsdp"):
        notes.append(f"set GPD_SHARDING={'none' if cuts else 'full'}: the stage would choose otherwise")
    if memory.processes < number:
        notes.append(f"distill uses {memory.processes} of {number} devices: more do not divide distill.stages.*.batch")
    return notes


def _gb(sizes: dict[str, float]) -> dict[str, float]:
    return {name: _digits(size / 1e9) for name, size in sizes.items()}


def _digits(value: float) -> float:
    """Four digits: the plan is no more exact."""
    return float(f"{value:.4g}")
