"""`gpd use PROFILE`: writes the params.yaml of a model."""

from importlib import resources
from pathlib import Path

from gpd.artifacts import UserError, write_text
from gpd.models.folders import INDEX
from gpd.params import PARAMS_FILE, Hub, load_params

FOLDER = resources.files("gpd.models") / "profiles"
PROFILES = sorted(file.name.removesuffix(".yaml") for file in FOLDER.iterdir() if file.name.endswith(".yaml"))
PROFILE_FILES = {name: FOLDER / f"{name}.yaml" for name in PROFILES}

NOTE = "README.md"  # in a folder that waits for weights or prompts
NEEDS_WEIGHTS = """The weights of this model belong in this folder, in diffusers format:
model_index.json and beside it a folder for each part that it names (transformer/, vae/, ..).

`gpd fetch` downloads them: {repository} at revision {revision}.
Or copy a local folder of that model here and run `gpd fetch`, which then only writes manifest.json.
"""
NEEDS_PROMPTS = (
    "Put into it prompts.txt (one a line) or prompts.jsonl; if you have them evaluation.txt, prompts that are never "
    "trained on, and clips/ with captions.jsonl. Or name another folder in params.yaml: prepare.source\n"
)


def run(profile: str) -> None:
    """Writes params.yaml; the one that was there is kept as params.yaml.old if it is of no profile.

    Raises:
        UserError: there is no such profile.
    """
    if profile not in PROFILES:
        raise UserError(f"use: profile={profile!r} is not one of {', '.join(PROFILES)}")
    if PARAMS_FILE.exists() and PARAMS_FILE.read_text(encoding="utf-8") not in map(profile_text, PROFILES):
        PARAMS_FILE.replace(PARAMS_FILE.with_suffix(".yaml.old"))
        print(f"use: your {PARAMS_FILE} is kept as {PARAMS_FILE}.old")
    write_text(PARAMS_FILE, profile_text(profile))
    params = load_params()
    print(f"use: {PARAMS_FILE} is now the profile {profile}")
    folder = Path(params.model.path)
    if params.model.hub and not (folder / INDEX).exists():
        hub = params.model.hub
        # DVC needs its dependencies to exist: the folder is made now, with a note of what belongs in it
        write_text(folder / NOTE, note_for(hub))
        print(f"use: {folder} waits for weights; run `gpd fetch` ({hub.repository} at {hub.revision})")
    source = Path(params.prepare.source)
    if not source.is_dir():
        write_text(source / NOTE, NEEDS_PROMPTS)
        print(f"use: {source} (prepare.source) waits for prompts. {NEEDS_PROMPTS}", end="")


def note_for(hub: Hub) -> str:
    """What belongs in the folder."""
    return NEEDS_WEIGHTS.format(repository=hub.repository, revision=hub.revision)


def profile_text(profile: str) -> str:
    """The params.yaml that comes with gpd for a profile."""
    return (FOLDER / f"{profile}.yaml").read_text(encoding="utf-8")
