"""DVC stage `prepare`: collects prompts and clips of a source folder, checks them and settles the split."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import PromptsFacts
from gpd.params import Params, Prepare

OUTPUT = Path("data/prompts")
MAX_CHARACTERS = 2000  # far beyond 512 tokens in any script
MAX_SHOWN = 10  # mistakes told at once
CLIP_SUFFIXES = (".mkv", ".mp4", ".webm")
CAPTIONS = "captions.jsonl"

Line = tuple[str, str]  # where it stands ("prompts.txt:12"), the text


def run(params: Params) -> None:
    """Writes data/prompts/ from the folder that params.prepare.source names.

    Raises:
        UserError: one line for each thing that is wrong in the source.
    """
    source = Path(params.prepare.source)
    with documents.recording_run("prepare", params.prepare.model_dump()) as record:
        training, evaluation, clips = collect(source, params.prepare)
        with artifacts.replacing(OUTPUT) as folder:
            _write_lines(folder / "prompts.jsonl", [*_rows(training, "train"), *_rows(evaluation, "evaluation")])
            _write_lines(folder / "clips.jsonl", clips)
            facts = PromptsFacts(
                num_prompts=len(training), num_evaluation_prompts=len(evaluation), num_clips=len(clips)
            )
            manifest = documents.write_manifest(folder, facts, inputs={}, params=params.prepare.model_dump())
        record.wrote(OUTPUT, manifest)
    print(f"prepare: {len(training)} training prompts, {len(evaluation)} held out, {len(clips)} clips -> {OUTPUT}/")


def collect(source: Path, settings: Prepare) -> tuple[list[str], list[str], list[dict[str, str]]]:
    """Training prompts, evaluation prompts and rows of clips.jsonl.

    Raises:
        UserError: one line for each thing that is wrong in the source.
    """
    if not source.is_dir():
        raise UserError(f"prepare.source={str(source)!r}: no such folder")
    clips = [*read_clips(source, "clips"), *read_clips(source, "evaluation_clips")]
    _check_unique(clips)
    prompts = read_prompts(source)
    captions = [(f"{clip['file']} (caption)", clip["caption"]) for clip in clips if clip["split"] == "train"]
    if (source / "evaluation.txt").exists():
        evaluation = read_held_out(source / "evaluation.txt", [*prompts, *captions], settings.num_evaluation_prompts)
    else:
        evaluation = split_off(prompts, captions, settings)
    held_out = set(evaluation)
    return [text for _, text in prompts if text not in held_out], evaluation, clips


def read_held_out(path: Path, training: list[Line], num: int) -> list[str]:
    """The first `num` prompts of an evaluation file, none of which may be trained on.

    Raises:
        UserError: there are fewer, one is bad, or one stands in `training`.
    """
    lines = read_text_lines(path)
    check_texts(lines)
    held_out = {text: where for where, text in lines}
    _raise_all(
        f"{where}: also an evaluation prompt ({held_out[text]}): {_short(text)}"
        for where, text in training
        if text in held_out
    )
    if len(lines) < num:
        raise UserError(f"{path}: holds {len(lines)} prompts, prepare.num_evaluation_prompts={num}")
    return [text for _, text in lines[:num]]


def split_off(prompts: list[Line], captions: list[Line], settings: Prepare) -> list[str]:
    """Takes evaluation prompts out of the training prompts, by the hash of seed and text.

    A caption of a training clip is never held out. The choice does not depend on the prompts' order.

    Raises:
        UserError: no training prompt would be left.
    """
    trained = {text for _, text in captions}
    free = [text for _, text in prompts if text not in trained]
    num = settings.num_evaluation_prompts
    if num > len(free) or num == len(prompts):
        raise UserError(
            f"{settings.source}: of {len(prompts)} prompts {len(free)} can be held out, "
            f"prepare.num_evaluation_prompts={num}, and one at least must stay to train on"
        )
    ranked = sorted(free, key=lambda text: hashlib.sha256(f"{settings.seed}:{text}".encode()).hexdigest())
    chosen = set(ranked[:num])
    return [text for text in free if text in chosen]


def read_prompts(source: Path) -> list[Line]:
    """The source's prompts, checked.

    Raises:
        UserError: there is no prompt file, or both; or a prompt is bad.
    """
    text, rows = source / "prompts.txt", source / "prompts.jsonl"
    if text.exists() == rows.exists():
        state = "both prompts.txt and prompts.jsonl" if text.exists() else "neither prompts.txt nor prompts.jsonl"
        raise UserError(f"prepare.source={str(source)!r}: there is {state}; one is needed")
    if text.exists():
        lines = read_text_lines(text)
    else:
        lines = [(where, row["text"].strip()) for where, row in read_rows(rows, required=("text",))]
    if not lines:
        raise UserError(f"{text if text.exists() else rows}: holds no prompt")
    check_texts(lines)
    return lines


def read_text_lines(path: Path) -> list[Line]:
    """Lines of a UTF-8 file without the space around them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None
    # split at line feeds alone: str.splitlines would also split a prompt at U+2028 and other separators
    lines = text.removesuffix("\n").split("\n") if text else []
    return [(f"{path}:{number}", line.strip(" \t\r")) for number, line in enumerate(lines, 1)]


def read_rows(
    path: Path, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[tuple[str, dict[str, str]]]:
    """Objects of a JSONL file, each with the place where it stands; blank lines are passed over.

    Raises:
        UserError: a line is not an object of strings with exactly these keys.
    """
    mistakes, rows = [], []
    for where, line in read_text_lines(path):
        if line:
            try:
                rows.append((where, _parse_row(line, required, optional)))
            except ValueError as error:
                mistakes.append(f"{where}: {error}")
    _raise_all(mistakes)
    return rows


def _parse_row(line: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, str]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at character {error.pos + 1})") from None
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, found {_short(line)}")
    for key in required:
        if key not in row:
            raise ValueError(f"key {key!r} is missing")
    for key, value in row.items():
        if key not in (*required, *optional):
            raise ValueError(f"unknown key {key!r}; known are {', '.join((*required, *optional))}")
        if not isinstance(value, str):
            raise ValueError(f"{key}={_short(json.dumps(value))} is not a text")
    return row


def check_texts(lines: Iterable[Line], *, allow_repeats: bool = False) -> None:
    """Raises a UserError with a line for each text that is empty, too long, repeated or holds control characters."""
    first: dict[str, str] = {}
    mistakes = []
    for where, text in lines:
        reason = _reason_against(text)
        if reason is None and text in first and not allow_repeats:
            reason = f"the same prompt as at {first[text]}: {_short(text)}"
        if reason is not None:
            mistakes.append(f"{where}: {reason}")
        first.setdefault(text, where)
    _raise_all(mistakes)


def _reason_against(text: str) -> str | None:
    if not text:
        return "empty"
    if len(text) > MAX_CHARACTERS:
        return f"{len(text)} characters, at most {MAX_CHARACTERS}: {_short(text)}"
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            return f"control character U+{ord(character):04X} in {_short(text)}"
    return None


def read_clips(source: Path, name: str) -> list[dict[str, str]]:
    """Rows of clips.jsonl for the clips of source/name, in the order of its captions; empty without the folder.

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
    return [_make_clip(folder, row | {"split": row.get("split", default)}) for _, row in rows]


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
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in CLIP_SUFFIXES)
    names = [path.relative_to(folder).as_posix() for path in found]
    mistakes += [f"{folder / name}: has no caption in {CAPTIONS}" for name in names if name not in listed]
    _raise_all(mistakes)


def _reason_against_file(folder: Path, file: str) -> str | None:
    if Path(file).suffix.lower() not in CLIP_SUFFIXES:
        return f"is not one of {', '.join(CLIP_SUFFIXES)}"
    if Path(file).as_posix() != file or Path(file).is_absolute() or ".." in Path(file).parts:
        return f"is not a plain path below {folder}"
    return None if (folder / file).is_file() else "does not exist"


def _make_clip(folder: Path, row: dict[str, str]) -> dict[str, str]:
    sha256 = artifacts.hash_file(folder / row["file"])
    return {
        "id": f"c-{sha256[:16]}",
        "file": f"{folder.name}/{row['file']}",
        "sha256": sha256,
        "caption": row["caption"].strip(),
        "text": text_id(row["caption"].strip()),
        "split": row["split"],
    }


def _check_unique(clips: list[dict[str, str]]) -> None:
    first: dict[str, str] = {}
    mistakes = []
    for clip in clips:
        if clip["id"] in first:
            mistakes.append(f"{clip['file']}: the same bytes as {first[clip['id']]}")
        first.setdefault(clip["id"], clip["file"])
    _raise_all(mistakes)


def text_id(text: str) -> str:
    """How shards and evaluations name a text."""
    return f"p-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _rows(texts: list[str], split: str) -> list[dict[str, str]]:
    return [{"id": text_id(text), "text": text, "split": split} for text in texts]


def _write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    artifacts.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _raise_all(mistakes: Iterable[str]) -> None:
    """Raises a UserError with one line for each mistake, the first few of them."""
    lines = list(mistakes)
    if len(lines) > MAX_SHOWN:
        lines = [*lines[:MAX_SHOWN], f"and {len(lines) - MAX_SHOWN} more like these"]
    if lines:
        raise UserError("\n".join(lines))


def _short(text: str) -> str:
    """A text that may be long or hold control characters, for a message of one line."""
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}..."
