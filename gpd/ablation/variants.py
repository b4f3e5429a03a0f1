"""All variants of a grid: those that it lists, at one or several learning rates, and those of its families."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gpd.ablation.grid import GRID_FILE, AblationGrid, Family, StageShare, Variant
from gpd.artifacts import UserError

FAMILIES = "steps"  # the group of all of them


@dataclass(frozen=True)
class Planned:
    """A variant as it runs.

    Attributes:
        name: unlike any other's.
        origin: what the grid calls it: itself, its sweep or its family.
        learning_rate: of stages without one of their own.
        is_swept: one of several learning rates, of which one is shown.
        is_trial: of these one that runs with the first seed alone.
        family: the label of the family that it is of.
        are_all_final: whether every stage is trained where inference starts, or the last one alone.
    """

    name: str
    origin: str
    variant: Variant
    learning_rate: float
    is_swept: bool = False
    is_trial: bool = False
    family: str | None = None
    are_all_final: bool = False


def all_variants(grid: AblationGrid) -> dict[str, Planned]:
    """By name, in the order of the file; families come last.

    Raises:
        UserError: a sweep of what the grid does not have.
    """
    _check_sweeps(grid)
    planned = [one for name in grid.variants for one in _of_variant(grid, name)]
    planned += [one for name, family in grid.families.items() for one in _of_family(grid, name, family)]
    return {one.name: one for one in planned}


def _check_sweeps(grid: AblationGrid) -> None:
    if unknown := sorted(grid.learning_rates.keys() - grid.variants.keys() - grid.families.keys()):
        raise UserError(f"{GRID_FILE}: learning_rates.{unknown[0]}: variants and families have no such name")


def _of_variant(grid: AblationGrid, name: str) -> Iterator[Planned]:
    yield from _at_rates(grid, Planned(name, name, grid.variants[name], grid.learning_rate))


def _of_family(grid: AblationGrid, name: str, family: Family) -> Iterator[Planned]:
    """A variant for each of its chains, named after the horizon that the chain ends at: `doubling-k16`."""
    for horizons in family.chains:
        variant = Variant(
            label=f"{family.label}: {' '.join(f'k{horizon}' for horizon in horizons)}",
            group=FAMILIES,
            set=family.set,
            stages=list(_stages(family, horizons)),
        )
        chain = Planned(f"{name}-k{horizons[-1]}", name, variant, grid.learning_rate)
        yield from _at_rates(grid, replace(chain, family=family.label, are_all_final=family.are_all_final))


def _at_rates(grid: AblationGrid, one: Planned) -> Iterator[Planned]:
    """Once for each learning rate of its origin, if it has several."""
    if one.origin not in grid.learning_rates:
        yield one
    for place, rate in enumerate(grid.learning_rates.get(one.origin, [])):
        yield replace(one, name=f"{one.name}@{rate:g}", learning_rate=rate, is_swept=True, is_trial=place > 0)


def _stages(family: Family, horizons: Sequence[int]) -> Iterator[StageShare]:
    """The last stage has its share of the budget, those before it the rest in equal parts; all the same without one."""
    number, to_fold = len(horizons), family.fold_share or 0.0
    last = 1 / number if family.last_share is None or number == 1 else family.last_share
    shares = [(1 - last) / max(1, number - 1)] * (number - 1) + [last]
    for previous, horizon, share in zip([0, *horizons[:-1]], horizons, shares, strict=True):
        tail = {"whole": horizon, "rest": horizon - previous, "one": 1}[family.tail]
        yield StageShare(horizon=horizon, tail=tail, share=share * (1 - to_fold))
    if to_fold:
        yield StageShare(horizon=horizons[-1], tail=horizons[-1], share=to_fold, objective="fold")


def choose(grid: AblationGrid, only: Sequence[str]) -> list[str]:
    """The variants of these names, sweeps, families or groups, in the grid's order; all of them if none is given.

    Raises:
        UserError: a name that the grid does not have.
    """
    variants = all_variants(grid)
    called = {name: {name, one.origin, one.variant.group} for name, one in variants.items()}
    if unknown := sorted(set(only) - set().union(*called.values())):
        groups = dict.fromkeys(one.variant.group for one in variants.values())
        raise UserError(
            f"{GRID_FILE}: no variant, family or group {unknown[0]!r}; it has "
            f"{', '.join([*grid.variants, *grid.families])}; groups {', '.join(groups)}"
        )
    return [name for name, names in called.items() if not only or names & set(only)]
