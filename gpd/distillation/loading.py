"""Networks and data of a stage, read from its input folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpd import documents
from gpd.artifacts import UserError, confirm
from gpd.core.schedule import make_grid
from gpd.data.shards import Latents, open_latents
from gpd.distillation.costs import asks_previous
from gpd.distillation.networks import load_networks
from gpd.distillation.stage import Stage
from gpd.documents import StudentFacts
from gpd.models.families import open_model
from gpd.params import Distill, Params

LATENTS = Path("data/latents")


def make_stage(params: Params, name: str, work: Path, device: torch.device) -> Stage:
    """Loads networks and data of stage `name`.

    Raises:
        UserError: what the stage needs is missing or of other params.
        DamagedError: weights are not those that the manifests name.
    """
    model, distill, stage = params.model, params.distill, params.distill.stages[name]
    previous = documents.load_manifest(Path(stage.previous)).facts
    previous_horizon = previous.horizon if isinstance(previous, StudentFacts) else 0  # the base model has none
    data = open_latents(LATENTS, params)
    training = data.texts("train")
    texts = Texts(data.texts(), first=list(training))
    clips = _Samples(data, "clip", data.num_clips, texts.number)
    if distill.states.clips > 0 and not clips:
        raise UserError(f"params.yaml: distill.states.clips={distill.states.clips:g}, but {LATENTS} has no clips")
    networks = load_networks(params, name, device, has_previous=asks_previous(distill, stage))
    confirm()  # here, where all processes do: one that ended alone would leave the others waiting for it
    return Stage(
        name=name,
        params=stage,
        distill=distill,
        grid=make_grid(model.grid_steps, model.shift),
        latent_shape=open_model(model.path).geometry.latent_shape(model.num_frames, model.height, model.width),
        student=networks.student,
        teacher=networks.teacher,
        previous=networks.previous,
        previous_horizon=previous_horizon,
        texts=texts,
        num_prompts=len(training),
        negative=torch.from_numpy(data.negative()).float(),
        clips=clips,
        rollouts=_Samples(data, "rollout", data.num_rollouts, texts.number),
        work=work,
        device=device,
        mesh=networks.mesh,
        strip_prompts=_strip_prompts(distill, data, texts),
    )


def _strip_prompts(distill: Distill, data: Latents, texts: "Texts") -> dict[str, int]:
    strip = distill.probe.strip
    held_out = [] if strip is None else list(data.texts("evaluation"))[: strip.num_prompts]
    return {text_id: texts.number[text_id] for text_id in held_out}


class Texts(Sequence[Tensor]):
    """Embeddings [L, D] by number, each read from its shard when it is looked up, in the shard's number format.

    Attributes:
        number: of each text's id.
    """

    def __init__(self, embeddings: Mapping[str, np.ndarray], first: Sequence[str]) -> None:
        self.embeddings = embeddings
        self.ids = list(dict.fromkeys([*first, *embeddings]))
        self.number = {text_id: number for number, text_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: Any) -> Any:
        return torch.from_numpy(self.embeddings[self.ids[number]])


class _Samples(Sequence[Any]):
    """Clips or roll-outs of the shards as the trainer needs them: (tensor, number of the text)."""

    def __init__(self, data: Latents, kind: str, length: int, number: dict[str, int]) -> None:
        self.read = getattr(data, kind)
        self.length, self.number = length, number

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        array, text_id = self.read(index)
        return torch.from_numpy(array).float(), self.number[text_id]
