"""The student that is released: where it lies, its weights, and those of its base model."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gpd import documents
from gpd.artifacts import MANIFEST, UserError
from gpd.core.schedule import Grid
from gpd.documents import BaseFacts, Identity, Manifest, StudentFacts
from gpd.models.adapted import AdaptedModel, is_adapter
from gpd.models.adapters import load_factors
from gpd.models.base import BaseModel
from gpd.models.exchange import Exchange, Weights
from gpd.models.families import open_model
from gpd.models.network import VideoNetwork
from gpd.params import Params, student_path
from gpd.release.factors import Adapter, layers_of
from gpd.sampling.subject import student_grid


@dataclass(frozen=True)
class Student:
    """A student's folder.

    Attributes:
        base: where its base model lies; None if it is not here.
    """

    folder: Path
    manifest: Manifest[StudentFacts]
    base: Path | None

    @cached_property
    def model(self) -> BaseModel:
        """The pipeline, or the adapter on its base model; not loaded yet."""
        if is_adapter(self.folder):
            return AdaptedModel(self.folder, open_model(self.base_folder))
        return open_model(self.folder)

    @property
    def pipeline(self) -> Path:
        """The folder with the transformer's sizes: its own, or the base model's."""
        return self.base_folder if is_adapter(self.folder) else self.folder

    @property
    def exchange(self) -> Exchange:
        """What other programs expect of its family.

        Raises:
            UserError: nobody else reads it.
        """
        if self.model.exchange is None:
            raise UserError(f"{self.folder}: no other program reads models of {type(self.model).__name__}")
        return self.model.exchange

    @cached_property
    def weights(self) -> Weights:
        """Of its transformer, float32."""
        return load_weights(self.model)

    @cached_property
    def base_weights(self) -> Weights:
        """Of the base model's transformer, float32.

        Raises:
            UserError: it is not here.
        """
        return load_weights(open_model(self.base_folder))

    @property
    def base_folder(self) -> Path:
        """Where the base model lies.

        Raises:
            UserError: it is not here.
        """
        if self.base is None:
            raise UserError(f"{self.folder}: its base model {self.base_identity.content[:12]} is not here")
        return self.base

    @property
    def base_identity(self) -> Identity:
        """Of the base model."""
        return self.manifest.inputs["teacher"]

    @cached_property
    def adapter(self) -> Adapter | None:
        """Its factors, if it was trained by factors alone and keeps them."""
        return layers_of(load_factors(self.folder)) if is_adapter(self.folder) else None

    @property
    def shift(self) -> float:
        """Of the noise levels that it was trained on."""
        return float(self.manifest.params["model.shift"])

    @property
    def grid(self) -> Grid:
        """The noise levels that it walks.

        Raises:
            UserError: its horizon does not divide the grid, so that no scheduler of other programs walks them.
        """
        facts = self.manifest.facts
        if facts.sampling_steps is None:
            raise UserError(
                f"{self.folder}: steps of {facts.horizon} do not divide the grid of {facts.grid_steps}; "
                "other programs have no scheduler for it"
            )
        return student_grid(facts.grid_steps, facts.horizon, self.shift)

    @property
    def stem(self) -> str:
        """How the names of its files begin, such as wan2.1_t2v_1.3b_gpd_6step."""
        name = self.exchange.published_name(self.pipeline) or _slug(self.base_name)
        return f"{name}_gpd_{self.grid.num_steps}step"

    @property
    def base_name(self) -> str:
        """As its manifest calls it; part of its hash if it is not here."""
        if self.base is None:
            return self.base_identity.content[:12]
        return documents.load_manifest(self.base, BaseFacts).facts.name


def load_plain(model: BaseModel) -> VideoNetwork:
    """Its network on the CPU in float32, an adapter merged."""
    return model.load_merged() if isinstance(model, AdaptedModel) else model.load_network(merge_padding=False)


def load_weights(model: BaseModel) -> Weights:
    """Of its transformer, float32."""
    return {name: weight.detach() for name, weight in load_plain(model).transformer.state_dict().items()}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_")


def open_student(params: Params, spec: str) -> Student:
    """A student by a stage's name, a folder, or what the registry understands: an alias, best:6, a hash.

    best:6 is the best of those that can be exported.

    Raises:
        UserError: there is none, or it is no student.
    """
    folder = find_folder(params, spec)
    manifest = documents.load_manifest(folder, StudentFacts)
    check_plain(folder, manifest.facts)
    return Student(folder, manifest, find_base(params, manifest.inputs["teacher"]))


def check_plain(folder: Path, facts: StudentFacts) -> None:
    """Whether other programs can sample the student.

    Raises:
        UserError: it has heads.
    """
    if facts.heads is not None:
        raise UserError(
            f"{folder}: a student with heads={facts.heads}, no plain pipeline; fold it first: a last stage "
            f"{facts.stage}-fold with objective: fold"
        )


def find_folder(params: Params, spec: str) -> Path:
    """Where it lies."""
    folder = Path(student_path(spec) if spec in params.distill.stages else spec)
    if (folder / MANIFEST).is_file():
        return folder
    try:
        return _find_in_registry(spec)
    except UserError as error:
        raise UserError(f"export {spec}: no student at {folder}, and {error}") from None


def find_base(params: Params, wanted: Identity) -> Path | None:
    """Where the base model lies: model.path of params.yaml, if that is the one, else where the registry saw it."""
    folder = Path(params.model.path)
    if (folder / MANIFEST).is_file() and documents.identify(folder) == wanted:
        return folder
    try:
        return _find_in_registry(wanted.content)
    except UserError:
        return None


def _find_in_registry(spec: str) -> Path:
    from gpd.registry import find_checkpoint, open_registry

    with open_registry(None) as session:
        return find_checkpoint(spec, session=session, exportable=True).path
