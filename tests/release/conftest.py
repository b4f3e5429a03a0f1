"""Students of the small random model: one with all weights changed, one whose change is of rank 2."""

from pathlib import Path

import pytest
import torch

from gpd import artifacts, documents
from gpd.documents import Probed, StudentFacts
from gpd.models import wan
from gpd.models.adapted import save_adapted
from gpd.models.adapters import Factors
from gpd.models.exchange import Weights
from gpd.models.families import open_model
from gpd.params import Params
from gpd.release.factors import block_matrices, extract, tensors_of
from gpd.release.student import Student
from gpd.stages import settings_of
from tests.workspace import ROOT, working_in, workspace_params

RANK = 2


@pytest.fixture(scope="session")
def params(small_wan: Path) -> Params:
    return workspace_params(small_wan)


@pytest.fixture(scope="session")
def full(small_wan: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Student:
    """Every weight is another."""
    folder = tmp_path_factory.mktemp("students") / "full"
    return save_student(params, folder, lambda name, weight, noise: weight + 0.02 * noise(*weight.shape))


@pytest.fixture(scope="session")
def low(small_wan: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Student:
    """Merged: the blocks' matrices have a change of rank 2, all else is the base model's."""
    matrices = {f"{layer}.weight" for layer in block_matrices(base_weights(small_wan))}

    def change(name, weight, noise):  # type: ignore[no-untyped-def]
        rows, columns = weight.shape[0], weight.shape[-1]
        return weight + 0.02 * noise(rows, RANK) @ noise(RANK, columns) if name in matrices else weight

    return save_student(params, tmp_path_factory.mktemp("students") / "low", change)


@pytest.fixture(scope="session")
def adapted(low: Student, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Student:
    """The same as `low`, kept as an adapter."""
    base, folder = open_model(params.model.path), tmp_path_factory.mktemp("students") / "adapted"
    factors = Factors(RANK, tensors_of(extract(low.weights, low.base_weights, RANK)))
    facts = low.manifest.facts.model_copy(update={"base_path": params.model.path})
    folder.mkdir()
    save_adapted(base, folder, factors, grid_steps=8, shift=params.model.shift)
    inputs = low.manifest.inputs
    manifest = documents.write_manifest(folder, facts, inputs=inputs, params=low.manifest.params)
    return Student(folder, manifest, base.folder)


def base_weights(base: Path) -> Weights:
    return dict(wan.load_network(base, merge_padding=False).transformer.state_dict())


def save_student(params: Params, folder: Path, change) -> Student:  # type: ignore[no-untyped-def]
    """A student of stage k4, each weight changed by `change(name, weight, noise)`."""
    base, generator = Path(params.model.path), torch.Generator().manual_seed(1)
    network = wan.load_network(base, merge_padding=False)
    for name, weight in network.transformer.named_parameters():
        weight.data = change(name, weight.data, lambda *shape: torch.randn(shape, generator=generator))
    with working_in(ROOT), artifacts.replacing(folder) as partial:
        wan.save_student(partial, network.transformer, base, grid_steps=8, shift=params.model.shift)
        (partial / "training.csv").write_text("iteration,loss,learning_rate\n1,0.5,0.001\n")
        manifest = documents.write_manifest(
            partial,
            StudentFacts(
                stage="k4",
                horizon=4,
                horizons=[],
                grid_steps=8,
                sampling_steps=2,
                forwards={"teacher": 100, "student": 300},
                iterations=2,
                samples_seen=32,
                before=Probed(residual=0.2, rollout_distance=0.3),
                after=Probed(residual=0.1, rollout_distance=0.2),
            ),
            inputs={"teacher": documents.identify(base), "previous": documents.identify(base)},
            params=settings_of("distill@k4", params.model_dump()),
        )
    return Student(folder, manifest, base)
