"""The ablation's rivals: other methods in the same loop, at one stated training cost."""

from pathlib import Path

from gpd.documents import AblationResults, AblationRow, load_document

RESULTS = Path("data/ablation/results.json")
GROUP = "rivals"  # of the ablation's grid; the default is among them, at as many forwards


def load_rivals(protocol: str) -> list[AblationRow]:
    """Rivals and the default beside them if the ablation was made under the protocol of that hash, else none.

    Raises:
        UserError: the file is there but not what it should be.
    """
    if not RESULTS.exists():
        return []
    results = load_document(AblationResults, RESULTS, "run `gpd ablate` again")
    return [row for row in results.best_rows() if row.group == GROUP and results.protocol == protocol]


def rivals_by_steps(rivals: list[AblationRow]) -> dict[int, list[AblationRow]]:
    """Number of steps, falling -> the rivals that sample in so many: others are no match for them."""
    counts = sorted({row.steps for row in rivals}, reverse=True)
    return {steps: [row for row in rivals if row.steps == steps] for steps in counts}
