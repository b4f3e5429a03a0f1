from gpd.data.encoders import batch_size


def test_batches_follow_from_the_clips_size() -> None:
    assert batch_size((16, 5, 8, 8)) == 8
    assert batch_size((16, 21, 60, 104)) == 1
    assert batch_size((16, 21, 90, 160)) == 1
