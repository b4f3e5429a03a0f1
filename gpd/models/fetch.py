"""`gpd fetch`: the base model's weights on this disk, with a manifest that fixes them by hash."""

from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import BaseFacts, Manifest
from gpd.models.base import BaseModel
from gpd.models.families import find_family, open_model
from gpd.models.folders import INDEX
from gpd.params import Hub, Model, Params


def run(params: Params) -> None:
    """Downloads the weights if params.yaml names a hub and they are missing; then checks or writes the manifest.

    Raises:
        UserError: no weights and no hub to get them from, the download failed, the model is of no known family or
            cannot make clips of these sizes, or files differ from their manifest.
    """
    folder = Path(params.model.path)
    if not (folder / INDEX).is_file():
        _download(params.model, folder)
    model = open_model(folder)
    _check_complete(model)
    model.geometry.check(params.model.num_frames, params.model.height, params.model.width)
    manifest = _check_manifest(folder) if (folder / artifacts.MANIFEST).is_file() else _write_manifest(params, folder)
    size_gib = sum(file.size for file in manifest.files.values()) / 2**30
    print(f"fetch: {folder} is complete, {size_gib:.3f} GiB, content {manifest.content[:12]}")


def _check_complete(model: BaseModel) -> None:
    for name in model.parts:
        if not (model.folder / name).is_dir():
            family = type(model).__name__
            raise UserError(
                f"{model.folder / name}: missing; {model.folder} is no complete {family} pipeline in diffusers format"
            )


def _check_manifest(folder: Path) -> Manifest[BaseFacts]:
    wrong = documents.verify(folder)
    if wrong:
        raise UserError("\n".join(f"{folder}: {line}" for line in wrong))
    return documents.load_manifest(folder, BaseFacts)


def _write_manifest(params: Params, folder: Path) -> Manifest[BaseFacts]:
    hub = params.model.hub
    facts = BaseFacts(
        name=folder.name, repository=hub.repository if hub else None, revision=hub.revision if hub else None
    )
    return documents.write_manifest(folder, facts, inputs={}, params={})


def _download(model: Model, folder: Path) -> None:
    hub = model.hub
    if hub is None:
        raise UserError(
            f"params.yaml: model.path={model.path!r}: no weights there ({INDEX} is missing), and "
            "model.hub names none; put a local folder in diffusers format there"
        )
    print(f"fetch: downloading {hub.repository} at revision {hub.revision} to {folder}", flush=True)
    try:
        _download_parts(hub, folder)
        reason = "the hub was not reached"
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the hub's client raises, the user needs the same advice
        reason = str(error).strip().split("\n")[0]
    # Not by the exception alone: out of reach of the hub, its client returns a folder that exists as if all were well.
    if not (folder / INDEX).is_file():
        raise UserError(
            f"params.yaml: model.hub.repository={hub.repository!r}: the download failed ({reason}). "
            f"With no network, copy a local folder of that model in diffusers format to {folder}"
        )


def _download_parts(hub: Hub, folder: Path) -> None:
    """model_index.json first: it names the family, which decides what else is needed, if it is one of ours at all."""
    from huggingface_hub import hf_hub_download, snapshot_download

    index = hf_hub_download(hub.repository, INDEX, revision=hub.revision)
    patterns = [INDEX, *(f"{name}/*" for name in find_family(Path(index)).parts)]
    snapshot_download(hub.repository, revision=hub.revision, local_dir=folder, allow_patterns=patterns)
