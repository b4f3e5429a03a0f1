"""The registry as one page that needs no network: table, clips, graph. All text is data, never markup."""

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from gpd.artifacts import MANIFEST, UserError
from gpd.documents import ClipsFacts, ShownClip, load_manifest
from gpd.documents.inside import path_inside
from gpd.pages.html import Markup, render, video_source
from gpd.registry import tables as t
from gpd.registry.best import Measured
from gpd.registry.finding import SHORT
from gpd.registry.graph import arrange
from gpd.registry.questions import Listed, list_checkpoints, params_of, relatives, scores

MOST_CHECKPOINTS = 500
CLIPS_EACH = 4
MOST_CLIP_BYTES = 400_000
MOST_CLIPS_BYTES = 12_000_000
USUAL_RATE = 16.0  # frames a second, if a manifest names none


@dataclass(frozen=True)
class ShownMetric:
    """How the page shows a metric; those of the headline have a column before anybody chooses others."""

    name: str
    label: str
    meaning: str
    is_headline: bool


def render_page(*, session: Session, workspace: Path = Path(), metrics: Iterable[ShownMetric] = ()) -> str:
    """The page as HTML. Clips come from the folders of clips beside the evaluations: small ones, a few a subject.

    Args:
        metrics: in the order of the columns; others that were measured follow under their own names.
    """
    listed = list_checkpoints(session=session, limit=MOST_CHECKPOINTS)
    measured = {row.content: scores(session=session, content=row.content) for row in listed}
    data = {
        "checkpoints": [_checkpoint(row, session) for row in listed],
        "rows": [row for content, found in measured.items() for row in _rows(content, found)],
        "metrics": [asdict(metric) for metric in metrics],
        "protocols": {row.hash: row.fields for row in session.exec(select(t.Protocol).order_by(t.Protocol.hash))},
        "clips": _all_clips(measured, workspace),
        "note": f"the first {MOST_CHECKPOINTS} checkpoints; there are more in the registry" if listed.is_cut else "",
    }
    edges = _edges(listed, session)
    places = arrange({row.content: row.name or row.role for row in listed}, edges)
    assets = {name: Markup(_asset(f"registry.{kind}")) for name, kind in (("style", "css"), ("script", "js"))}
    return render(
        "gpd.registry", "registry.html", title="gpd registry", data=data, places=places, edges=edges, **assets
    )


def _asset(name: str) -> str:
    return (resources.files("gpd.registry") / "templates" / name).read_text(encoding="utf-8")


def _checkpoint(row: Listed, session: Session) -> dict[str, Any]:
    remarks = session.exec(
        select(t.Remark)
        .where(t.Remark.content == row.content, t.Remark.kind == "remark")
        .order_by(col(t.Remark.made_at))
    )
    parents = relatives(row.content, session, upwards=True)
    return {
        **asdict(row),
        "name": row.name or row.role,
        "params": params_of(row.content, session),
        "parents": [[one["relation"], f"{one['name'] or one['kind']} {one['content'][:SHORT]}"] for one in parents],
        "remarks": [_remark(found) for found in remarks],
    }


def _remark(row: t.Remark) -> dict[str, str]:
    return {"at": row.made_at.isoformat(timespec="seconds"), "by": row.made_by, "text": row.text}


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


def _all_clips(measured: dict[str, list[Measured]], workspace: Path) -> list[dict[str, Any]]:
    """Clips by subject, prompt and seed, with their bytes inside."""
    subjects = {(content, one.protocol, one.source, one.subject) for content in measured for one in measured[content]}
    budget = MOST_CLIPS_BYTES
    shown: list[dict[str, Any]] = []
    for content, protocol, source, subject in sorted(subjects):
        for path, facts in _clips_of(workspace / source, subject)[:CLIPS_EACH]:
            size = path.stat().st_size
            if size <= min(MOST_CLIP_BYTES, budget):
                budget -= size
                shown.append({"content": content, "protocol": protocol, **facts, "src": video_source(path)})
    return shown


def _clips_of(evaluation: Path, subject: str) -> list[tuple[Path, dict[str, Any]]]:
    """The mp4s of a subject with what they show, from the folders beside an evaluation whose manifest is of clips."""
    found = []
    for manifest in sorted(evaluation.glob(f"*/{MANIFEST}")):
        clips, rate = _listed_in(manifest.parent)
        for clip in clips:
            if clip.subject == subject:
                facts = {"subject": subject, "prompt": clip.prompt, "seed": clip.seed, "rate": rate}
                with contextlib.suppress(UserError):  # a name that leads elsewhere
                    found.append((path_inside(manifest.parent, clip.file), facts))
    return [(path, facts) for path, facts in found if path.is_file()]


def _listed_in(folder: Path) -> tuple[list[ShownClip], float]:
    """Clips and frames a second."""
    with contextlib.suppress(UserError):  # of another kind, or unusable
        manifest = load_manifest(folder, ClipsFacts)
        return manifest.facts.clips, float(manifest.params.get("encode.frames_per_second", USUAL_RATE))
    return [], USUAL_RATE
