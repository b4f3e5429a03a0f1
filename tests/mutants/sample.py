"""Which mutants are tried, and what their share says of all."""

import math
import random

from tests.mutants.operators import Mutant

Z = 1.96  # 95 % of a normal distribution lie within so many deviations


def drawn(every: dict[str, list[Mutant]], number: int, order: random.Random) -> list[Mutant]:
    """A sample with the same share of each module, mixed; all if there are not more than `number`.

    A larger number gives the same sample and others besides, so a campaign can be prolonged.
    """
    ranked: list[tuple[float, float, Mutant]] = []
    for path in sorted(every):
        mixed = order.sample(every[path], len(every[path]))
        ranked += [((place + 0.5) / len(mixed), order.random(), mutant) for place, mutant in enumerate(mixed)]
    return [mutant for *_, mutant in sorted(ranked, key=lambda one: one[:2])[:number]]


def share(hits: int, total: int) -> tuple[float, float, float]:
    """The share, and Wilson's interval for that of all (Wilson 1927), 95 %; of nothing 0 to 1."""
    if not total:
        return 0.0, 0.0, 1.0
    part, z2 = hits / total, Z**2 / total
    middle = (part + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(part * (1 - part) / total + z2 / total / 4) / (1 + z2)
    return part, middle - half, middle + half
