"""DVC's settings of one machine, which git does not hold: a work tree takes them over from its repository."""

import configparser
from pathlib import Path

from flows.process import environment, read_command

CONFIG = Path(".dvc") / "config.local"
CACHE = Path(".dvc") / "cache"  # where nothing else is set


def settings_in(root: Path) -> dict[str, str]:
    """Name -> value of all that is set for a repository, also by its user; `cache.dir` is there in any case."""
    words = ["dvc", "config", "--list"]  # from the widest file to the nearest, places made absolute
    listed = read_command(words, cwd=root, env=environment(DVC_NO_ANALYTICS="1", DO_NOT_TRACK="1")).splitlines()
    found = dict(line.split("=", 1) for line in listed if "=" in line)
    return {"cache.dir": str((root / CACHE).resolve()), **found}


def write_settings(root: Path, tree: Path, cache: Path) -> None:
    """The repository's config.local for a tree, with places made absolute, and the cache that they share."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(root / CONFIG)
    for section in config.sections():
        url = config.get(section, "url", fallback="")
        if url and "://" not in url and not Path(url).is_absolute():
            config.set(section, "url", str((root / CONFIG.parent / url).resolve()))
    if not config.has_section("cache"):
        config.add_section("cache")
    config.set("cache", "dir", str(cache))
    with (tree / CONFIG).open("w", encoding="utf-8") as file:
        config.write(file)
