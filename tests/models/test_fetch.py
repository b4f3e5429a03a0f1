import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.models import fetch, use
from gpd.models.families import open_model
from gpd.params import Hub, Params, load_params

PROFILE = Path(__file__).parents[2] / "gpd" / "models" / "profiles" / "tiny-wan.yaml"
HUB = Hub(repository="nobody/nothing", revision="0" * 40)


def params_for(folder: Path, hub: Hub | None = None) -> Params:
    params = load_params(PROFILE)
    return params.model_copy(update={"model": params.model.model_copy(update={"path": str(folder), "hub": hub})})


@pytest.fixture
def model(small_wan: Path, tmp_path: Path) -> Path:
    """A local copy of a model, as a user would put it there: without our manifest."""
    folder = tmp_path / "model"
    shutil.copytree(small_wan, folder)
    (folder / artifacts.MANIFEST).unlink()
    return folder


def test_a_local_folder_gets_its_manifest(model: Path, small_wan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.run(params_for(model))
    assert "is complete" in capsys.readouterr().out
    assert documents.load_manifest(model, documents.BaseFacts).content == documents.load_manifest(small_wan).content
    fetch.run(params_for(model))


def test_changed_weights_are_named(model: Path) -> None:
    fetch.run(params_for(model))
    file = model / "vae" / "config.json"
    file.write_text(file.read_text() + " ")
    with pytest.raises(UserError, match=r"vae/config\.json: damaged: its SHA-256 is \w{64}, expected \w{64};"):
        fetch.run(params_for(model))


def test_an_incomplete_folder_gets_no_manifest(model: Path) -> None:
    shutil.rmtree(model / "transformer")
    with pytest.raises(UserError, match=r"transformer: missing"):
        fetch.run(params_for(model))
    assert not (model / artifacts.MANIFEST).exists()


def test_a_model_of_another_family_gets_no_manifest(model: Path) -> None:
    (model / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UserError, match=r"model_index\.json: _class_name='FluxPipeline'"):
        fetch.run(params_for(model))
    assert not (model / artifacts.MANIFEST).exists()


def test_sizes_are_checked_against_the_model(model: Path) -> None:
    params = params_for(model)
    odd = params.model_copy(update={"model": params.model.model_copy(update={"num_frames": 18})})
    with pytest.raises(UserError, match=r"model: num_frames=18 is not 4k \+ 1"):
        fetch.run(odd)


@pytest.mark.parametrize(
    ("hub", "message"), [(None, "model.hub names none"), (HUB, "'nobody/nothing': the download failed")]
)
@pytest.mark.parametrize("exists", [True, False])
def test_no_weights_and_none_to_be_had(tmp_path: Path, hub: Hub | None, message: str, exists: bool) -> None:
    """The suite runs with the hub switched off; its client then returns an existing folder without an error."""
    folder = tmp_path / "nothing"
    if exists:
        folder.mkdir()
        (folder / "README.md").write_text("waits for weights")
    with pytest.raises(UserError, match=message):
        fetch.run(params_for(folder, hub))
    assert not (folder / artifacts.MANIFEST).exists()


def test_the_miniature_does_not_pass_as_the_large_model(model: Path) -> None:
    hub = Hub(repository="Wan-AI/Wan2.1-T2V-1.3B-Diffusers", revision="0" * 40)
    with pytest.raises(
        UserError, match=r"transformer/config\.json: attention_head_dim=32, but Wan2\.1-T2V-1\.3B has 128"
    ):
        fetch.run(params_for(model, hub))
    assert not (model / artifacts.MANIFEST).exists()


def test_weights_that_are_not_there_get_no_manifest(model: Path) -> None:
    next((model / "transformer").glob("*.safetensors")).unlink()
    with pytest.raises(UserError, match=r"transformer: no weights"):
        fetch.run(params_for(model))
    with pytest.raises(UserError, match=r"the download failed .*transformer: no weights"):  # goes on with a download
        fetch.run(params_for(model, HUB))
    assert not (model / artifacts.MANIFEST).exists()


def test_what_differs_between_two_downloads_is_not_part_of_the_model(model: Path) -> None:
    fetch.run(params_for(model, HUB))
    once = documents.load_manifest(model).content
    (model / artifacts.MANIFEST).unlink()
    notes = model / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    (notes / "model_index.json.metadata").write_text("0123\n1764118000.5\n")
    (model / use.NOTE).write_text(use.note_for(HUB))
    fetch.run(params_for(model, HUB))
    assert documents.load_manifest(model).content == once
    assert not (model / ".cache").exists()


class HubWithoutRevision(BaseHTTPRequestHandler):
    """A hub on this machine that has every repository and no revision."""

    def do_HEAD(self) -> None:
        """Answers as the hub does."""
        self.send_response(404)
        self.send_header("X-Error-Code", "RevisionNotFound")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


def test_a_revision_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with ThreadingHTTPServer(("127.0.0.1", 0), HubWithoutRevision) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{hub.server_port}"
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        with pytest.raises(UserError, match=r"model.hub.revision='0+': nobody/nothing has none such"):
            fetch.run(params_for(tmp_path / "nothing", HUB))
        hub.shutdown()


def note_commit(model: Path, commit: str, seconds: float = 2e9) -> None:
    """As the hub's client notes a download, at a time."""
    for file in model.glob("*/*.safetensors"):
        note = model / ".cache/huggingface/download" / f"{file.relative_to(model)}.metadata"
        artifacts.write_text(note, f"{commit}\n{'0' * 64}\n{seconds}\n")


def revision_of(model: Path) -> tuple[str | None, str | None]:
    facts = documents.load_manifest(model, documents.BaseFacts).facts
    return facts.repository, facts.revision


def test_a_copy_of_unknown_origin_does_not_get_the_hubs_revision(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch.run(params_for(model, HUB))
    assert "no record of its download" in capsys.readouterr().out
    assert revision_of(model) == (None, None)
    fetch.run(params_for(model, HUB))


def test_a_download_has_the_revision_that_its_notes_prove(model: Path) -> None:
    note_commit(model, HUB.revision)
    fetch.run(params_for(model, HUB))
    assert revision_of(model) == (HUB.repository, HUB.revision)


def test_a_file_that_was_changed_after_its_download_proves_nothing(model: Path) -> None:
    note_commit(model, HUB.revision, seconds=1.0)
    fetch.run(params_for(model, HUB))
    assert revision_of(model) == (None, None)


def test_a_download_of_another_revision_is_refused(model: Path) -> None:
    note_commit(model, "2" * 40)
    with pytest.raises(UserError, match=r"huggingface: of revision 2+, params\.yaml: model\.hub\.revision='0+'"):
        fetch.run(params_for(model, HUB))
    assert not (model / artifacts.MANIFEST).exists()


def test_the_authors_own_layout_is_recognised_and_never_loaded(tmp_path: Path) -> None:
    """Wan's repository: a transformer in safetensors, text encoder and VAE as pickles."""
    for name in ("Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth", "diffusion_pytorch_model.safetensors"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UserError, match=r"Wan2.1_VAE.pth: the authors' own layout, .* pickles; .*`gpd fetch`"):
        fetch.run(params_for(tmp_path, HUB))
    with pytest.raises(UserError, match=r"the authors' own layout"):
        open_model(tmp_path)


def test_a_folder_of_another_revision_is_refused(model: Path) -> None:
    note_commit(model, HUB.revision)
    fetch.run(params_for(model, HUB))
    with pytest.raises(UserError, match=r"of revision 0+, params\.yaml: model\.hub\.revision='1+'"):
        fetch.run(params_for(model, HUB.model_copy(update={"revision": "1" * 40})))
