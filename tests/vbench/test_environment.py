from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.vbench import environment


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").touch()
    with pytest.raises(UserError, match=r"not an environment \(bin/python is missing\)"):
        environment.open_environment(tmp_path, [], False)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_users_own_environment_is_taken_as_it_is_and_lacks_detectron2(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to("/bin/sh")
    assert environment.open_environment(tmp_path, ["scene"], True) == python
    python.unlink()
    python.write_text("#!/bin/sh\necho False\n")
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"color needs detectron2: .*pip install"):
        environment.open_environment(tmp_path, ["color"], False)


def test_a_failure_is_told_with_the_end_of_what_was_printed(tmp_path: Path) -> None:
    """Our own Python has no vbench."""
    import sys

    request = {"dimensions": ["temporal_flickering"], "static_filter": None}
    with pytest.raises(UserError, match=r"(?s)log.txt: vbench ended with status 1:.*ModuleNotFoundError"):
        environment.ask(Path(sys.executable), request, tmp_path, tmp_path / "cache")


def test_pins_name_one_version_each() -> None:
    for path in (environment.REQUIREMENTS, environment.ALL_REQUIREMENTS):
        lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
        pins = dict(line.split("==") for line in lines if line)
        assert len(pins) == sum(map(bool, lines))
        assert pins["vbench"] == "0.1.5"
        assert pins["numpy"].startswith("1.")
