"""A checkpoint with all that makes clips of prompts: for `gpd generate`, Python and the benchmark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.core.schedule import make_grid
from gpd.data.workers import pick_device
from gpd.documents import StudentFacts
from gpd.models.base import Codec, TextEncoder
from gpd.models.families import open_model
from gpd.params import Params, student_path
from gpd.sampling.options import Options, horizon_of
from gpd.sampling.subject import Subject
from gpd.sampling.subjects import load_student, load_teacher

AS_IT_IS = Options()


@dataclass(frozen=True)
class Generator:
    """A checkpoint with all that makes clips of prompts.

    Attributes:
        shape: of a clip's latents, (C, F, H, W).
    """

    subject: Subject
    encoder: TextEncoder
    codec: Codec
    shape: tuple[int, int, int, int]
    _embedded: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def make(
        self, prompts: Sequence[str], seed: int = 0, on_step: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.uint8]:
        """A clip for each prompt: [B, F, H, W, 3] in 0 .. 255.

        Args:
            seed: of the noise, with the prompt's place.
            on_step: called with the number of steps done.

        Raises:
            UserError: there is no prompt, or one is empty.
            DamagedError: the weights are not those that the manifests name.
        """
        if not prompts or not all(prompt.strip() for prompt in prompts):
            raise UserError("--prompt is empty")
        noise = [seeded_noise(self.shape, seed=seed, index=place) for place in range(len(prompts))]
        trajectory = self.subject.walk(noise, [self._embed(prompt) for prompt in prompts], on_step)
        frames = self.codec.decode(trajectory[-1])
        artifacts.confirm()
        return frames

    def _embed(self, prompt: str) -> Tensor:
        """[L, D], computed once; alone, as it does not depend on what else is embedded."""
        if prompt not in self._embedded:
            self._embedded[prompt] = self.encoder.encode([prompt])[0]
        return self._embedded[prompt]


def load(params: Params, folder: Path, options: Options = AS_IT_IS) -> Generator:
    """The checkpoint of a folder, with text encoder and VAE of the base model.

    Raises:
        UserError: it is of another base model than params name, or cannot do what `options` say.
    """
    options.describe(params, folder)
    params = options.sized(params)
    model, base = params.model, open_model(params.model.path)
    encoder = base.load_text_encoder()
    subject = load_subject(params, folder, encoder, options)
    shape = base.geometry.latent_shape(model.num_frames, model.height, model.width)
    return Generator(subject, encoder, base.load_codec(subject.device), shape)


def choose_folder(params: Params, student: str | None, checkpoint: str | None) -> Path:
    """Where the checkpoint lies that the user names."""
    if student is not None and checkpoint is not None:
        raise UserError(f"--student={student} and --checkpoint={checkpoint}: give one of them")
    if checkpoint is not None:
        folder = Path(checkpoint)
        return folder if (folder / artifacts.MANIFEST).is_file() else find_in_registry(checkpoint)
    name = student or list(params.distill.stages)[-1]
    if name not in params.distill.stages:
        raise UserError(
            f"--student={name}: distill.stages has no such stage; it has {', '.join(params.distill.stages)}"
        )
    return Path(student_path(name))


def find_in_registry(spec: str) -> Path:
    """The folder of the checkpoint that the registry finds for `spec`."""
    from gpd.registry import find_checkpoint, open_registry

    try:
        with open_registry(None) as session:
            return find_checkpoint(spec, session=session).path
    except UserError as error:
        raise UserError(f"--checkpoint={spec}: no such folder, and {error}") from None


def load_subject(params: Params, folder: Path, encoder: TextEncoder, options: Options = AS_IT_IS) -> Subject:
    """A student as it was trained to be sampled; the base model as the reference; but for what `options` say."""
    asked = params.model.negative_prompt if options.negative_prompt is None else options.negative_prompt
    negative = encoder.encode([asked])[0]
    if documents.load_manifest(folder).kind != "base":
        facts = documents.load_manifest(folder, StudentFacts).facts
        return load_student(params, folder, negative, pick_device(), horizon_of(facts, options.steps))
    if folder.resolve() != Path(params.model.path).resolve():
        raise UserError(
            f"--checkpoint={folder}: a base model, but not that of params.yaml (model.path={params.model.path})"
        )
    return _changed(load_teacher(params, negative, pick_device()), options)


def _changed(teacher: Subject, options: Options) -> Subject:
    """The teacher with other steps or guidance."""
    steps, scale = options.steps or teacher.grid.num_steps, options.guidance_scale
    return replace(
        teacher,
        name=f"teacher-{steps}",
        grid=make_grid(steps, teacher.shift),
        guidance_scale=teacher.guidance_scale if scale is None else scale,
    )
