from pathlib import Path

from gpd.evaluation.folders import group_seeds, pair_up


def folder_of(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).touch()
    return path


def test_equal_names_pair_in_order_and_other_files_do_not_count(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a", "2.mp4", "1.mp4", "notes.txt", ".1.mp4.5.partial")
    second = folder_of(tmp_path / "b", "1.mp4", "2.mp4")
    found = pair_up(first, second)
    assert found.is_paired
    assert [path.name for path in found.clips] == [path.name for path in found.reference] == ["1.mp4", "2.mp4"]


def test_one_name_too_many_and_nothing_is_paired(tmp_path: Path) -> None:
    found = pair_up(folder_of(tmp_path / "a", "1.mp4", "2.mp4"), folder_of(tmp_path / "b", "1.mp4"))
    assert not found.is_paired
    assert (found.num_shared, found.only_clips, found.only_reference) == (1, ["2.mp4"], [])


def test_seeds_of_a_prompt_stand_together() -> None:
    names = ["a cat-0", "a cat-1", "k8-000-seed0", "k8-000-seed1", "k8-001-seed0", "x-ray"]
    groups = group_seeds([Path(f"{name}.mp4") for name in names])
    assert [[path.stem for path in group] for group in groups] == [names[:2], names[2:4], names[4:5], names[5:]]
