"""DVC stage `distill@kN`: one student from its previous student and the teacher."""

import csv
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import Identity, Manifest, Probed, RunRecord, StudentFacts, dump
from gpd.params import Params, StageParams, student_path

if TYPE_CHECKING:
    from torch import Tensor

    from gpd.data.shards import Latents
    from gpd.distillation.trainer import Progress, Stage

LATENTS = Path("data/latents")


def run(params: Params, name: str) -> None:
    """Trains the student of stage `name` into data/students/NAME.

    Raises:
        UserError: there is no such stage, or what it needs is missing or of other params.
    """
    if name not in params.distill.stages:
        raise UserError(f"params.yaml: distill.stages has no {name!r}; it has {', '.join(params.distill.stages)}")
    settings = settings_of(params, name)
    with documents.recording_run(f"distill@{name}", settings) as record:
        inputs = _inputs(params, params.distill.stages[name])
        work = artifacts.WORK / "distill" / f"{name}-{artifacts.hash_json([settings, dump(inputs)])[:16]}"
        _train(params, name, settings, inputs, work, record)
        shutil.rmtree(work, ignore_errors=True)


def settings_of(params: Params, name: str) -> dict[str, Any]:
    """What of params.yaml determines the student of a stage."""
    distill = params.distill.model_dump(exclude={"stages", "save_every_seconds"})
    return {
        "model": params.model.model_dump(exclude={"path", "hub"}),
        "distill": distill,
        "stage": params.distill.stages[name].model_dump(exclude={"previous"}),
    }


def _inputs(params: Params, stage: StageParams) -> dict[str, Identity]:
    return {
        "teacher": documents.identify(Path(params.model.path)),
        "previous": documents.identify(Path(stage.previous)),
        "latents": documents.identify(LATENTS),
    }


def _train(
    params: Params, name: str, settings: dict[str, Any], inputs: dict[str, Identity], work: Path, record: RunRecord
) -> None:
    from gpd.distillation.trainer import make_accelerator, train_stage
    from gpd.progress import progress_bar

    accelerator = make_accelerator(params.model.dtype)
    stage = make_stage(params, name, work, accelerator.device)
    started = time.monotonic()
    with progress_bar(f"distill {name}", stage.params.iterations, accelerator.is_main_process) as advance:
        student, progress = train_stage(
            stage, accelerator, lambda iteration, loss: advance(iteration, f"loss {loss:.4f}")
        )
    seconds = time.monotonic() - started
    if accelerator.is_main_process:
        manifest = _publish(params, name, settings, inputs, student, progress)
        record.wrote(student_path(name), manifest)
        record.forwards, record.device = progress.forwards, str(accelerator.device)
        record.device_seconds = seconds * accelerator.num_processes
        print(summary(name, progress, seconds), flush=True)
    accelerator.wait_for_everyone()
    accelerator.end_training()


def summary(name: str, progress: "Progress", seconds: float) -> str:
    """The one line that a stage leaves behind."""
    total = sum(progress.forwards.values())
    return (
        f"distill {name}: residual {progress.before['residual']:.4f} -> {progress.after['residual']:.4f}, "
        f"distance to the true roll-out {progress.before['rollout_distance']:.3f} -> "
        f"{progress.after['rollout_distance']:.3f}, "
        f"{progress.samples_seen:,} samples, {total:,} forwards, {seconds:.0f} s"
    )


def make_stage(params: Params, name: str, work: Path, device: Any) -> "Stage":
    """Loads networks and data of a stage."""
    import torch

    from gpd.core.schedule import make_grid
    from gpd.data.shards import open_latents
    from gpd.distillation.trainer import Stage
    from gpd.models import wan
    from gpd.models.families import open_model

    model, distill, stage = params.model, params.distill, params.distill.stages[name]
    previous = documents.load_manifest(Path(stage.previous)).facts

    def load(folder: str, dtype: str, checkpointing: bool = False) -> Any:
        network = wan.load_network(
            Path(folder), merge_padding=model.merge_padding, dtype=dtype, gradient_checkpointing=checkpointing
        )
        return network.to(device).requires_grad_(False)

    data = open_latents(LATENTS, params)
    number, texts, num_prompts = _number_texts(data)
    clips = _Samples(data, "clip", data.num_clips, number)
    rollouts = _Samples(data, "rollout", data.num_rollouts, number)
    if distill.states.clips > 0 and not clips:
        raise UserError(f"params.yaml: distill.states.clips={distill.states.clips:g}, but {LATENTS} has no clips")
    student = load(stage.previous, "float32", model.gradient_checkpointing)
    if distill.horizons:
        student.embed_steps(distill.horizons)
        student.to(device)
    return Stage(
        name=name,
        params=stage,
        distill=distill,
        grid=make_grid(model.grid_steps, model.shift),
        latent_shape=open_model(model.path).geometry.latent_shape(model.num_frames, model.height, model.width),
        student=student,
        teacher=load(model.path, model.dtype),
        previous=load(stage.previous, model.dtype) if stage.tail < stage.horizon else None,
        previous_horizon=previous.horizon if isinstance(previous, StudentFacts) else 0,  # the base model has none
        texts=texts,
        num_prompts=num_prompts,
        negative=torch.from_numpy(data.negative()).float(),
        clips=clips,
        rollouts=rollouts,
        work=work,
    )


def _number_texts(data: "Latents") -> tuple[dict[str, int], list["Tensor"], int]:
    """Text id -> number, embeddings by number, and how many at the front are training prompts."""
    import torch

    training = data.texts("train")
    ordered = {**training, **data.texts()}
    number = {text_id: position for position, text_id in enumerate(ordered)}
    return number, [torch.from_numpy(embedding).float() for embedding in ordered.values()], len(training)


class _Samples(Sequence[Any]):
    """Clips or roll-outs of the shards as the trainer wants them: (tensor, number of the text)."""

    def __init__(self, data: "Latents", kind: str, length: int, number: dict[str, int]) -> None:
        self.read = getattr(data, kind)
        self.length, self.number = length, number

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        import torch

        array, text_id = self.read(index)
        return torch.from_numpy(array).float(), self.number[text_id]


def _publish(
    params: Params,
    name: str,
    settings: dict[str, Any],
    inputs: dict[str, Identity],
    student: Any,
    progress: "Progress",
) -> Manifest[StudentFacts]:
    from gpd.models import wan

    model, stage = params.model, params.distill.stages[name]
    with artifacts.replacing(Path(student_path(name))) as folder:
        wan.save_student(folder, student.transformer, Path(model.path), grid_steps=model.grid_steps, shift=model.shift)
        if params.distill.horizons:
            wan.save_steps(folder, student.steps)
        with (folder / "training.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(progress.curve[0]))
            writer.writeheader()
            writer.writerows(progress.curve)
        facts = StudentFacts(
            stage=name,
            horizon=stage.horizon,
            horizons=params.distill.horizons,
            grid_steps=model.grid_steps,
            sampling_steps=model.grid_steps // stage.horizon if model.grid_steps % stage.horizon == 0 else None,
            forwards=progress.forwards,
            iterations=len(progress.losses),
            samples_seen=progress.samples_seen,
            before=Probed.model_validate(progress.before),
            after=Probed.model_validate(progress.after),
        )
        return documents.write_manifest(folder, facts, inputs=inputs, params=settings)
