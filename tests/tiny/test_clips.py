import numpy as np
import pytest

from gpd.tiny.clips import (
    BACKGROUNDS,
    CELL_PX,
    DIRECTIONS,
    SHAPES,
    SPEEDS,
    Scene,
    all_scenes,
    background_levels,
    coverage,
    draw,
    scene_from_caption,
    split_scenes,
)


def test_every_caption_is_read_back() -> None:
    scenes = all_scenes()
    assert len({scene.caption for scene in scenes}) == 576
    assert [scene_from_caption(scene.caption) for scene in scenes] == scenes


@pytest.mark.parametrize("caption", ["", "a red circle", "a red circle moves left slowly over a plain wall", "雪"])
def test_other_sentences_are_refused(caption: str) -> None:
    with pytest.raises(ValueError, match="not a caption"):
        scene_from_caption(caption)


def test_held_out_captions_are_not_trained_on() -> None:
    training, held_out = split_scenes()
    assert (len(training), len(held_out)) == (320, 256)
    assert not set(training) & set(held_out)
    assert split_scenes() == (training, held_out)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("speed", SPEEDS)
def test_the_shape_moves_as_the_caption_says(direction: str, speed: str) -> None:
    frames = draw(Scene("red", "circle", direction, speed, "plain"), seed=3).astype(float)
    redness = frames[..., 0] - frames[..., 1] - 20
    redness = redness.clip(min=0)
    y, x = np.mgrid[:64, :64]
    centroids = np.stack([(redness * axis).sum((1, 2)) / redness.sum((1, 2)) for axis in (y, x)], 1)
    step = (centroids[-1] - centroids[0]) / 16
    assert step == pytest.approx(SPEEDS[speed] * np.array(DIRECTIONS[direction]), abs=0.02)


def test_a_seed_settles_the_clip() -> None:
    scene = all_scenes()[7]
    assert np.array_equal(draw(scene, 1), draw(scene, 1))
    assert not np.array_equal(draw(scene, 1), draw(scene, 2))
    assert draw(scene, 1).shape == (17, 64, 64, 3)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_patterns_lie_on_the_vaes_grid(background: str) -> None:
    levels = background_levels(background, 64, 64, 0.2, 0.5)
    cells = levels.reshape(8, CELL_PX, 8, CELL_PX)
    assert np.ptp(cells, axis=(1, 3)).max() == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_full_inside_and_empty_far_outside(shape: str) -> None:
    centre, outside = np.zeros((1, 1)), np.full((1, 1), 40.0)
    assert coverage(shape, centre, centre) == 1
    assert coverage(shape, outside, outside) == 0
