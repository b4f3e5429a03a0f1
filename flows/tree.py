"""A work tree for each run: a commit of this repository with overrides of its params, on the shared DVC cache.

.work/flows/<commit>-<overrides>/   git worktree; the same run finds its tree, and what is done in it, again
    .work/distill, .work/runs, ..   links to those of the repository: states of the stages and records are shared
    .dvc/config.local               the cache of the repository
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows import local, locks, outputs
from flows.parameters import check_commit, check_overrides
from flows.process import StageFailedError, environment, read_command
from gpd.artifacts import UserError
from gpd.documents.reading import parse_yaml
from gpd.params import Params, explain, override, student_path

FLOWS = Path(".work") / "flows"
LOCKS = Path(".work") / "locks"
RECORDS = "runs"  # beside the stages' states, the folder of .work that all trees of a repository use together
MOST_COPIES = 64  # of one tree, if the same run goes on several times at once

Overrides = dict[str, Any]


@dataclass(frozen=True)
class Tree:
    """A work tree that is ours until the run ends."""

    folder: Path
    root: Path
    commit: str
    overrides: Overrides = field(default_factory=dict)
    remote: str = ""  # DVC's default remote, if there is one
    given: frozenset[str] = frozenset()  # stages that are not run: their outputs came from elsewhere

    @property
    def short(self) -> str:
        """The commit's hash, shortened."""
        return self.commit[:7]

    @property
    def registry_url(self) -> str:
        """The registry of the repository, or the one that the environment names."""
        return os.environ.get("GPD_REGISTRY_URL") or str(self.root / "registry.db")

    @property
    def params_hash(self) -> str:
        """SHA-256 of params.yaml as this tree has it, whatever the order of its keys."""
        return _hash(outputs.params_in(self.folder))

    def environment(self, **extra: str) -> dict[str, str]:
        """For dvc, and for gpd as it is installed: the registry is the repository's, whatever commit this tree has."""
        return environment(DVC_NO_ANALYTICS="1", DO_NOT_TRACK="1", GPD_REGISTRY_URL=self.registry_url, **extra)

    def code_environment(self, **extra: str) -> dict[str, str]:
        """For the stages: gpd as this tree has it, which DVC hashes; the installed one is of another checkout."""
        return self.environment(PYTHONPATH=str(self.folder), **extra)

    def stage_lock(self, stage: str, key: str) -> Path:
        """The file that two runs with the same work for this stage lock."""
        return self.root / LOCKS / f"{stage}-{key}.lock"


def find_root(folder: Path | None = None) -> Path:
    """The repository that a folder (by default where we stand) lies in."""
    return Path(_git(folder or Path.cwd(), "rev-parse", "--show-toplevel"))


def find_commit(root: Path, commit: str) -> str:
    """The full hash of a commit, branch or tag.

    Raises:
        UserError: this clone has no such commit, or it is the name of none.
    """
    check_commit(commit)
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    except StageFailedError:
        raise UserError(f"commit {commit!r}: not in the clone {root}; `git fetch` there") from None


@contextmanager
def work_tree(
    root: Path,
    commit: str = "HEAD",
    overrides: Overrides | None = None,
    *,
    students: Mapping[str, Path] | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[Tree]:
    """A tree of a commit with overrides, for this run alone; a run that is done or was stopped leaves it to the next.

    Args:
        students: folders from elsewhere that take the place of what the stages of these names would train.

    Raises:
        UserError: no such commit, or overrides of keys that are not in params.yaml.
    """
    overrides = overrides or {}
    check_overrides(overrides)
    full = find_commit(root, commit)
    params_of(root, full, overrides)  # a mistake is reported before anything is made
    students = students or {}
    name = f"{full[:12]}-{_hash([overrides, students])[:8]}"
    names = [name, *(f"{name}-{copy}" for copy in range(2, MOST_COPIES + 1))]
    with locks.first_free([root / FLOWS / f"{name}.lock" for name in names], on_wait) as (position, _):
        known = local.settings_in(root)
        tree = Tree(root / FLOWS / names[position], root, full, overrides, known.get("core.remote", ""))
        with locks.locked(root / LOCKS / "trees.lock"):
            is_new = _check_out(tree)
        _write_params(tree)
        _share(tree, Path(known["cache.dir"]))
        if is_new:
            _restore(tree)
        yield _give(tree, students)


def all_trees(root: Path) -> list[Tree]:
    """The repository itself and the trees that its runs have left."""
    folders = [root, *sorted(path.parent for path in (root / FLOWS).glob("*/.git"))]
    return [Tree(folder, root, _git(folder, "rev-parse", "HEAD")) for folder in folders]


def changed_files(root: Path) -> list[str]:
    """Tracked files of the checkout that differ from its commit: a run does not see such changes."""
    return _git(root, "diff", "--name-only", "HEAD").splitlines()


def _check_out(tree: Tree) -> bool:
    if (tree.folder / ".git").exists():
        return False
    _git(tree.root, "worktree", "prune")
    _git(tree.root, "worktree", "add", "--force", "--detach", "--end-of-options", str(tree.folder), tree.commit)
    return True


def _restore(tree: Tree) -> None:
    """What dvc.lock names and is in the cache. `dvc repro` does it too, but not for a stage that keeps files in git."""
    words = ["dvc", "checkout", "--quiet", "--allow-missing"]
    read_command(words, cwd=tree.folder, env=tree.environment(), may_fail=True)
    if not tree.remote:  # else the output of another machine may lie there
        forget_missing(tree.folder)


def forget_missing(folder: Path) -> None:
    """Takes stages out of a tree's dvc.lock whose outputs are not here: those of a commit from another machine.

    For a stage that dvc.lock names with unchanged dependencies, DVC looks for the output of that name alone; only
    without an entry does it search its run cache, which has what this machine has made of the same dependencies.
    """
    file = folder / "dvc.lock"
    lock = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    entries = lock.get("stages") or {}
    here = {name: entry for name, entry in entries.items() if all((folder / out).exists() for out in _outs(entry))}
    if here != entries:
        file.write_text(yaml.safe_dump(lock | {"stages": here}, sort_keys=False), encoding="utf-8")


def _outs(entry: Mapping[str, Any]) -> list[str]:
    return [out["path"] for out in entry.get("outs", [])]


def _share(tree: Tree, cache: Path) -> None:
    """DVC's cache and settings of this machine, states and records, and material outside git."""
    local.write_settings(tree.root, tree.folder, cache)
    for name in {RECORDS, *(stage.partition("@")[0] for stage in outputs.stages_in(tree.folder))}:
        _link(tree.folder / ".work" / name, tree.root / ".work" / name)
        (tree.root / ".work" / name).mkdir(parents=True, exist_ok=True)
    params = outputs.params_in(tree.folder)
    for path in (str(params["model"]["path"]), str(params["prepare"]["source"])):
        if not (tree.folder / f"{path}.dvc").exists() and (tree.root / path).exists():
            _link(tree.folder / path, tree.root / path)


def _give(tree: Tree, students: Mapping[str, Path]) -> Tree:
    """Puts students from elsewhere in their places; dvc.lock must not list its own there."""
    for name, folder in students.items():
        place = tree.folder / student_path(name)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        _link(place, folder)
    given = frozenset(outputs.training_of(tree.folder, name) for name in students)
    lock = tree.folder / "dvc.lock"
    if given and lock.is_file():
        locked = parse_yaml(lock.read_text(encoding="utf-8"))
        locked["stages"] = {name: entry for name, entry in locked["stages"].items() if name not in given}
        lock.write_text(yaml.safe_dump(locked, sort_keys=False), encoding="utf-8")
    return replace(tree, given=given)


def _link(link: Path, target: Path) -> None:
    if not link.exists() and not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def params_of(root: Path, commit: str, overrides: Overrides) -> dict[str, Any]:
    """params.yaml of a commit with overrides, as plain values; checked as every command of gpd checks it.

    Raises:
        UserError: the overrides do not fit it.
    """
    check_commit(commit)
    check_overrides(overrides)
    text = _git(root, "show", "--end-of-options", f"{commit}:params.yaml")
    raw = override(parse_yaml(text), overrides, "overrides")
    try:
        Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(Path("params.yaml"), error)) from None
    return dict(raw)


def _write_params(tree: Tree) -> None:
    """Only if there are overrides: else the file with its comments stays as it is."""
    if tree.overrides:
        raw = params_of(tree.root, tree.commit, tree.overrides)
        text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
        if (tree.folder / "params.yaml").read_text(encoding="utf-8") != text:
            (tree.folder / "params.yaml").write_text(text, encoding="utf-8")


def _git(folder: Path, *words: str) -> str:
    return read_command(["git", *words], cwd=folder).strip()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
