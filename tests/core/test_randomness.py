import time

import torch
from hypothesis import given
from hypothesis import strategies as st

from gpd.core.randomness import Stream, generator, integers_of, noise_of, nth_in_epochs, seed_of, seeded_noise


def test_noise_depends_on_seed_and_index_alone() -> None:
    one = seeded_noise((2, 3), seed=1, index=7)
    torch.randn(100)
    assert torch.equal(one, seeded_noise((2, 3), seed=1, index=7))
    assert not torch.equal(one, seeded_noise((2, 3), seed=1, index=8))
    assert not torch.equal(one, seeded_noise((2, 3), seed=2, index=7))


def test_samples_begin_at_the_noise_that_they_always_began_at() -> None:
    assert seeded_noise((3,), seed=0, index=1).tolist() == [
        0.4559846520423889,
        -2.1591031551361084,
        -2.1299569606781006,
    ]


def test_streams_and_indices_draw_apart_from_each_other_and_from_samples() -> None:
    drawn = [noise_of((4,), seed, stream, n) for seed in (0, 1) for stream in Stream for n in (0, 1)]
    drawn += [seeded_noise((4,), seed=seed, index=n) for seed in (0, 1) for n in range(20)]
    assert len({tuple(row.tolist()) for row in drawn}) == len(drawn)


def test_a_stream_draws_the_same_whatever_was_drawn_before() -> None:
    first = noise_of((4,), 0, Stream.CLIP_NOISE, 3)
    generator(0, Stream.CLIP_NOISE, 2).random(100)
    assert torch.equal(noise_of((4,), 0, Stream.CLIP_NOISE, 3), first)


def test_integers_do_not_depend_on_how_their_numbers_are_cut() -> None:
    whole = integers_of(5, 0, Stream.CHORD, range(300))
    parts = [integers_of(5, 0, Stream.CHORD, numbers) for numbers in (range(7), range(7, 300))]
    assert torch.equal(whole, torch.cat(parts))
    assert set(whole.tolist()) == set(range(5))


def test_parts_of_the_work_have_seeds_of_their_own() -> None:
    seeds = [seed_of(seed, Stream.STAGE, horizon) for seed in (0, 1) for horizon in range(1, 9)]
    assert len(set(seeds)) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) >= 2**62, "all 63 bits are drawn"


@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 1000))
def test_each_epoch_sees_each_element_once(length: int, epoch: int, seed: int) -> None:
    numbers = range(epoch * length, (epoch + 1) * length)
    assert sorted(nth_in_epochs(n, length, seed=seed, stream=Stream.CLIP) for n in numbers) == list(range(length))


def test_epochs_have_orders_of_their_own() -> None:
    orders = [[nth_in_epochs(30 * e + n, 30, seed=0, stream=Stream.CLIP) for n in range(30)] for e in range(3)]
    assert orders[0] != orders[1] != orders[2]


def test_a_million_elements_are_mixed_once_an_epoch_and_not_once_a_sample() -> None:
    nth_in_epochs(0, 10**6, seed=0, stream=Stream.CLIP)
    started = time.process_time()
    for n in range(1000):
        nth_in_epochs(n, 10**6, seed=0, stream=Stream.CLIP)
    assert time.process_time() - started < 1.0  # mixing once takes about .02
