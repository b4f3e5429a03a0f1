"""A release's signature, by OpenSSF's model-signing: who has made these files, and that none is another, more or gone.

    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    openssl ec -in key.pem -pubout -out public.pem

The signature covers every file of the folder and the manifest. Keys of elliptic curves in files, and nothing else: no
network, no account. https://github.com/sigstore/model-transparency
"""

from pathlib import Path
from types import ModuleType
from typing import Any

from gpd.artifacts import SIGNATURE, UserError

INSTALL = "pip install 'gpd[sign]'"


def check_key(key: Path) -> None:
    """Refuses a private key before anything is written.

    Raises:
        UserError: it is none, has a password or is of another curve; or model-signing is not installed.
    """
    _signer(key)


def sign(folder: Path, key: Path) -> None:
    """Writes the signature into a folder that is complete.

    Args:
        key: a private key of an elliptic curve, PEM.

    Raises:
        UserError: what `check_key` refuses.
    """
    _signer(key).set_hashing_config(_hashing()).sign(folder, folder / SIGNATURE)


def verify(folder: Path, key: Path) -> None:
    """Refuses a folder that is not what was signed with the private key of this public one.

    Raises:
        UserError: there is no signature or it is another's; a file was changed, added or removed; the key is none.
    """
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise UserError(f"{folder}: not signed ({SIGNATURE} is missing)")
    config = _library().verifying.Config()
    try:
        config.use_elliptic_key_verifier(public_key=key)
    except (ValueError, TypeError, AttributeError) as error:
        raise _not_a_key(key, "public", error) from None
    try:
        config.set_hashing_config(_hashing()).verify(folder, signature)
    except Exception as error:  # noqa: BLE001 - whatever the library raises: what is not verified is refused
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{folder}: not what was signed by the owner of {key}: {reason:.300}") from None


def _signer(key: Path) -> Any:
    try:
        return _library().signing.Config().use_elliptic_key_signer(private_key=key)
    except (ValueError, TypeError, AttributeError) as error:
        raise _not_a_key(key, "private", error) from None


def _hashing() -> Any:
    """All files but the signature; git's too, since a loader would read them like others."""
    return _library().hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _not_a_key(key: Path, kind: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(
        f"{key}: no {kind} key of an elliptic curve (PEM, P-256, P-384 or P-521, no password): {reason:.120}"
    )


def _library() -> ModuleType:
    try:
        import model_signing
        from model_signing import hashing, signing, verifying  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"--sign: {error.name} is not installed; {INSTALL}") from None
    return model_signing
