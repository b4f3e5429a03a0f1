"""A release on the Hugging Face hub, only when asked for."""

import re
from pathlib import Path

from gpd.artifacts import UserError


def check(repository: str) -> None:
    """Before anything is written: a name that the hub can have, and a way to it.

    Raises:
        UserError: it is no OWNER/NAME, or the hub's client is set offline.
    """
    from huggingface_hub import constants

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        raise UserError(f"--push={repository}: expected OWNER/NAME")
    if constants.HF_HUB_OFFLINE:
        raise UserError(f"--push={repository}: the hub's client is offline (HF_HUB_OFFLINE)")


def upload(folder: Path, repository: str) -> str:
    """Uploads a finished release and returns its address. A repository that is new is private.

    Raises:
        UserError: the hub cannot be reached or refuses; the folder stays as it is.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message="gpd export"))
    except Exception as error:  # noqa: BLE001 - whatever the hub's client raises, the user needs one line
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"--push={repository}: {reason}; the release is complete in {folder}") from None
