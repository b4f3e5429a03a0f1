"""What a run leaves in Prefect's pages: results beside the teacher, lineage, curves. Read from files, not computed."""

from pathlib import Path

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from flows import reports
from flows.outputs import artefacts, params_in, written
from flows.pictures import curves_picture, frames_picture
from flows.results import measured, result_rows
from flows.tree import Tree
from gpd.documents import load_manifest

SHORT = 12


def show_run(tree: Tree, verb: str) -> None:
    """All artifacts of a run that went through the pipeline."""
    table, words = result_rows(measured(tree.folder)), f"Students beside teacher, {tree.short}"
    create_table_artifact(table=table, key=f"{verb}-results", description=words)
    create_markdown_artifact(lineage_text(tree), key=f"{verb}-lineage", description=f"Where it came from, {tree.short}")
    curves = curves_picture(tree.folder)
    frames, rows = frames_picture(tree.folder, params_in(tree.folder))
    for name, picture, words in (("curves", curves, "Error along the trajectory"), ("frames", frames, rows)):
        if picture:
            create_image_artifact(image_url=picture, key=f"{verb}-{name}", description=words)
    for report in written(tree.folder, reports.REPORT):
        show_report(tree, report, f"{verb}-report")


def show_report(tree: Tree, report: Path, key: str) -> None:
    """A link to a report, or its place if nothing serves it."""
    words = "Clips, charts"
    if link := reports.link_to(report, tree.folder.parent):
        create_link_artifact(link, link_text=f"Report, {tree.short}", key=key, description=words)
    else:
        create_markdown_artifact(reports.place_of(report), key=key, description=words)


def lineage_text(tree: Tree) -> str:
    """Commit, params and hashes, then every artefact with what it was made from, as a page."""
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
    return "\n".join(lines + [_lineage_row(tree.folder, folder) for folder in artefacts(tree.folder)])


def shown_url(url: str) -> str:
    """A registry's address without what is secret in it."""
    from gpd.registry.engine import registry_url, shown  # it brings SQL with it, which no other part of a run needs

    return shown(registry_url(url))


def _lineage_row(tree: Path, folder: Path) -> str:
    manifest = load_manifest(folder)
    inputs = ", ".join(f"{name} `{entry.content[:SHORT]}`" for name, entry in manifest.inputs.items())
    return f"| {folder.relative_to(tree)} | {manifest.kind} | `{manifest.content[:SHORT]}` | {inputs or '-'} |"
