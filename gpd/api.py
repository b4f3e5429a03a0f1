"""gpd from Python, for scripts and notebooks; each of these is also `gpd.NAME` (docs/python.md).

    import gpd

    print(gpd.best(steps=6).winners[0].name)
    student = gpd.load_student("champion")
    frames = gpd.sample(student, ["a red circle moves left slowly over a plain background"], seed=0)
    print(gpd.compare("clips/mine", "clips/theirs")["metrics"]["psnr"]["value"])

They work in a checkout of the repository, whose params.yaml, data/ and registry.db they read.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpd import registry
from gpd.evaluation.compare import compare as measure
from gpd.evaluation.folders import pair_up
from gpd.params import load_params
from gpd.registry.best import Best
from gpd.sampling.generator import Generator, choose_folder, load
from gpd.sampling.options import Options


def open_registry(url: str | None = None) -> AbstractContextManager[Any]:
    """A SQLModel session of the registry, for the questions of `gpd.registry`.

    Args:
        url: as `gpd registry --url`; without it GPD_REGISTRY_URL, else registry.db.

    Raises:
        UserError: there is no registry, or it is of another version.
    """
    return registry.open_registry(url)


def best(*, steps: int, metric: str = "trajectory_error", where: Sequence[str] = (), url: str | None = None) -> Best:
    """The best student of `steps` steps by a metric, under one protocol: `winners[0]` has its name, hash and value.

    Args:
        where: conditions such as "forwards <= 6" (docs/registry.md).

    Raises:
        UserError: nothing matches; the message says what there is.
    """
    with open_registry(url) as session:
        return registry.best(session=session, steps=steps, metric=metric, where=where)


def load_student(checkpoint: str | Path | None = None, **options: Any) -> Generator:
    """A student with the text encoder and VAE of its base model, on the GPU if there is one.

    Args:
        checkpoint: a folder, or what the registry understands: an alias, `best:6`, an abbreviated hash, a name. Without
            it the student of the last stage of params.yaml.
        options: as those of `gpd generate`: steps, num_frames, height, width; of the base model guidance_scale and
            negative_prompt too (`gpd.sampling.options.Options`).

    Raises:
        UserError: there is no such checkpoint, it cannot do this, or params.yaml names another base model.
    """
    params = load_params()
    folder = choose_folder(params, None, None if checkpoint is None else str(checkpoint))
    return load(params, folder, Options(**options))


def sample(student: Generator | str | Path, prompts: Sequence[str], seed: int = 0) -> NDArray[np.uint8]:
    """A clip for each prompt: [B, F, H, W, 3] in 0 .. 255. The noise of a clip follows from seed and place.

    A clip of `gpd generate` is that of its prompt alone: `sample(student, [prompt], seed)[0]`.

    Raises:
        UserError: a prompt is empty, or as `load_student`.
    """
    loaded = student if isinstance(student, Generator) else load_student(student)
    return loaded.make(prompts, seed)


def compare(clips: str | Path, reference: str | Path) -> Mapping[str, Any]:
    """Metrics of a folder of clips against another's, as `gpd compare` writes them: by name under "metrics".

    A clip that is broken, or that differs from its partner in length, size or rate, is left out ("broken_clips").

    Raises:
        UserError: a folder is empty, or more than 5 % of the clips would be left out.
    """
    return measure(pair_up(Path(clips), Path(reference)))
