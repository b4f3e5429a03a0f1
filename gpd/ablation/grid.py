"""The declared grid of an ablation: data/ablation/grid.yaml as types."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from gpd.artifacts import UserError
from gpd.documents.reading import parse_yaml
from gpd.params import NotNegative, Positive, Section, Seed, Share, explain

GRID_FILE = Path("data/ablation/grid.yaml")

Rate = Annotated[float, Field(gt=0.0, le=1.0)]


class StageShare(Section):
    """One stage of a variant; its iterations follow from its share of the budget."""

    horizon: Positive
    tail: NotNegative
    share: Share
    objective: str | None = None
    learning_rate: Rate | None = None
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


class Family(Section):
    """A way to students of several numbers of steps: a line of the chart over steps.

    Attributes:
        label: what it is, short enough for a legend.
        set: dotted keys over params.yaml.
        chains: horizons of the stages of each of its variants; the last stage's student is measured.
        tail: what the teacher walks of a target: all, the rest after a step of the student before, or one interval.
        fold_share: of the budget for a stage that folds the heads of the last one; without it there is none.
        last_share: of the budget for the last stage, the rest for those before it evenly; without it all are even.
        are_all_final: whether every stage is trained where inference starts, or the last one alone.
    """

    label: str
    set: dict[str, Any] = Field(default_factory=dict)
    chains: Annotated[list[Annotated[list[Positive], Field(min_length=1)]], Field(min_length=1)]
    tail: Literal["whole", "rest", "one"] = "whole"
    fold_share: Share | None = None
    last_share: Share | None = None
    are_all_final: bool = True


class AblationGrid(Section):
    """All that `gpd ablate` runs.

    Attributes:
        learning_rates: of a variant or family that runs at several: with every seed at the first of them, with the
            first seed at the others. Stages keep a rate of their own.
        floors: steps of the undistilled teacher, guided, that is sampled beside the subjects of params.yaml.
    """

    budget: Positive
    seeds: Annotated[list[Seed], Field(min_length=2)]
    batch: Positive
    learning_rate: Rate
    learning_rates: dict[str, Annotated[list[Rate], Field(min_length=2)]] = Field(default_factory=dict)
    floors: list[Positive] = Field(default_factory=list)
    common: dict[str, Any]
    variants: Annotated[dict[str, Variant], Field(min_length=1)]
    families: dict[str, Family] = Field(default_factory=dict)


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
