"""What a run leaves in Prefect's pages: results beside the teacher, lineage, curves. Read from files, not computed."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from flows.tree import Tree
from gpd.artifacts import MANIFEST, load_manifest

COLUMNS = ("forwards", "trajectory_error", "frechet_latent", "motion_top_ratio", "spectral_space_ratio")
SHOWN_DIGITS = 4
TEACHER = "teacher"  # its evaluation, and the beginning of its baselines' names
SHORT = 12


def show_run(tree: Tree, verb: str) -> None:
    """All artifacts of a run that went through the pipeline."""
    create_table_artifact(
        table=result_rows(tree.folder), key=f"{verb}-results", description=f"Students beside teacher, {tree.short}"
    )
    create_markdown_artifact(lineage_text(tree), key=f"{verb}-lineage", description=f"Where it came from, {tree.short}")
    picture = curves_picture(tree.folder)
    if picture:
        create_image_artifact(image_url=picture, key=f"{verb}-curves", description="Error along the trajectory")
    report = tree.folder / "data" / "report" / "report.html"
    if report.is_file():
        create_link_artifact(report.as_uri(), link_text=str(report), key=f"{verb}-report", description="Clips, charts")


def measurements(folder: Path) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value, of all evaluations of a tree. A student is called as its evaluation is."""
    found: dict[str, dict[str, float]] = {}
    for path in sorted((folder / "data" / "evaluations").glob("*/metrics.json")):
        subjects = json.loads(path.read_text(encoding="utf-8"))
        found |= subjects if path.parent.name == TEACHER else {path.parent.name: next(iter(subjects.values()))}
    return found


def result_rows(folder: Path) -> list[dict[str, Any]]:
    """One row a subject: the teacher's last, the cheapest first."""
    found = measurements(folder)
    names = sorted(found, key=lambda name: (name.startswith(TEACHER), found[name].get("forwards", 0.0), name))
    return [{"subject": name, **rounded(found[name])} for name in names]


def rounded(metrics: dict[str, float]) -> dict[str, float | str]:
    """The leading metrics; a metric that was not computed is a dash, not 0."""
    return {name: float(f"{metrics[name]:.{SHOWN_DIGITS}g}") if name in metrics else "-" for name in COLUMNS}


def lineage_text(tree: Tree) -> str:
    """Commit, params and hashes, then every student with what it was made from, as a page."""
    lines = [
        "# Lineage",
        f"* commit `{tree.commit}`",
        f"* params `{tree.params_hash}`"
        + "".join(f"\n    * `{key}` = `{value}`" for key, value in tree.overrides.items()),
        f"* tree `{tree.folder}`",
        f"* registry `{shown_url(tree.registry_url)}`",
        "",
        "| folder | kind | content | from |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join(lines + [_lineage_row(tree.folder, folder) for folder in _folders(tree.folder)])


def shown_url(url: str) -> str:
    """A registry's address without what may be secret in it."""
    scheme, sign, rest = url.partition("://")
    return f"{scheme}{sign}{rest.rpartition('@')[2].partition('?')[0]}" if sign else url  # a query may say password=


def _folders(tree: Path) -> list[Path]:
    """Folders with a manifest, the teacher first, students in the order of their horizon."""
    paths = [path.parent for path in tree.glob(f"data/*/{MANIFEST}")]
    students = [path.parent for path in tree.glob(f"data/students/*/{MANIFEST}")]
    students.sort(key=lambda folder: load_manifest(folder)["facts"].get("horizon", 0))
    kinds = ("base", "prompts", "latents", "reference", "samples", "report")
    paths.sort(key=lambda folder: kinds.index(kind) if (kind := load_manifest(folder)["kind"]) in kinds else len(kinds))
    return [*paths[:-1], *students, *paths[-1:]] if paths else students


def _lineage_row(tree: Path, folder: Path) -> str:
    manifest = load_manifest(folder)
    inputs = ", ".join(f"{name} `{entry['content'][:SHORT]}`" for name, entry in manifest["inputs"].items())
    return f"| {folder.relative_to(tree)} | {manifest['kind']} | `{manifest['content'][:SHORT]}` | {inputs or '-'} |"


def curves_picture(folder: Path) -> str:
    """The error along the trajectory of every student, as an SVG in a data URI; empty where nothing was measured."""
    rows: list[dict[str, Any]] = []
    for path in sorted((folder / "data" / "evaluations").glob("*/curves.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows.extend(csv.DictReader(file))
    if not rows:
        return ""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(json.dumps(curves_chart(rows)))
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def curves_chart(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart's description in Vega-Lite."""
    return {
        "width": 640,
        "height": 360,
        "background": "white",
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "sigma", "type": "quantitative", "title": "noise level", "sort": "descending"},
            "y": {"field": "trajectory_error", "type": "quantitative", "title": "trajectory error"},
            "color": {"field": "subject", "type": "nominal", "title": None},
        },
    }
