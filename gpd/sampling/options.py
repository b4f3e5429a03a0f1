"""What a user may set of how a checkpoint makes clips, and what a checkpoint can do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import UserError
from gpd.documents import MadeClip, StudentFacts
from gpd.models.families import open_model
from gpd.params import Params, num_student_steps

MOST_STEPS = 1000  # of the undistilled model: as many timesteps as it was trained at


@dataclass(frozen=True)
class Options:
    """How clips are made; None leaves what the checkpoint or params.yaml says.

    Attributes:
        steps: a student has the numbers that it was trained for, the base model has any.
        guidance_scale, negative_prompt: of the base model alone; a student samples without.
        num_frames, height, width: of a clip, in frames and px.
    """

    steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    num_frames: int | None = None
    height: int | None = None
    width: int | None = None

    def sized(self, params: Params) -> Params:
        """Params with these sizes of a clip."""
        sizes = {"num_frames": self.num_frames, "height": self.height, "width": self.width}
        changes = {key: value for key, value in sizes.items() if value is not None}
        return params.model_copy(update={"model": params.model.model_copy(update=changes)})

    def describe(self, params: Params, folder: Path) -> MadeClip:
        """How the checkpoint of a folder will make clips, before any weights are loaded; prompt and seed are empty.

        Raises:
            UserError: it cannot do this; naming what, its value and what it can.
        """
        model = self.sized(params).model
        if mistakes := open_model(model.path).geometry.mistakes(model.num_frames, model.height, model.width):
            raise UserError("\n".join(mistakes))
        manifest = documents.load_manifest(folder)
        way = self._teacher(params) if manifest.kind == "base" else self._student(folder)
        return MadeClip(
            **way,
            checkpoint=manifest.content,
            prompt="",
            seed=0,
            solver="euler",
            shift=model.shift,
            num_frames=model.num_frames,
            height=model.height,
            width=model.width,
            frames_per_second=params.encode.frames_per_second,
        )

    def _teacher(self, params: Params) -> dict[str, Any]:
        steps = params.model.grid_steps if self.steps is None else self.steps
        if not 1 <= steps <= MOST_STEPS:
            raise UserError(f"steps={steps}: the base model takes 1 to {MOST_STEPS}")
        scale = params.sample.reference.guidance_scale if self.guidance_scale is None else self.guidance_scale
        if scale < 1:
            raise UserError(f"guidance_scale={scale:g}: must be at least 1, which is none")
        if scale == 1 and self.negative_prompt is not None:
            raise UserError(f"negative_prompt={self.negative_prompt!r}: guidance_scale=1 is no guidance and uses none")
        negative = params.model.negative_prompt if self.negative_prompt is None else self.negative_prompt
        return {
            "subject": f"teacher-{steps}",
            "steps": steps,
            "forwards": steps if scale == 1 else 2 * steps,
            "guidance_scale": scale,
            "negative_prompt": None if scale == 1 else negative,
        }

    def _student(self, folder: Path) -> dict[str, Any]:
        facts = documents.load_manifest(folder, StudentFacts).facts
        steps = num_student_steps(facts.grid_steps, horizon_of(facts, self.steps))
        why = f"{facts.stage} is distilled and samples without: guidance is part of what it has learnt"
        if self.guidance_scale not in (None, 1.0):
            raise UserError(f"guidance_scale={self.guidance_scale:g}: {why}; a second time it would burn the clip")
        if self.negative_prompt is not None:
            raise UserError(f"negative_prompt={self.negative_prompt!r}: {why}; a negative prompt has no effect")
        same = {"steps": steps, "forwards": steps}
        return {"subject": facts.stage, **same, "guidance_scale": 1.0, "negative_prompt": None}


def horizon_of(facts: StudentFacts, steps: int | None) -> int:
    """The horizon at which a student samples in so many steps; its own for None.

    Raises:
        UserError: it has not learnt them; the message names those that it has.
    """
    if steps is None:
        return facts.horizon
    known = {num_student_steps(facts.grid_steps, horizon): horizon for horizon in [facts.horizon, *facts.horizons]}
    if steps not in known:
        raise UserError(
            f"steps={steps}: {facts.stage} was distilled to sample in {' or '.join(map(str, known))} steps, no others"
        )
    return known[steps]
