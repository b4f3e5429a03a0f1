"""Which numbers may stand in a shard: a student would be trained on them, however wrong they are."""

import numpy as np

from gpd.artifacts import UserError

MAX_LATENT = 1000.0  # normalised latents are of the order of 1; and float16 ends at 65,504
MAX_EMBEDDING = 1e4  # a normalisation is the text encoder's last layer
LARGEST = {"embedding.npy": MAX_EMBEDDING, "latents.npy": MAX_LATENT, "trajectory.npy": MAX_LATENT}  # of an entry


def reason_against(array: np.ndarray, largest: float = MAX_LATENT) -> str | None:
    """What is wrong with an array, in a few words; None if its numbers are finite and none is above `largest`."""
    extreme = float(np.abs(array).max(initial=0.0))
    if not np.isfinite(extreme):
        return f"holds {'NaN' if np.isnan(extreme) else 'infinity'}"
    return f"reaches {extreme:g}, above {largest:g}" if extreme > largest else None


def check_numbers(array: np.ndarray, said: str, largest: float = MAX_LATENT) -> None:
    """Raises a UserError if an array that a base model has made cannot be right.

    Args:
        said: what the array is and which model made it.
    """
    if reason := reason_against(array, largest):
        raise UserError(f"{said} {reason}; nothing is written from it, since the base model seems to be damaged")
