from pathlib import Path

import numpy as np

from gpd.sampling import reference_set
from gpd.sampling.reference_set import ReferenceSet, Sample

RNG = np.random.default_rng(0)


def test_views_come_back_as_they_were(tmp_path: Path) -> None:
    latents = RNG.normal(size=(2, 3, 4, 2, 2, 2)).astype(np.float32)
    channels_first = RNG.integers(0, 256, (2, 3, 5, 4, 4), dtype=np.uint8)
    frames = np.moveaxis(channels_first, 1, -1)
    samples = [Sample(f"p-{index}", "a prompt", 0, index) for index in range(2)]
    reference_set.save_part(tmp_path, 0, latents, frames)
    reference_set.save_rest(
        tmp_path,
        samples=samples,
        points=[1, 2, 3],
        measures={"flicker": RNG.normal(size=2)},
        diversity=None,
        clips=None,
    )
    found = ReferenceSet(tmp_path)
    part = next(found.parts(2))
    assert np.array_equal(part.latents, latents)
    assert np.array_equal(part.frames, frames)
    assert part.samples == found.samples == samples
    assert found.diversity is None
    assert found.clips is None
