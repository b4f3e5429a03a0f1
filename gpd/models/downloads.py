"""Which commit of the hub a folder of weights was downloaded from, by the notes that the hub's client leaves there."""

from pathlib import Path

NOTES = Path(".cache", "huggingface")  # beside the weights
SUFFIX = ".metadata"
SLACK = 1.0  # seconds: times of files are not exact


def find_commit(folder: Path) -> str | None:
    """The commit that every file of weights has a note of; None if one has none, or was changed after its note."""
    commits = {_commit_of(folder, file) for file in folder.glob("*/*.safetensors")}
    return commits.pop() if len(commits) == 1 else None


def _commit_of(folder: Path, file: Path) -> str | None:
    note = folder / NOTES / "download" / f"{file.relative_to(folder)}{SUFFIX}"
    lines = note.read_text(encoding="utf-8").split() if note.is_file() else []
    try:
        commit, _, time = lines
        is_unchanged = file.stat().st_mtime - SLACK <= float(time)
    except ValueError:
        return None
    return commit if is_unchanged else None
