"""Rows and floors of an ablation, made by hand."""

from typing import Any

from gpd.documents import AblationFloor, AblationResults, AblationRow, Spread


def row(label: str, error: float, group: str = "rivals", training: int = 30_000, **more: Any) -> AblationRow:
    metrics = {"trajectory_error": Spread(mean=error, std=0.01), "frechet_latent": Spread(mean=0.02)}
    facts = {
        "variant": label,
        "origin": label,
        "group": group,
        "label": label,
        "steps": 6,
        "learning_rate": 1e-3,
        "budget": training,
        "num_seeds": 3,
        "sampling_forwards": 6,
        "training_forwards": training,
        "protocol": "p",
        "commit": "abc1234",
        "runs": [label],
        "metrics": metrics,
    }
    return AblationRow(**{**facts, **more})


def floor(label: str, error: float, frechet: float = 0.02, steps: int = 6) -> AblationFloor:
    metrics = {"trajectory_error": Spread(mean=error), "frechet_latent": Spread(mean=frechet)}
    return AblationFloor(label=label, solver="euler", steps=steps, sampling_forwards=2 * steps, metrics=metrics)


def results(rows: list[AblationRow], floors: list[AblationFloor]) -> AblationResults:
    return AblationResults(protocol="p", seeds=[0, 1, 2], rows=rows, floors=floors)
