"""Rows and floors of an ablation, made by hand."""

from gpd.documents import AblationFloor, AblationResults, AblationRow, Spread


def row(label: str, error: float, group: str = "rivals", training: int = 30_000) -> AblationRow:
    metrics = {"trajectory_error": Spread(mean=error, std=0.01), "frechet_latent": Spread(mean=0.02)}
    return AblationRow(
        variant=label,
        group=group,
        label=label,
        budget=training,
        num_seeds=3,
        sampling_forwards=6,
        training_forwards=training,
        protocol="p",
        metrics=metrics,
    )


def floor(label: str, error: float, frechet: float = 0.02) -> AblationFloor:
    metrics = {"trajectory_error": Spread(mean=error), "frechet_latent": Spread(mean=frechet)}
    return AblationFloor(label=label, sampling_forwards=12, metrics=metrics)


def results(rows: list[AblationRow], floors: list[AblationFloor]) -> AblationResults:
    return AblationResults(protocol="p", seeds=[0, 1, 2], rows=rows, floors=floors)
