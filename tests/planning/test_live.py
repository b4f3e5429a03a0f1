import torch

from gpd.planning.live import LiveBytes


def test_what_lives_is_counted_and_what_is_freed_is_not():
    live = LiveBytes()
    with live:
        first = torch.zeros(1000)
        second = torch.zeros(500, dtype=torch.bfloat16)
        assert live.now == 5000
        del second
        assert live.now == 4000
        view = first.view(10, 100)[3:]
        assert live.now == 4000
        del first
        assert live.now == 4000  # the view holds it
        del view
    assert (live.now, live.peak) == (0, 5000)


def test_what_was_there_before_counts_nothing():
    weight = torch.zeros(1000)
    live = LiveBytes([weight])
    with live:
        weight.add_(1)
        assert live.now == 0
        scaled = weight * 2
        assert live.now == scaled.nbytes
