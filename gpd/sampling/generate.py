"""`gpd generate`: one clip from a prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.data.clips import write_mp4
from gpd.data.workers import pick_device
from gpd.models.base import Codec, TextEncoder
from gpd.models.families import open_model
from gpd.params import Params, student_path
from gpd.progress import progress_bar
from gpd.sampling.subject import Subject
from gpd.sampling.subjects import load_student, load_teacher


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
        trajectory = self.subject.walk(noise, self.encoder.encode(list(prompts)), on_step)
        frames = self.codec.decode(trajectory[-1])
        artifacts.confirm()
        return frames


def load(params: Params, folder: Path) -> Generator:
    """The checkpoint of a folder, with text encoder and VAE of the base model.

    Raises:
        UserError: it is of another base model than params name.
    """
    model, base = params.model, open_model(params.model.path)
    encoder = base.load_text_encoder()
    subject = load_subject(params, folder, encoder)
    shape = base.geometry.latent_shape(model.num_frames, model.height, model.width)
    return Generator(subject, encoder, base.load_codec(subject.device), shape)


def run(params: Params, *, prompt: str, out: Path, student: str | None, checkpoint: str | None, seed: int) -> None:
    """Writes an mp4 of `prompt`.

    Args:
        student: a stage's student, such as "k8".
        checkpoint: instead of `student`, a folder with a student's or the base model's manifest, or what the registry
            understands: an alias, `best:6`, an abbreviated hash. With neither, the student of the last stage is taken.
        seed: of the noise.

    Raises:
        UserError: there is no such student, the prompt is empty, or `out` is no mp4.
    """
    if not prompt.strip():
        raise UserError("--prompt is empty")
    if out.suffix != ".mp4":
        raise UserError(f"--out={out}: the file must end in .mp4")
    loaded = load(params, choose_folder(params, student, checkpoint))
    subject = loaded.subject
    with progress_bar(f"generate {subject.name}", subject.grid.num_steps) as advance:
        clip = loaded.make([prompt], seed, lambda done: advance(done, "steps"))[0]
    write_mp4(out, clip, params.encode.frames_per_second)
    print(f"generate: {subject.name}, {subject.forwards} forwards, seed {seed} -> {out}")


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


def load_subject(params: Params, folder: Path, encoder: TextEncoder) -> Subject:
    """A student as it was trained to be sampled; the base model as the reference."""
    negative = encoder.encode([params.model.negative_prompt])[0]
    if documents.load_manifest(folder).kind != "base":
        return load_student(params, folder, negative, pick_device())
    if folder.resolve() != Path(params.model.path).resolve():
        raise UserError(
            f"--checkpoint={folder}: a base model, but not that of params.yaml (model.path={params.model.path})"
        )
    return load_teacher(params, negative, pick_device())
