import json
import shutil
from pathlib import Path

import pytest
import torch

from gpd import documents
from gpd.artifacts import UserError
from gpd.documents import Probed, StudentFacts
from gpd.models import wan
from gpd.models.adapted import AdaptedModel, is_adapter, load_adapter_document, save_adapted
from gpd.models.families import open_model
from gpd.models.roles import Role
from tests.models.test_roles import STATE, move, wan_roles
from tests.models.wan.states import distance


def write_facts(folder: Path, base: Path) -> None:
    """The manifest of an adapter whose base model lies at `base`."""
    measured = Probed(residual=0.2, rollout_distance=0.2)
    facts = StudentFacts(
        stage="k8",
        horizon=8,
        horizons=[],
        grid_steps=48,
        sampling_steps=6,
        forwards={},
        iterations=1,
        samples_seen=1,
        before=measured,
        after=measured,
        base_path=str(base),
    )
    documents.write_manifest(folder, facts, inputs={}, params={})


@pytest.fixture(scope="module")
def student(small_wan: Path) -> Role:
    """Factors that have left their start."""
    return move(wan_roles(small_wan).begin("student", seed=0))


@pytest.fixture
def adapter(small_wan: Path, student: Role, tmp_path: Path) -> Path:
    """The same in a folder."""
    folder = tmp_path / "k8"
    folder.mkdir()
    save_adapted(open_model(small_wan), folder, student.adapter, grid_steps=48, shift=3.0)
    write_facts(folder, small_wan)
    return folder


def test_an_adapter_opens_as_a_student_on_its_base(adapter: Path, small_wan: Path, student: Role) -> None:
    model, base = open_model(adapter), open_model(small_wan)
    assert isinstance(model, AdaptedModel)
    assert is_adapter(adapter)
    assert not is_adapter(small_wan)
    assert (model.folder, model.geometry, model.text_length) == (adapter, base.geometry, base.text_length)
    assert model.solvers == base.solvers
    network = model.load_network(merge_padding=True)
    assert not any(weight.requires_grad for weight in network.parameters())
    with torch.no_grad():
        assert torch.equal(network(*STATE), student(*STATE))
        assert (model.load_merged()(*STATE) - student(*STATE)).abs().max() < 1e-5


def test_factors_keep_what_weights_in_bfloat16_would_round_away(adapter: Path, small_wan: Path, student: Role) -> None:
    """A change a hundred times smaller than what bfloat16 leaves of the weights."""
    small = wan_roles(small_wan).begin("student", seed=0)
    tensors = {name: 0.02 * weight for name, weight in student.state_dict().items()}
    small.load_state_dict(tensors)
    save_adapted(open_model(small_wan), adapter, small.adapter, grid_steps=48, shift=3.0)
    write_facts(adapter, small_wan)
    base, model = open_model(small_wan).load_network(merge_padding=True), open_model(adapter)
    assert isinstance(model, AdaptedModel)
    half = model.load_network(merge_padding=True)
    matrix = "transformer.blocks.0.attn1.to_q"
    plain, layer = base.get_submodule(matrix).weight, half.bfloat16().get_submodule(matrix)
    change = tensors[f"{matrix}.lora_B.weight"] @ tensors[f"{matrix}.lora_A.weight"]
    merged = (plain + change).bfloat16().float() - plain.bfloat16().float()
    assert distance(layer.get_delta_weight("student").float(), change) < 0.01
    assert distance(merged, change) > 0.5


def test_without_its_base_model_an_adapter_is_refused_in_one_line(
    adapter: Path, small_wan: Path, tmp_path: Path
) -> None:
    content = documents.identify(small_wan).content[:12]
    write_facts(adapter, tmp_path / "gone")
    with pytest.raises(UserError) as missing:
        open_model(adapter)
    assert str(missing.value) == f"{adapter}: an adapter for the base model {content}, which is not at {tmp_path}/gone"

    shutil.copytree(small_wan, tmp_path / "other")
    (tmp_path / "other/note.txt").write_text("of another content")
    other = documents.write_manifest(
        tmp_path / "other", documents.load_manifest(small_wan).facts, inputs={}, params={}
    ).content[:12]
    write_facts(adapter, tmp_path / "other")
    with pytest.raises(UserError) as wrong:
        open_model(adapter)
    assert str(wrong.value) == f"{adapter}: an adapter for the base model {content}; at {tmp_path}/other lies {other}"


def test_the_content_is_that_of_the_factors_and_of_the_bases_identity(adapter: Path, small_wan: Path) -> None:
    manifest = documents.load_manifest(adapter, StudentFacts)
    assert set(manifest.files) == {
        "adapter.json",
        "pytorch_lora_weights.safetensors",
        "scheduler/scheduler_config.json",
    }
    assert load_adapter_document(adapter).base == documents.identify(small_wan)
    write_facts(adapter, Path("elsewhere"))
    assert documents.identify(adapter) == manifest.identity
    document = json.loads((adapter / "adapter.json").read_text())
    (adapter / "adapter.json").write_text(json.dumps(document | {"base": {"kind": "base", "content": "0" * 64}}))
    assert documents.verify(adapter) == ["adapter.json: content changed"]


def test_a_folder_without_an_adapter_is_said_to_have_none(small_wan: Path) -> None:
    with pytest.raises(UserError, match=r"adapter.json: no such file; .* is no adapter"):
        load_adapter_document(small_wan)
    network = wan.load_network(small_wan, merge_padding=True)
    assert not hasattr(network, "peft_config")
