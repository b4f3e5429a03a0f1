import cv2
import numpy as np
import pytest

from gpd.tiny import oracle
from gpd.tiny.clips import COLOURS, Scene, all_scenes, draw


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, list[str]]:
    scenes = all_scenes()[::7]  # 7 is coprime to all the counts of words: every word and most pairs occur
    return np.stack([draw(scene, 1000 + i) for i, scene in enumerate(scenes)]), [scene.caption for scene in scenes]


def test_reads_drawn_clips(drawn: tuple[np.ndarray, list[str]]) -> None:
    for name, right in oracle.agreement(*drawn).items():
        assert right.mean() >= 0.99, name


def test_reads_blurred_and_noisy_clips(drawn: tuple[np.ndarray, list[str]]) -> None:
    clips, captions = drawn
    blurred = np.stack([[cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in clip] for clip in clips])
    noisy = blurred + np.random.default_rng(0).normal(0, 5, blurred.shape)
    for name, right in oracle.agreement(np.clip(noisy, 0, 255).astype(np.uint8), captions).items():
        assert right.mean() >= 0.95, name


def test_reading_names_what_was_drawn() -> None:
    scene = Scene("purple", "cross", "up", "quickly", "checkered")
    assert oracle.read_scene(draw(scene, 3)) == oracle.Reading("purple", "cross", "up", "quickly", "checkered")


def test_time_reversed_moves_the_other_way() -> None:
    clip = draw(Scene("red", "circle", "left", "slowly", "plain"), 3)
    assert oracle.read_scene(clip[::-1]).direction == "right"


def test_frozen_clip_has_no_direction() -> None:
    clip = draw(Scene("red", "circle", "left", "slowly", "plain"), 3)
    reading = oracle.read_scene(np.repeat(clip[:1], 17, axis=0))
    assert (reading.colour, reading.direction, reading.speed) == ("red", None, None)


def test_empty_scene_shows_only_its_background() -> None:
    assert oracle.read_scene(np.full((17, 64, 64, 3), 60, np.uint8)) == oracle.Reading(None, None, None, None, "plain")


def test_channels_swapped_are_another_colour() -> None:
    clip = draw(Scene("red", "square", "down", "slowly", "striped"), 5)
    assert oracle.read_scene(clip[..., ::-1]).colour == "blue"


def test_wrong_captions_score_zero() -> None:
    clip = draw(Scene("red", "square", "down", "slowly", "striped"), 5)
    wrong = Scene("blue", "circle", "up", "quickly", "plain").caption
    assert all(right.tolist() == [0.0] for right in oracle.agreement(clip[None], [wrong]).values())


def test_random_pixels_do_not_break_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    assert oracle.read_scene(noise).colour in {*COLOURS, None}


def test_all_captions_must_be_of_the_grammar() -> None:
    caption = all_scenes()[0].caption
    assert oracle.is_readable([caption])
    assert not oracle.is_readable([caption, "a dog runs over a bridge"])
    assert not oracle.is_readable([])
