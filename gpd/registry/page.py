"""The registry as one page that needs no network: graph, table, clips. All text is data, never markup."""

import base64
import contextlib
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from sqlmodel import Session, col, select

from gpd.artifacts import MANIFEST, UserError
from gpd.documents import ClipsFacts, ShownClip, load_manifest
from gpd.documents.inside import path_inside
from gpd.registry import tables as t
from gpd.registry.best import Measured
from gpd.registry.finding import SHORT
from gpd.registry.graph import arrange
from gpd.registry.questions import Listed, list_checkpoints, params_of, relatives, scores

MOST_CHECKPOINTS = 500
CLIPS_EACH = 4
MOST_CLIP_BYTES = 400_000
MOST_CLIPS_BYTES = 12_000_000


def render_page(*, session: Session, workspace: Path = Path()) -> str:
    """The page as HTML. Clips come from the folders of clips beside the evaluations: small ones, a few a subject."""
    listed = list_checkpoints(session=session, limit=MOST_CHECKPOINTS)
    measured = {row.content: scores(session=session, content=row.content) for row in listed}
    data = {
        "checkpoints": [_checkpoint(row, session) for row in listed],
        "rows": [row for content, found in measured.items() for row in _rows(content, found)],
        "protocols": {row.hash: row.fields for row in session.exec(select(t.Protocol).order_by(t.Protocol.hash))},
        "clips": _all_clips(measured, workspace),
        "note": f"the first {MOST_CHECKPOINTS} checkpoints; there are more in the registry" if listed.is_cut else "",
    }
    edges = _edges(listed, session)
    places = arrange({row.content: row.name or row.role for row in listed}, edges)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"default": lambda at: at.isoformat(timespec="seconds")}
    template = environment.from_string((resources.files("gpd.registry") / "page.html").read_text(encoding="utf-8"))
    return template.render(data=data, places=places, edges=edges)


def _checkpoint(row: Listed, session: Session) -> dict[str, Any]:
    remarks = session.exec(select(t.Remark).where(t.Remark.content == row.content).order_by(col(t.Remark.made_at)))
    parents = relatives(row.content, session, upwards=True)
    return {
        **asdict(row),
        "name": row.name or row.role,
        "params": params_of(row.content, session),
        "parents": [[one["relation"], f"{one['name'] or one['kind']} {one['content'][:SHORT]}"] for one in parents],
        "remarks": [{"at": found.made_at, "by": found.made_by, "text": found.text} for found in remarks],
    }


def _rows(content: str, found: list[Measured]) -> list[dict[str, Any]]:
    """One row for each way in which the checkpoint was sampled and measured."""
    rows: dict[Any, dict[str, Any]] = {}
    for score in found:
        way = {key: getattr(score, key) for key in ("protocol", "subject", "setting", "steps", "forwards")}
        new = {"content": content, **way, "complete": score.is_complete, "scores": {}}
        row = rows.setdefault((score.protocol, score.subject, score.setting), new)
        row["scores"][score.metric] = [score.value, score.spread, score.direction, score.num_samples]
    return list(rows.values())


def _edges(listed: list[Listed], session: Session) -> list[tuple[str, str]]:
    """(parent, child) by the relation `previous`, for a student without one by `teacher`."""
    shown, edges = {row.content for row in listed}, []
    for row in listed:
        relations = {one["relation"]: one["content"] for one in relatives(row.content, session, upwards=True)}
        parents = [relations[how] for how in ("previous", "teacher") if relations.get(how) in shown]
        edges += [(parent, row.content) for parent in parents[:1]]
    return edges


# --- clips


def _all_clips(measured: dict[str, list[Measured]], workspace: Path) -> dict[str, list[dict[str, str]]]:
    subjects = sorted({(content, score.source, score.subject) for content in measured for score in measured[content]})
    budget = MOST_CLIPS_BYTES
    shown: dict[str, list[dict[str, str]]] = {}
    for content, source, subject in subjects:
        for path, caption in _clips_of(workspace / source, subject)[:CLIPS_EACH]:
            size = path.stat().st_size
            if size <= min(MOST_CLIP_BYTES, budget):
                budget -= size
                encoded = base64.b64encode(path.read_bytes()).decode("ascii")
                shown.setdefault(content, []).append({"caption": caption, "src": f"data:video/mp4;base64,{encoded}"})
    return shown


def _clips_of(evaluation: Path, subject: str) -> list[tuple[Path, str]]:
    """The mp4s of a subject with their captions, from the folders beside an evaluation whose manifest is of clips."""
    found = []
    for manifest in sorted(evaluation.glob(f"*/{MANIFEST}")):
        for clip in _listed_in(manifest.parent):
            if clip.subject == subject:
                with contextlib.suppress(UserError):  # a name that leads elsewhere
                    found.append((path_inside(manifest.parent, clip.file), f"{subject}: {clip.prompt}"))
    return [(path, caption) for path, caption in found if path.is_file()]


def _listed_in(folder: Path) -> list[ShownClip]:
    with contextlib.suppress(UserError):  # of another kind, or unusable
        return load_manifest(folder, ClipsFacts).facts.clips
    return []
