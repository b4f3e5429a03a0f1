"""A student that is an adapter: low-rank factors in a folder, on a base model that lies elsewhere."""

from pathlib import Path

import torch

from gpd import documents
from gpd.artifacts import MANIFEST, UserError, write_json
from gpd.documents import Document, Identity, StudentFacts
from gpd.models.adapters import WEIGHTS_FILE, Factors, attach, load_factors, merge
from gpd.models.base import BaseModel, Codec, Geometry, TextEncoder
from gpd.models.network import VideoNetwork

BASE_FILE = "adapter.json"


class AdapterDocument(Document):
    """adapter.json: the base model that the factors were trained on, and their rank.

    It makes the folder's content hash one of the adapter and its base; where the base lies stands in the manifest.
    """

    format: int = documents.FORMAT
    base: Identity
    rank: int


def is_adapter(folder: Path) -> bool:
    """Whether a student's folder holds an adapter and no weights of its own."""
    return (folder / BASE_FILE).is_file()


def load_adapter_document(folder: Path) -> AdapterDocument:
    """Which base model an adapter is for.

    Raises:
        UserError: the folder holds no adapter.
    """
    advice = f"{folder} is no adapter; those are the students of distill.lora_rank > 0"
    if is_adapter(folder):
        documents.check_files(folder, BASE_FILE)
    return documents.load_document(AdapterDocument, folder / BASE_FILE, advice)


def base_of(folder: Path) -> Path:
    """Where the adapter's base model lies.

    Raises:
        UserError: it is not there, or is another model than the one that the adapter was trained on.
    """
    wanted, path = load_adapter_document(folder).base, documents.load_manifest(folder, StudentFacts).facts.base_path
    if path is None or not (Path(path) / MANIFEST).is_file():
        raise UserError(f"{folder}: an adapter for the base model {wanted.content[:12]}, which is not at {path}")
    found = documents.identify(Path(path))
    if found != wanted:
        raise UserError(
            f"{folder}: an adapter for the base model {wanted.content[:12]}; at {path} lies {found.content[:12]}"
        )
    return Path(path)


class AdaptedModel(BaseModel):
    """The adapter in `folder` on its base model; everything but the network is the base model's."""

    def __init__(self, folder: Path, base: BaseModel) -> None:
        super().__init__(folder)
        self.base = base
        self.parts = ("scheduler",)
        self.text_length, self.solvers, self.exchange = base.text_length, base.solvers, base.exchange

    @property
    def geometry(self) -> Geometry:
        """That of the base model."""
        return self.base.geometry

    def load_text_encoder(self, device: torch.device | str = "cpu", dtype: str | None = None) -> TextEncoder:
        """That of the base model."""
        return self.base.load_text_encoder(device, dtype)

    def load_codec(self, device: torch.device | str = "cpu") -> Codec:
        """That of the base model."""
        return self.base.load_codec(device)

    def load_network(
        self,
        device: torch.device | str = "cpu",
        *,
        merge_padding: bool,
        dtype: str = "float32",
        gradient_checkpointing: bool = False,
    ) -> VideoNetwork:
        """The base model's network with the factors beside its matrices.

        They are not merged: in bfloat16 a change of a matrix that is smaller than the matrix's own rounding would be
        lost, while factors keep it to three digits.
        """
        network = self.base.load_network(
            device, merge_padding=merge_padding, dtype=dtype, gradient_checkpointing=gradient_checkpointing
        )
        attach(network, load_factors(self.folder), self.folder / WEIGHTS_FILE)
        return network

    def student_dtype(self, dtype: str) -> str:
        """That of the base model, for the factors stand beside its matrices."""
        return dtype

    def load_merged(self) -> VideoNetwork:
        """The network with plain weights W + B A, float32 on the CPU."""
        network = self.load_network(merge_padding=True)
        merge(network)
        return network

    def save_student(self, folder: Path, network: VideoNetwork, *, grid_steps: int, shift: float) -> None:
        """As a pipeline of the base model."""
        self.base.save_student(folder, network, grid_steps=grid_steps, shift=shift)

    def save_adapter(self, folder: Path, factors: Factors, *, grid_steps: int, shift: float) -> None:
        """As an adapter of the base model."""
        self.base.save_adapter(folder, factors, grid_steps=grid_steps, shift=shift)

    def save_merged(self, folder: Path) -> None:
        """Writes the student as a pipeline that needs no base model beside it."""
        manifest = documents.load_manifest(self.folder, StudentFacts)
        shift = manifest.params["model.shift"]
        self.save_student(folder, self.load_merged(), grid_steps=manifest.facts.grid_steps, shift=shift)


def save_adapted(base: BaseModel, folder: Path, factors: Factors, *, grid_steps: int, shift: float) -> None:
    """Writes an adapter of `base` with the note of which model that is."""
    base.save_adapter(folder, factors, grid_steps=grid_steps, shift=shift)
    document = AdapterDocument(base=documents.identify(base.folder), rank=factors.rank)
    write_json(folder / BASE_FILE, document.model_dump(mode="json"))
