"""The declared grid of an ablation: data/ablation/grid.yaml as types."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from gpd.artifacts import UserError
from gpd.documents.reading import parse_yaml
from gpd.params import NotNegative, Positive, Section, Seed, Share, explain

GRID_FILE = Path("data/ablation/grid.yaml")


class StageShare(Section):
    """One stage of a variant; its iterations follow from its share of the budget."""

    horizon: Positive
    tail: NotNegative
    share: Share
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    batch: Positive | None = None


class Variant(Section):
    """One row of the table.

    Attributes:
        label: what it is, in the words of the field.
        group: the axis of the ablation that it lies on; "rivals" stand in the report, too.
        set: dotted keys over params.yaml.
        budgets: training forwards of its runs; the grid's one budget if there are none.
    """

    label: str
    group: str
    set: dict[str, Any] = Field(default_factory=dict)
    stages: Annotated[list[StageShare], Field(min_length=1)]
    budgets: list[Positive] = Field(default_factory=list)


class AblationGrid(Section):
    """All that `gpd ablate` runs."""

    budget: Positive
    seeds: Annotated[list[Seed], Field(min_length=2)]
    batch: Positive
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    common: dict[str, Any]
    variants: Annotated[dict[str, Variant], Field(min_length=1)]


def load_grid(path: Path = GRID_FILE) -> AblationGrid:
    """Reads and checks the grid file.

    Raises:
        UserError: file, key, value and what is wrong, one line for each mistake.
    """
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
        return AblationGrid.model_validate(raw)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it declares what `gpd ablate` runs") from None
    except ValidationError as error:
        raise UserError(explain(path, error)) from None
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None


def choose(grid: AblationGrid, only: Sequence[str]) -> list[str]:
    """The variants of these names in the grid's order; all of them if no name is given.

    Raises:
        UserError: a name that the grid does not have.
    """
    unknown = sorted(set(only) - set(grid.variants))
    if unknown:
        raise UserError(f"{GRID_FILE}: variants has no {unknown[0]!r}; it has {', '.join(grid.variants)}")
    return [name for name in grid.variants if name in only or not only]
