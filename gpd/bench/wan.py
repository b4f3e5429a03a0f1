"""`gpd bench wan`: every part of the pipeline, in a workspace with random weights of a profile's architecture."""

import json
import re
import sys
from functools import partial
from pathlib import Path

import torch

from gpd.artifacts import write_json
from gpd.bench import rates
from gpd.bench.meter import Meter
from gpd.bench.passes import Loop, Passes, iteration_cost, measure_loop, measure_passes
from gpd.bench.plan import follow_plan, this_gpu
from gpd.bench.printing import show, show_setting
from gpd.bench.reload import distance_from_plain, export
from gpd.bench.workspace import (
    STAGE,
    Request,
    find_architecture,
    latent_shape,
    make_base,
    make_params,
    num_tokens,
    working_in,
    write_inputs,
)
from gpd.core.precision import fast_dtype
from gpd.data import encode, prepare
from gpd.distillation.costs import STUDENT_FORWARDS, target_forwards
from gpd.documents.benchmarks import Benchmark, Rates, Setting
from gpd.documents.runs import Git, git_state
from gpd.models import wan
from gpd.models.wan.architectures import Architecture
from gpd.params import Params
from gpd.planning.devices import BENCHMARKS
from gpd.sampling import sample

JOURNAL = Path("parts.jsonl")  # in the folder of --work
MERGED_ROWS = 12  # of text that cross-attention sees if padding is computed once: the miniature's captions are as long


def run(request: Request) -> Benchmark:
    """Measures every part, prints what it finds, and writes the JSON on a GPU or where it is asked for.

    Raises:
        UserError: there is no such profile, the sizes do not come out even, or this is no checkout.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    architecture, params = find_architecture(request.profile), make_params(request, device)
    setting = describe(request, params, architecture, device)
    show_setting(setting)
    git, to = git_state(), _target(request, device)
    with working_in(request.work):
        found = measure(params, architecture, device, setting, git)
    show(found)
    if to is not None:
        write_json(to, found.model_dump(mode="json"))
        print(f"bench wan: {to}")
    return found


def measure(params: Params, architecture: Architecture, device: str, setting: Setting, git: Git) -> Benchmark:
    """All parts, one after the other, in the working directory; those that were done there are not done again."""
    subject = json.dumps({"commit": git.model_dump(mode="json"), **setting.model_dump(mode="json")}, sort_keys=True)
    meter = Meter(JOURNAL, subject)
    meter.measure("base: random weights", partial(make_base, params, architecture, device))
    follow_plan(params)
    meter.measure("prompts and clips", partial(write_inputs, params))
    meter.measure("prepare", partial(prepare.run, params))
    meter.measure("encode", partial(encode.run, params, "0/1"))
    meter.measure_process(f"distill {STAGE}", [sys.executable, "-m", "gpd", "distill", STAGE])
    meter.measure(f"sample {STAGE}", partial(sample.run, params, STAGE, "0/1"))
    folder = Path(meter.measure("export, merged", partial(export, params)))
    apart = meter.measure("plain diffusers", partial(distance_from_plain, params, folder, device))
    passes = meter.measure("iterations by part", partial(measure_passes, params, STAGE), Passes.model_validate)
    loop = meter.measure("the loop", partial(measure_loop, params, STAGE), Loop.model_validate)
    iteration = iteration_cost(params, passes, loop)
    found_rates = rates_of(params, architecture, device, iteration.whole)
    return Benchmark(
        git=git,
        setting=setting,
        parts=meter.parts,
        iteration=iteration,
        rates=found_rates,
        sample=passes.sample,
        guided=passes.guided,
        plain_distance=apart,
        flops_per_second=1e12 * found_rates.teraflop_per_second,
    )


def describe(request: Request, params: Params, architecture: Architecture, device: str) -> Setting:
    """What will be measured."""
    model, distill = params.model, params.distill
    with torch.device("meta"):
        transformer = wan.make_transformer(architecture.transformer)
    return Setting(
        profile=request.profile,
        architecture=architecture.name,
        num_parameters=sum(weight.numel() for weight in transformer.parameters()),
        num_frames=model.num_frames,
        height=model.height,
        width=model.width,
        tokens=num_tokens(params),
        device=device_name(device),
        torch=torch.__version__,
        dtype=fast_dtype(model.dtype, device),
        merge_padding=model.merge_padding,
        gradient_checkpointing=model.gradient_checkpointing,
        lora_rank=distill.lora_rank,
        batch=distill.stages[STAGE].batch,
        iterations=distill.stages[STAGE].iterations,
        stand_ins=f"the text encoder is a stand-in of 2 layers and the real width, {transformer.config.text_dim}; "
        f"{model.grid_steps} steps on the base grid; prompts and clips are made up",
    )


def device_name(device: str) -> str:
    """A GPU's name; a CPU's with its instructions and threads."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{names[0] if names else 'CPU'}, {capability}, {torch.get_num_threads()} threads"


def rates_of(params: Params, architecture: Architecture, device: str, seconds: float) -> Rates:
    """From the seconds of one iteration."""
    model, distill, stage = params.model, params.distill, params.distill.stages[STAGE]
    targets = sum(target_forwards(distill, stage, previous_horizon=0).values())
    text_rows = MERGED_ROWS if model.merge_padding else wan.TEXT_LENGTH
    flop = rates.flop_of_forward(architecture.transformer, latent_shape(params), text_rows)
    backward = 1 if distill.lora_rank else 2
    return Rates(
        forwards_per_second=stage.batch * (targets + STUDENT_FORWARDS) / seconds,
        teraflop_per_forward=flop / 1e12,
        teraflop_per_second=stage.batch * (targets + 1 + backward) * flop / seconds / 1e12,
        matrix_teraflop_per_second=rates.matrix_rate(device, getattr(torch, fast_dtype(model.dtype, device))) / 1e12,
    )


def _target(request: Request, device: str) -> Path | None:
    if request.to is not None:
        return request.to.resolve()
    if device == "cpu":
        return None
    gpu = this_gpu()
    name = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()) if gpu is None else gpu.name
    return (BENCHMARKS / f"{name}.json").resolve()
