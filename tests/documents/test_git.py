import subprocess
from pathlib import Path

from gpd.documents import git_state
from tests.workspace import working_in


def git(*words: str) -> None:
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *author, *words], check=True, capture_output=True)


def test_an_edit_counts_unless_it_is_in_the_folder_that_is_left_out(tmp_path: Path) -> None:
    with working_in(tmp_path):
        git("init", "-q")
        for name in ("out/table.md", "code.py"):
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).touch()
        git("add", ".")
        git("commit", "-qm", "x")
        assert not git_state().is_dirty
        Path("out/table.md").write_text("new")
        assert (git_state().is_dirty, git_state(but=Path("out")).is_dirty) == (True, False)
        Path("code.py").write_text("new")
        assert git_state(but=Path("out")).is_dirty


def test_outside_of_a_repository_nothing_is_said(tmp_path: Path) -> None:
    with working_in(tmp_path):
        assert (git_state().commit, git_state().is_dirty) == (None, None)
