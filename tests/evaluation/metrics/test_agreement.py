import numpy as np

from gpd.evaluation.measures import list_measures, measures_for
from gpd.evaluation.metric import Batch
from gpd.evaluation.metrics.agreement import AGREEMENT
from gpd.tiny.clips import all_scenes, draw

SCENES = all_scenes()[::150]
FRAMES = np.stack([draw(scene, index) for index, scene in enumerate(SCENES)])
CAPTIONS = [scene.caption for scene in SCENES]


def test_clips_agree_with_their_own_captions() -> None:
    found = AGREEMENT.of(Batch(frames=FRAMES, captions=CAPTIONS))
    assert found.keys() == set(AGREEMENT.names)
    for name, right in found.items():
        assert right.tolist() == [1.0] * len(SCENES), name


def test_one_caption_of_another_kind_and_none_is_judged() -> None:
    assert AGREEMENT in measures_for(CAPTIONS)
    other = measures_for([*CAPTIONS, "a cat rides a bicycle"])
    assert set(list_measures()) - set(other) == {AGREEMENT}
