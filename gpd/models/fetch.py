"""`gpd fetch`: the base model's weights on this disk, with a manifest that fixes them by hash."""

import re
import shutil
from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import BaseFacts, Manifest
from gpd.models.base import BaseModel
from gpd.models.downloads import NOTES, find_commit
from gpd.models.families import find_family, open_model
from gpd.models.folders import INDEX, check_layout
from gpd.models.use import NOTE, note_for
from gpd.models.weights import find_gaps
from gpd.params import Hub, Model, Params

LOCAL_COPY = "fetch: no record of its download lies in {}: it counts as a local copy, of no repository and no revision"


def run(params: Params) -> None:
    """Downloads what is missing if params.yaml names a hub; then checks or writes the manifest.

    A download that was stopped is continued.

    Raises:
        UserError: no weights and no hub to get them from, the download failed, weights are missing or not whole, the
            model is of no known family, is another one than the hub has or cannot make clips of these sizes, or files
            differ from their manifest.
    """
    folder, hub = Path(params.model.path), params.model.hub
    is_fixed = (folder / artifacts.MANIFEST).is_file()
    check_layout(folder)
    if not is_fixed and (not (folder / INDEX).is_file() or (hub is not None and _gaps(open_model(folder)))):
        _download(params.model, folder)
    model = open_model(folder)
    if gaps := _gaps(model):
        raise UserError("\n".join(gaps))
    if hub is not None:
        model.check_published(hub.repository)
    model.geometry.check(params.model.num_frames, params.model.height, params.model.width)
    manifest = _check_manifest(folder, hub) if is_fixed else _write_manifest(folder, hub)
    size_gib = sum(file.size for file in manifest.files.values()) / 2**30
    print(f"fetch: {folder} is complete, {size_gib:.3f} GiB, content {manifest.content[:12]}")


def _gaps(model: BaseModel) -> list[str]:
    """What a complete pipeline has and this folder has not, a line each."""
    family, gaps = type(model).__name__, []
    for part in (model.folder / name for name in model.parts):
        if not part.is_dir():
            gaps.append(f"{part}: missing; {model.folder} is no complete {family} pipeline in diffusers format")
        elif (part / "config.json").is_file():
            gaps += find_gaps(part)
        elif not any(part.glob("*.json")):
            gaps.append(f"{part}: holds no config")
    return gaps


def _check_manifest(folder: Path, hub: Hub | None) -> Manifest[BaseFacts]:
    wrong = documents.verify(folder)
    if wrong:
        raise UserError("\n".join(f"{folder}: {line}" for line in wrong))
    manifest = documents.load_manifest(folder, BaseFacts)
    if hub is not None and manifest.facts.revision is not None:
        _check_revision(folder / artifacts.MANIFEST, manifest.facts.revision, hub)
    return manifest


def _check_revision(where: Path, found: str, hub: Hub) -> None:
    is_commit = re.fullmatch("[0-9a-f]{40}", hub.revision)  # a branch or a tag may stand for any
    if is_commit and found != hub.revision:
        raise UserError(
            f"{where}: of revision {found}, params.yaml: "
            f"model.hub.revision={hub.revision!r}; move the folder away and fetch again"
        )


def _write_manifest(folder: Path, hub: Hub | None) -> Manifest[BaseFacts]:
    """What differs between two downloads of one revision goes first: the client's notes, and ours for who waits.

    Repository and revision are those that the client's notes prove, not those that params hope for.
    """
    commit = find_commit(folder)
    if hub is not None and commit is not None:
        _check_revision(folder / NOTES, commit, hub)
    if hub is not None and commit is None:
        print(LOCAL_COPY.format(folder))
    shutil.rmtree(folder / NOTES, ignore_errors=True)
    if (folder / NOTES.parent).is_dir() and not any((folder / NOTES.parent).iterdir()):
        (folder / NOTES.parent).rmdir()
    note = folder / NOTE
    if hub is not None and note.is_file() and note.read_text(encoding="utf-8") == note_for(hub):
        note.unlink()
    facts = BaseFacts(name=folder.name, repository=hub.repository if hub and commit else None, revision=commit)
    return documents.write_manifest(folder, facts, inputs={}, params={})


def _download(model: Model, folder: Path) -> None:
    hub = model.hub
    if hub is None:
        raise UserError(
            f"params.yaml: model.path={model.path!r}: no weights there ({INDEX} is missing), and "
            "model.hub names none; put a local folder in diffusers format there"
        )
    print(f"fetch: downloading {hub.repository} at revision {hub.revision} to {folder}", flush=True)
    reason = _try_download(hub, folder)
    # Not by the exception alone: out of reach of the hub, its client returns a folder that exists as if all were well.
    gaps = _gaps(open_model(folder)) if (folder / INDEX).is_file() else [f"{folder / INDEX}: missing"]
    if gaps:
        raise UserError(
            f"params.yaml: model.hub.repository={hub.repository!r}: the download failed ({reason}); {gaps[0]}. "
            f"With no network, copy a local folder of that model in diffusers format to {folder}"
        )


def _try_download(hub: Hub, folder: Path) -> str:
    """Why it may have failed, in a few words."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        _download_parts(hub, folder)
    except UserError:
        raise
    except RevisionNotFoundError:
        raise UserError(f"params.yaml: model.hub.revision={hub.revision!r}: {hub.repository} has none such") from None
    except RepositoryNotFoundError:
        raise UserError(f"params.yaml: model.hub.repository={hub.repository!r}: the hub has none such") from None
    except Exception as error:  # noqa: BLE001 - whatever the hub's client raises, the user needs the same advice
        return str(error).strip().split("\n")[0]
    return "the hub was not reached"


def _download_parts(hub: Hub, folder: Path) -> None:
    """model_index.json first: it names the family, which decides what else is needed, if it is one of ours at all."""
    from huggingface_hub import hf_hub_download, snapshot_download

    index = hf_hub_download(hub.repository, INDEX, revision=hub.revision)
    patterns = [INDEX, *(f"{name}/*" for name in find_family(Path(index)).parts)]
    snapshot_download(hub.repository, revision=hub.revision, local_dir=folder, allow_patterns=patterns)
