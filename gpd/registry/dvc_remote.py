"""A folder of a DVC remote that is no folder of this machine, brought into the workspace's cache by DVC itself.

`dvc pull` knows only what the dvc.lock of the present commit names, while a checkpoint may be of any commit, of
`dvc exp run` or of a flow. So DVC is started in a repository of its own, made for the moment, which has this
workspace's remotes and cache and one output: the folder, by the MD5 under which DVC keeps it.
"""

import configparser
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from gpd.registry.dvc_store import read_config, remotes
from gpd.registry.secrets import mask_passwords


def network_remotes(workspace: Path) -> list[str]:
    """Names of the remotes that are reached by a protocol (s3://, ssh://, https://, ..), DVC's default first."""
    config = read_config(workspace)
    default = config.get("core", "remote", fallback="")
    names = [name for name, url in remotes(config).items() if "://" in url]
    return sorted(names, key=lambda name: name != default)


def fetch(md5s: list[str], remote: str, workspace: Path) -> str | None:
    """Brings the folders of these MD5s into the cache, as far as the remote has them. Returns what DVC complained of.

    It does not complain of a folder that the remote does not have.
    """
    with tempfile.TemporaryDirectory(prefix="gpd-dvc-") as folder:
        _make_repository(Path(folder), md5s, workspace)
        words = [sys.executable, "-m", "dvc", "fetch", "--quiet", "--remote", remote]
        done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if done.returncode == 0 else _first_error(done)


def _first_error(done: subprocess.CompletedProcess[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return mask_passwords(errors[0]) if errors else f"dvc ended with status {done.returncode}"


def _make_repository(folder: Path, md5s: list[str], workspace: Path) -> None:
    """The configuration may hold passwords: nobody else may look into `folder`."""
    (folder / ".dvc").mkdir()
    with open(folder / ".dvc/config", "w", encoding="utf-8") as file:
        _config_from_elsewhere(workspace).write(file)
    outputs = [{"md5": md5, "hash": "md5", "path": str(number)} for number, md5 in enumerate(md5s)]
    (folder / "wanted.dvc").write_text(yaml.safe_dump({"outs": outputs}))


def _config_from_elsewhere(workspace: Path) -> configparser.ConfigParser:
    """The workspace's configuration as another repository may read it: its paths are relative to .dvc."""
    config, home = read_config(workspace), (workspace / ".dvc").resolve()
    for section in config.sections():
        for key, value in config[section].items():
            if "://" not in value and (home / value).exists():
                config[section][key] = str(home / value)
    for section, key, value in (("core", "no_scm", "true"), ("cache", "dir", _cache(config, home))):
        if not config.has_section(section):
            config.add_section(section)
        config[section][key] = value
    return config


def _cache(config: configparser.ConfigParser, home: Path) -> str:
    return str(home / config.get("cache", "dir", fallback="cache"))
