"""A signed release is verified with the public key, and nothing else passes."""

from pathlib import Path

import pytest

from gpd import artifacts, documents
from gpd.artifacts import MANIFEST, SIGNATURE, UserError
from gpd.documents import ReleaseFacts
from gpd.release.signing import check_key, sign, verify

pytest.importorskip("OpenSSL", reason="gpd[sign] is not installed")


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A release and the public key of who signed it."""
    folder, (private, public) = tmp_path / "release", write_keys(tmp_path, "ours")
    artifacts.write_text(folder / "transformer/weights.safetensors", "weights")
    artifacts.write_text(folder / ".gitattributes", "*.safetensors filter=lfs")
    documents.write_manifest(folder, ReleaseFacts(stage="k8", sampling_steps=6, exports=[]), inputs={}, params={})
    sign(folder, private)
    return folder, public


def test_what_was_signed_is_verified_and_is_what_the_manifest_says(signed: tuple[Path, Path]) -> None:
    folder, public = signed
    verify(folder, public)
    assert documents.verify(folder) == []
    before = (folder / SIGNATURE).read_bytes()
    sign(folder, public.with_name("ours.pem"))
    verify(folder, public)
    assert (folder / SIGNATURE).read_bytes() != before, "ECDSA draws a number for each signature"


@pytest.mark.parametrize(
    "name", ["transformer/weights.safetensors", MANIFEST, "transformer/more.bin", ".gitattributes"]
)
def test_no_file_may_be_changed_or_added(signed: tuple[Path, Path], name: str) -> None:
    folder, public = signed
    (folder / name).write_text("another")
    with pytest.raises(UserError, match="not what was signed by the owner of"):
        verify(folder, public)


def test_no_file_may_go(signed: tuple[Path, Path]) -> None:
    folder, public = signed
    (folder / "transformer/weights.safetensors").unlink()
    with pytest.raises(UserError, match="not what was signed"):
        verify(folder, public)


def test_another_key_a_damaged_signature_and_none_are_refused(signed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, public = signed
    private, other = write_keys(tmp_path, "theirs")
    with pytest.raises(UserError, match="not what was signed"):
        verify(folder, other)
    (folder / SIGNATURE).write_text("{}")
    with pytest.raises(UserError, match="not what was signed"):
        verify(folder, public)
    (folder / SIGNATURE).unlink()
    with pytest.raises(UserError, match=r"not signed \(model\.sig is missing\)"):
        verify(folder, public)
    sign(folder, private)
    with pytest.raises(UserError, match="not what was signed"):
        verify(folder, public)


def test_a_key_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN NOTHING-----")
    with pytest.raises(UserError, match=r"key\.pem: no private key of an elliptic curve"):
        check_key(path)
    with pytest.raises(FileNotFoundError):
        check_key(tmp_path / "none.pem")
