"""A source's folders of clips, each with its captions.jsonl."""

from pathlib import Path

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.data.clips import CONTAINERS, is_clip
from gpd.data.lines import read_rows, refuse
from gpd.data.rows import Clip
from gpd.data.texts import check_texts, text_id

CAPTIONS = "captions.jsonl"


def read_clips(source: Path, name: str) -> list[Clip]:
    """The clips of source/name, in the order of its captions; empty without the folder.

    Raises:
        UserError: captions and files do not match one to one, or a caption is bad.
    """
    folder = source / name
    if not folder.is_dir():
        return []
    captions = folder / CAPTIONS
    if not captions.exists():
        raise UserError(f"{captions}: no such file; it gives each clip its caption")
    is_held_out = name == "evaluation_clips"
    rows = read_rows(captions, required=("file", "caption"), optional=() if is_held_out else ("split",))
    _check_files(folder, rows)
    check_texts([(where, row["caption"].strip()) for where, row in rows], allow_repeats=True)
    default = "evaluation" if is_held_out else "train"
    return [_make_clip(folder, row["file"], row["caption"].strip(), row.get("split", default)) for _, row in rows]


def list_others(source: Path, name: str) -> list[str]:
    """Files in source/name that are neither clips nor captions, so that nobody takes them for read."""
    folder = source / name
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path, folder))
    return [path.relative_to(source).as_posix() for path in found if not is_clip(path) and path != folder / CAPTIONS]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _check_files(folder: Path, rows: list[tuple[str, dict[str, str]]]) -> None:
    """Captions and files of a folder of clips match one to one."""
    mistakes, listed = [], set()
    for where, row in rows:
        file = row["file"]
        if row.get("split", "train") not in ("train", "evaluation"):
            mistakes.append(f"{where}: split={row['split']!r} is not 'train' or 'evaluation'")
        if reason := _reason_against_file(folder, file):
            mistakes.append(f"{where}: file={file!r} {reason}")
        elif file in listed:
            mistakes.append(f"{where}: file={file!r} is listed twice")
        listed.add(file)
    found = sorted(
        path for path in folder.rglob("*") if is_clip(path) and path.is_file() and not _is_hidden(path, folder)
    )
    names = [path.relative_to(folder).as_posix() for path in found]
    mistakes += [f"{folder / name}: has no caption in {CAPTIONS}" for name in names if name not in listed]
    refuse(mistakes)


def _reason_against_file(folder: Path, file: str) -> str | None:
    if not is_clip(Path(file)):
        return f"is not one of {', '.join(CONTAINERS)}"
    if Path(file).as_posix() != file or Path(file).is_absolute() or ".." in Path(file).parts:
        return f"is not a plain path below {folder}"
    return None if (folder / file).is_file() else "does not exist"


def _make_clip(folder: Path, file: str, caption: str, split: str) -> Clip:
    sha256 = artifacts.hash_file(folder / file)
    return Clip(
        id=f"c-{sha256[:16]}",
        file=f"{folder.name}/{file}",
        sha256=sha256,
        caption=caption,
        text=text_id(caption),
        split=split,
    )


def check_unique(clips: list[Clip]) -> None:
    """Refuses clips of equal bytes, also those of two folders: their ids would be the same."""
    first: dict[str, str] = {}
    mistakes = []
    for clip in clips:
        if clip.id in first:
            mistakes.append(f"{clip.file}: the same bytes as {first[clip.id]}")
        first.setdefault(clip.id, clip.file)
    refuse(mistakes)
