"""`gpd fetch`: the base model's weights on this disk, with a manifest that fixes them by hash."""

from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import BaseFacts
from gpd.params import Params

FOLDERS = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
PARTS = ["model_index.json", *(f"{name}/*" for name in FOLDERS)]


def run(params: Params) -> None:
    """Downloads the weights where params.yaml names a hub and they are missing; then checks or writes the manifest.

    Raises:
        UserError: no weights and no hub to get them from, the download failed, or files differ from their manifest.
    """
    folder = Path(params.model.path)
    if not (folder / "model_index.json").is_file():
        _download(params, folder)
    for name in FOLDERS:
        if not (folder / name).is_dir():
            raise UserError(f"{folder / name}: missing; {folder} is no complete Wan pipeline in diffusers format")
    if (folder / artifacts.MANIFEST).is_file():
        wrong = documents.verify(folder)
        if wrong:
            raise UserError("\n".join(f"{folder}: {line}" for line in wrong))
        manifest = documents.load_manifest(folder, BaseFacts)
    else:
        hub = params.model.hub
        facts = BaseFacts(
            name=folder.name, repository=hub.repository if hub else None, revision=hub.revision if hub else None
        )
        manifest = documents.write_manifest(folder, facts, inputs={}, params={})
    size_gib = sum(file.size for file in manifest.files.values()) / 2**30
    print(f"fetch: {folder} is complete, {size_gib:.3f} GiB, content {manifest.content[:12]}")


def _download(params: Params, folder: Path) -> None:
    hub = params.model.hub
    if hub is None:
        raise UserError(
            f"params.yaml: model.path={params.model.path!r}: no weights there (model_index.json is missing), and "
            "model.hub names none; put a local folder in diffusers format there"
        )
    from huggingface_hub import snapshot_download

    print(f"fetch: downloading {hub.repository} at revision {hub.revision} to {folder}", flush=True)
    try:
        snapshot_download(hub.repository, revision=hub.revision, local_dir=folder, allow_patterns=PARTS)
        reason = "the hub was not reached"
    except Exception as error:  # noqa: BLE001 - whatever the hub's client raises, the user needs the same advice
        reason = str(error).strip().split("\n")[0]
    # Not by the exception alone: out of reach of the hub, its client returns a folder that exists as if all were well.
    if not (folder / "model_index.json").is_file():
        raise UserError(
            f"params.yaml: model.hub.repository={hub.repository!r}: the download failed ({reason}). "
            f"With no network, copy a local folder of that model in diffusers format to {folder}"
        )
