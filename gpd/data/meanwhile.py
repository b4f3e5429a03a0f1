"""Whether the process that was waited for has done the same work."""

from datetime import datetime
from pathlib import Path

from gpd import documents
from gpd.artifacts import MANIFEST, WORK, UserError
from gpd.documents import RunRecord, load_document
from gpd.params import PARAMS_FILE, Params
from gpd.stages import PIPELINE, load_stages, settings_of


def was_made(name: str, params: Params, since: float) -> bool:
    """Whether a DVC stage has ended well since then, with these settings and with the inputs that lie there now.

    Args:
        name: such as distill@k8; of anything that is no DVC stage nothing can be said.
        since: when the wait began, in seconds since 1970.
    """
    stage = load_stages(Path(), params.model_dump()).get(name)
    record = _last_run(name, since)
    if stage is None or record is None:
        return False
    began = datetime.fromisoformat(record.started).timestamp()
    described = [Path(dep) for dep in stage.deps if (Path(dep) / MANIFEST).is_file()]
    others = [PARAMS_FILE, PIPELINE, *(Path(dep) for dep in stage.deps if Path(dep) not in described)]
    if any(_newest_change(path) >= began for path in others):
        return False
    inputs = {documents.identify(path).content for path in described}
    made = [documents.load_manifest(Path(out)) for out in stage.outs if (Path(out) / MANIFEST).is_file()]
    settings = settings_of(name, params.model_dump())
    return bool(made) and all(
        one.params == settings and {each.content for each in one.inputs.values()} <= inputs for one in made
    )


def _last_run(name: str, since: float) -> RunRecord | None:
    """The record of a run that ended well, written since then."""
    for path in sorted((WORK / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        if path.stat().st_mtime < since:
            return None
        try:
            record = load_document(RunRecord, path, "")
        except UserError:
            continue
        if record.stage == name:
            return record if record.exit_code == 0 else None
    return None


def _newest_change(path: Path) -> float:
    """In seconds since 1970."""
    return max((each.stat().st_mtime for each in (path, *path.rglob("*")) if each.exists()), default=0.0)
