from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.data.sources import collect
from gpd.models import use
from gpd.params import load_params


@pytest.fixture(autouse=True)
def work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_profile_is_a_file_in_the_folder() -> None:
    folder = Path(use.__file__).parent / "profiles"
    assert {path.stem for path in folder.iterdir()} == set(use.PROFILES)
    assert "tiny-wan" in use.PROFILES


def test_an_unknown_profile_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"profile='wan3' is not one of tiny-wan, "):
        use.run("wan3")
    assert not Path("params.yaml").exists()


def test_the_settings_of_a_user_are_kept_and_a_profile_is_not() -> None:
    use.run("tiny-wan")
    use.run("tiny-wan")
    assert not Path("params.yaml.old").exists()
    Path("params.yaml").write_text("model: mine")
    use.run("tiny-wan")
    assert Path("params.yaml.old").read_text() == "model: mine"


def test_a_model_of_the_hub_has_a_folder_that_says_what_it_waits_for() -> None:
    use.run("wan2.1-1.3b")
    assert "gpd fetch" in Path("data/wan2.1-1.3b/README.md").read_text()


def test_a_source_that_was_not_there_is_made_with_a_note_of_what_belongs_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    use.run("wan2.1-1.3b")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "prepare.source" in line]
    assert "data/sources/mine" in line
    assert "prompts.txt" in line
    assert "prompts.txt" in Path("data/sources/mine/README.md").read_text()
    with pytest.raises(UserError, match=r"prepare.source='data/sources/mine': there is neither prompts.txt nor "):
        collect(Path("data/sources/mine"), load_params().prepare)
