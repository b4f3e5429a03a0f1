"""The ablation's results, data/ablation/results.json, read back for the report: rivals at a stated training cost."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from gpd.artifacts import UserError

RESULTS = Path("data/ablation/results.json")
GROUP = "rivals"  # of the ablation's grid; the default is among them, at as many forwards


class Spread(BaseModel):
    """A metric over seeds; `std` is None with a single seed."""

    model_config = ConfigDict(frozen=True)

    mean: float
    std: float | None = None


class Rival(BaseModel):
    """One variant of the ablation; what else a row says is the ablation's own."""

    model_config = ConfigDict(frozen=True)

    variant: str
    group: str
    label: str
    num_seeds: int
    sampling_forwards: int
    training_forwards: int
    metrics: dict[str, Spread]


class _Results(BaseModel):
    format: int
    protocol: str | None
    rows: list[Rival]


def load_rivals(protocol: str) -> list[Rival]:
    """Rivals and the default beside them, where the ablation was made under the protocol of that hash; none elsewhere.

    Raises:
        UserError: the file is there but not what it should be.
    """
    if not RESULTS.exists():
        return []
    try:
        results = _Results.model_validate_json(RESULTS.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(f"{RESULTS}: {place}: {first['msg']}; run `gpd ablate` again") from None
    if results.format != 1:
        raise UserError(f"{RESULTS}: format {results.format}, this version reads 1; run `gpd ablate` again")
    return [row for row in results.rows if row.group == GROUP] if results.protocol == protocol else []
