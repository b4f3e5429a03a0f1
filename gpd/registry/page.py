"""The registry as one page that needs no network: graph, table, clips. All text is data, never markup."""

import base64
import glob
import json
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.documents import ClipsFacts, load_manifest
from gpd.registry import graph
from gpd.registry import tables as t
from gpd.registry.describe import Listed, ShownScore, list_checkpoints, scores, setting
from gpd.registry.finding import SHORT

MOST_CHECKPOINTS = 500
CLIPS_EACH = 4
MOST_CLIP_BYTES = 400_000
MOST_CLIPS_BYTES = 12_000_000


def render_page(*, session: Session, workspace: Path = Path()) -> str:
    """The page as HTML. Clips come from the evaluations of the workspace, small ones, a few a subject."""
    listed, is_cut = list_checkpoints(session=session, limit=MOST_CHECKPOINTS)
    measured = {row.content: scores(session=session, content=row.content) for row in listed}
    data = {
        "checkpoints": [_checkpoint(row, session) for row in listed],
        "rows": [row for one in listed for row in _rows(one, measured[one.content])],
        "protocols": {row.hash: row.fields for row in session.exec(select(t.Protocol).order_by(t.Protocol.hash))},
        "clips": _all_clips(measured, workspace),
        "note": f"the first {MOST_CHECKPOINTS} checkpoints; there are more in the registry" if is_cut else "",
    }
    drawing = graph.draw(graph.arrange(_graph_nodes(listed), _graph_edges(listed, session)))
    page = (resources.files("gpd.registry") / "page.html").read_text(encoding="utf-8")
    for mark, text in (("GRAPH", drawing), ("DATA", _embedded(data))):
        page = page.replace(f"<!--{mark}-->", text, 1)
    return page


def _embedded(data: Any) -> str:
    """JSON that no HTML parser can take for the end of its script element."""
    text = json.dumps(data, ensure_ascii=True, default=_plain)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: Any) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _checkpoint(row: Listed, session: Session) -> dict[str, Any]:
    remarks = session.exec(select(t.Remark).where(t.Remark.content == row.content).order_by(col(t.Remark.made_at)))
    params = session.exec(select(t.Param).where(t.Param.content == row.content).order_by(t.Param.key))
    parents = select(t.Lineage, t.Artifact).join(t.Artifact, col(t.Artifact.content) == col(t.Lineage.parent))
    edges = session.exec(parents.where(t.Lineage.child == row.content).order_by(t.Lineage.relation))
    return {
        "content": row.content,
        "name": row.name or row.role,
        "role": row.role,
        "steps": row.sampling_steps,
        "forwards": row.forwards,
        "aliases": row.aliases,
        "paths": row.paths,
        "params": {param.key: param.value for param in params},
        "parents": [
            [edge.relation, f"{parent.name or edge.parent_kind} {parent.content[:SHORT]}"] for edge, parent in edges
        ],
        "remarks": [{"at": found.made_at, "by": found.made_by, "text": found.text} for found in remarks],
    }


def _rows(listed: Listed, found: list[ShownScore]) -> list[dict[str, Any]]:
    """One row for each way in which the checkpoint was sampled and measured."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for score in found:
        key = (score.protocol, score.subject, setting(score))
        row = rows.setdefault(key, _row(listed, score))
        row["scores"][score.metric] = [score.value, score.spread, score.direction, score.num_samples]
    return list(rows.values())


def _row(listed: Listed, score: ShownScore) -> dict[str, Any]:
    return {
        "content": listed.content,
        "protocol": score.protocol,
        "subject": score.subject,
        "setting": setting(score),
        "steps": score.steps,
        "forwards": score.forwards,
        "complete": score.is_complete,
        "scores": {},
    }


# --- graph


def _graph_nodes(listed: list[Listed]) -> list[graph.Node]:
    return [graph.Node(row.content, row.name or row.role, row.role, row.aliases) for row in listed]


def _graph_edges(listed: list[Listed], session: Session) -> list[tuple[str, str]]:
    """(parent, child) by the relation `previous`, for a student without one by `teacher`."""
    shown = {row.content for row in listed}
    edges = []
    for row in listed:
        found = list(session.exec(select(t.Lineage).where(t.Lineage.child == row.content)))
        for relation in ("previous", "teacher"):
            parents = [edge.parent for edge in found if edge.relation == relation and edge.parent in shown]
            if parents:
                edges += [(parent, row.content) for parent in parents]
                break
    return edges


# --- clips


def _all_clips(measured: dict[str, list[ShownScore]], workspace: Path) -> dict[str, list[dict[str, str]]]:
    subjects = sorted({(content, score.source, score.subject) for content in measured for score in measured[content]})
    budget = MOST_CLIPS_BYTES
    shown: dict[str, list[dict[str, str]]] = {}
    for content, source, subject in subjects:
        for path, caption in _clips_of(workspace / source / "clips", subject)[:CLIPS_EACH]:
            size = path.stat().st_size
            if size > min(MOST_CLIP_BYTES, budget):
                continue
            budget -= size
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            shown.setdefault(content, []).append({"caption": caption, "src": f"data:video/mp4;base64,{encoded}"})
    return shown


def _clips_of(folder: Path, subject: str) -> list[tuple[Path, str]]:
    """The mp4s of a subject with their captions: as the folder's manifest says, else those named after it."""
    try:
        told = load_manifest(folder, ClipsFacts).facts.clips
        named = [(folder / clip.file, f"{subject}: {clip.prompt}") for clip in told if clip.subject == subject]
    except UserError:
        named = [(path, path.stem) for path in sorted(folder.glob(f"{glob.escape(Path(subject).name)}*.mp4"))]
    return [(path, caption) for path, caption in named if path.is_file() and path.is_relative_to(folder)]
