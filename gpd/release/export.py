"""`gpd export`: a student in the formats that others read, each tried by loading it, with its card."""

from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import MANIFEST, SIGNATURE, UserError
from gpd.documents import Exported, ReleaseFacts
from gpd.params import Params
from gpd.release import hub, signing
from gpd.release.card import render_card
from gpd.release.formats import DTYPES, FORMATS, Format, Source
from gpd.release.student import Student, open_student
from gpd.release.workspace import describe_student

CARD = "README.md"
ALL = "all"


def run(
    params: Params,
    spec: str,
    *,
    to: Path,
    format: str = ALL,
    dtype: str | None = None,
    rank: int | None = None,
    force: bool = False,
    push: str | None = None,
    sign: Path | None = None,
) -> None:
    """Writes a release to a new folder, whole or not at all, and uploads it if asked.

    Args:
        spec: a stage's name, a folder, or what the registry understands.
        format: one of FORMATS; "all" takes those that this student has.
        dtype: of the weights; each format has its own default.
        rank: of factors to extract from a student of full weights.
        force: replace an earlier release in the folder.
        push: a repository on the hub.
        sign: a private key of an elliptic curve, in a file.

    Raises:
        UserError: there is no such student, format, type or key; the folder is taken; what is read back differs.
    """
    check_choices(format, dtype)
    check_target(to, force)
    if push is not None:
        hub.check(push)
    if sign is not None:
        signing.check_key(sign)
    source = Source(open_student(params, spec), rank)
    chosen, refused = choose(format, source)
    for name, reason in refused.items():
        print(f"export: {name}: left out: {reason}")
    with artifacts.replacing(to) as folder:
        exports = []
        for one in chosen:
            exports.append(one.export(source, folder, dtype))
            print(summary(exports[-1]), flush=True)
        publish(folder, source.student, exports, push)
        if sign is not None:
            signing.sign(folder, sign)
    print(f"export: {source.student.folder} -> {to}")
    if push is not None:
        print(f"export: {to} -> {hub.upload(to, push)}")


def check_choices(format: str, dtype: str | None) -> None:
    """Refuses words that are not on the lists."""
    for option, word, known in (("--format", format, [*FORMATS, ALL]), ("--dtype", dtype or "fp32", list(DTYPES))):
        if word not in known:
            raise UserError(f"{option}={word}: must be one of {', '.join(known)}")


def check_target(to: Path, force: bool) -> None:
    """Refuses a folder that holds anything; with `force` only if that is no earlier release."""
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    if not force:
        raise UserError(f"--to={to}: is there already; --force replaces an earlier release")
    try:
        released = documents.load_manifest(to, ReleaseFacts).files
    except (UserError, OSError):
        raise UserError(f"--to={to}: holds something that is no release; --force replaces nothing else") from None
    there = {path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file()}
    if others := sorted(there - {*released, MANIFEST, SIGNATURE}):
        raise UserError(f"--to={to}: {others[0]} is not of the release there; --force would remove it")


def choose(format: str, source: Source) -> tuple[list[Format], dict[str, str]]:
    """The formats to write, and why others are left out; one that is asked for by name is left in and refuses."""
    if format != ALL:
        return [FORMATS[format]], {}
    reasons = {name: reason for name, one in FORMATS.items() if (reason := one.reason_against(source))}
    return [one for name, one in FORMATS.items() if name not in reasons], reasons


def publish(folder: Path, student: Student, exports: list[Exported], repository: str | None) -> None:
    """Adds the card and the manifest."""
    card = describe_student(student, exports, place=repository or ".")
    artifacts.write_text(folder / CARD, render_card(card))
    facts = student.manifest.facts
    documents.write_manifest(
        folder,
        ReleaseFacts(stage=facts.stage, sampling_steps=student.grid.num_steps, exports=exports),
        inputs={"student": student.manifest.identity, **student.manifest.inputs},
        params=student.manifest.params,
    )


def summary(one: Exported) -> str:
    """A line for a person."""
    lost = "" if one.lost is None else f"; {one.lost:.2%} of what was learnt is lost"
    return f"export: {one.format}: {one.path}, {one.dtype}, {one.size / 2**20:,.1f} MiB, read back equal{lost}"


def print_card(params: Params, spec: str) -> None:
    """The card of a student where it lies."""
    student = open_student(params, spec)
    print(render_card(describe_student(student, [], place=student.folder.as_posix())), end="")
