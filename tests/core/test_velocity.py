import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpd.core import velocity as v
from tests.toy import GaussianField, text_of

SHAPE = (3, 2, 2, 4, 4)
levels = st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3)


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator).double(), torch.randn(SHAPE, generator=generator).double()


@given(levels)
def test_conversions_there_and_back(sigmas: list[float]) -> None:
    clean, noise = pair()
    sigma = torch.tensor(sigmas, dtype=torch.float64)
    noisy, velocity = v.noisy_latent(clean, noise, sigma), v.velocity_of(clean, noise)
    assert torch.allclose(v.clean_latent(noisy, velocity, sigma), clean)
    assert torch.allclose(v.noise_of(noisy, velocity, sigma), noise)


@given(levels, levels)
def test_euler_step_on_the_true_velocity_is_exact_at_any_length(sigmas: list[float], following: list[float]) -> None:
    clean, noise = pair()
    sigma, sigma_next = (torch.tensor(values, dtype=torch.float64) for values in (sigmas, following))
    stepped = v.euler_step(v.noisy_latent(clean, noise, sigma), v.velocity_of(clean, noise), sigma, sigma_next)
    assert torch.allclose(stepped, v.noisy_latent(clean, noise, sigma_next))


def test_mean_velocity_undoes_the_euler_step() -> None:
    latents, velocity = pair()
    sigma, sigma_next = torch.tensor([0.9, 0.5, 0.3]), torch.tensor([0.5, 0.1, 0.0])
    end = v.euler_step(latents, velocity, sigma, sigma_next)
    assert torch.allclose(v.mean_velocity(latents, end, sigma, sigma_next), velocity)


def test_velocity_is_the_derivative_of_the_noisy_latent() -> None:
    clean, noise = pair()
    sigma = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    step = 1e-6
    slope = (v.noisy_latent(clean, noise, sigma + step) - v.noisy_latent(clean, noise, sigma - step)) / (2 * step)
    assert torch.allclose(slope, v.velocity_of(clean, noise), atol=1e-8)


def test_guidance_by_hand() -> None:
    text, negative = torch.full(SHAPE, 3.0), torch.full(SHAPE, 1.0)
    scale = torch.tensor([1.0, 0.0, 6.0])
    guided = v.guide(text, negative, scale)
    assert guided[0].unique() == 3
    assert guided[1].unique() == 1
    assert guided[2].unique() == 13


def test_guided_field_asks_the_network_once_for_both_halves() -> None:
    field = GaussianField()
    latents = pair()[0].float()
    timesteps = torch.full((3,), 500)
    text = text_of(1.0, 2.0, 3.0)
    scale = torch.tensor([1.0, 2.0, 5.0])
    result = v.guided(field, text, text_of(0.0), scale)(latents, timesteps)
    assert field.num_forwards == 6
    on_text = field(latents, timesteps, text)
    on_negative = field(latents, timesteps, text_of(0.0, 0.0, 0.0))
    assert torch.allclose(result, v.guide(on_text, on_negative, scale))
    assert torch.allclose(result[0], on_text[0])


@pytest.mark.parametrize("apart", ["0", "1"])
def test_a_negative_text_keeps_all_its_words(apart: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network that returns the sum of its words: 10 + 2 * (3 - 10) with a negative of 1 + 2 + 3 + 4."""
    monkeypatch.setenv(v.APART, apart)
    latents, negative = torch.zeros(SHAPE), torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])[None]
    text, scale = torch.full((3, 1, 2), 1.5), torch.full((3,), 2.0)
    assert v.guided(sum_of_words, text, negative, scale)(latents, torch.zeros(3)).unique() == -4
    assert v.guided_by(sum_of_words, negated_sum, text, negative, scale)(latents, torch.zeros(3)).unique() == 16


def sum_of_words(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return latents + v.per_sample(text.sum(dim=(1, 2)), latents)


def negated_sum(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return -sum_of_words(latents, timesteps, text)


def test_both_halves_by_one_call_after_the_other_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one place where guidance is computed is the one that reads the switch."""
    field, latents, timesteps = GaussianField(), pair()[0], torch.full((3,), 500)
    text, negative, scale = text_of(1.0, 2.0, 3.0), text_of(0.0), torch.tensor([1.0, 2.0, 5.0])
    together = v.guided(field, text, negative, scale)(latents, timesteps)
    calls = [0]
    monkeypatch.setenv(v.APART, "1")

    def counted(*args: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return field(*args)

    assert torch.allclose(v.guided(counted, text, negative, scale)(latents, timesteps), together)
    assert calls == [2]


def test_texts_of_different_length_are_padded_with_zeros() -> None:
    joined = v.join_text(torch.ones(1, 2, 4), torch.ones(2, 5, 4))
    assert joined.shape == (3, 5, 4)
    assert joined[0, 2:].eq(0).all()
    stacked = v.stack_text([torch.ones(2, 4), torch.ones(3, 4)])
    assert stacked.shape == (2, 3, 4)
    assert stacked[0, 2:].eq(0).all()
    assert stacked.sum() == 20
