"""Rows of results.json beside those of the runs at hand: what other machines or other code have made is not lost."""

from collections.abc import Iterator, Mapping, Set

from gpd.ablation.variants import Planned
from gpd.documents import AblationRow

Place = tuple[str, int]  # a variant or where it comes from, and a budget


def join_rows(
    new: list[AblationRow], earlier: list[AblationRow], variants: Mapping[str, Planned], present: Set[str]
) -> list[AblationRow]:
    """One row for each variant and budget, in the order of the grid.

    An earlier row stays until a new one takes its place. It is stale unless all its runs are runs of the present.

    Args:
        earlier: under the protocol of the new ones.
        present: keys of all runs that the repository declares as it is now.
    """
    kept = _kept(new, [row.model_copy(update={"is_stale": not is_present(row, present)}) for row in earlier], variants)
    rows = {(row.variant, row.budget): row for row in [*new, *kept]}
    origins, names = list(dict.fromkeys(planned.origin for planned in variants.values())), list(variants)
    return sorted(
        rows.values(),
        key=lambda row: (origins.index(row.origin), row.variant in names and names.index(row.variant), row.budget),
    )


def _kept(new: list[AblationRow], earlier: list[AblationRow], variants: Mapping[str, Planned]) -> Iterator[AblationRow]:
    made: dict[Place, AblationRow] = {(row.variant, row.budget): row for row in new}
    replaced: set[Place] = {(row.origin, row.budget) for row in new}
    origins = {planned.origin for planned in variants.values()}
    for row in earlier:
        found = made.get((row.variant, row.budget))
        is_known = row.variant in variants or (row.variant in origins and (row.origin, row.budget) not in replaced)
        if is_known and (found is None or (not row.is_stale and row.num_seeds > found.num_seeds)):
            yield row


def is_present(row: AblationRow, present: Set[str]) -> bool:
    """Whether all its runs are runs of the present."""
    return bool(row.runs) and set(row.runs) <= present
