"""Every format is read back by its readers; what they would drop in silence is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gpd.artifacts import UserError, hash_json
from gpd.models.adapters import WEIGHTS_FILE
from gpd.release.factors import add, extract
from gpd.release.formats import FORMATS, Source
from gpd.release.formats.format import share_lost
from gpd.release.student import Student
from tests.release.conftest import RANK

LORAS = ("lora", "lora-native")


def header(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata())


def resave(path: Path, change) -> Path:  # type: ignore[no-untyped-def]
    """The same file with its tensors changed by `change(tensors)`."""
    metadata, tensors = header(path), load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=metadata)
    return path


@pytest.mark.parametrize("name", ["diffusers", "native"])
def test_full_weights_come_back_to_the_last_bit(full: Student, name: str, tmp_path: Path) -> None:
    exported = FORMATS[name].export(Source(full), tmp_path, None)
    found = FORMATS[name].read(Source(full), tmp_path / exported.path)
    assert exported.lost == 0.0
    assert all(torch.equal(found[key], weight) for key, weight in full.weights.items())


@pytest.mark.parametrize("name", ["diffusers", "native"])
def test_full_weights_in_bfloat16_keep_wans_float32(full: Student, name: str, tmp_path: Path) -> None:
    exported = FORMATS[name].export(Source(full), tmp_path, "bf16")
    files = [tmp_path / exported.path] if name == "native" else list((tmp_path / "transformer").glob("*.safetensors"))
    tensors = {key: tensor for file in files for key, tensor in load_file(file).items()}
    kept = [key for key in tensors if "modulation" in key or "scale_shift_table" in key or "time_embedd" in key]
    assert kept
    assert {tensors[key].dtype for key in kept} == {torch.float32}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32, torch.bfloat16}
    assert exported.lost is not None
    assert 0.001 < exported.lost < 0.2  # a change of 2 % against steps of .2 to .4 %


def test_a_pipeline_shares_no_file_with_the_student(full: Student, tmp_path: Path) -> None:
    FORMATS["diffusers"].export(Source(full), tmp_path, None)
    assert {path.stat().st_nlink for path in tmp_path.rglob("*") if path.is_file()} == {1}


@pytest.mark.parametrize("name", LORAS)
def test_extracted_factors_are_the_student_if_its_change_has_that_rank(low: Student, name: str, tmp_path: Path) -> None:
    exported = FORMATS[name].export(Source(low, RANK), tmp_path, "fp32")
    found = FORMATS[name].read(Source(low), tmp_path / exported.path)
    assert exported.rank == RANK
    assert exported.lost is not None
    assert exported.lost < 1e-5
    assert all(torch.allclose(found[key], weight, atol=1e-6) for key, weight in low.weights.items())


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_adapter_has_every_format_and_each_is_the_student(adapted: Student, name: str, tmp_path: Path) -> None:
    exported = FORMATS[name].export(Source(adapted), tmp_path, "fp32")
    found = FORMATS[name].read(Source(adapted), tmp_path / exported.path)
    assert exported.lost is not None
    assert exported.lost < 1e-6
    assert exported.rank == (RANK if name in LORAS else None)
    assert all(torch.allclose(found[key], weight, atol=1e-6) for key, weight in adapted.weights.items())


def test_the_factors_of_an_adapter_are_passed_on_bit_for_bit(adapted: Student, tmp_path: Path) -> None:
    ours = load_file(adapted.folder / WEIGHTS_FILE)
    theirs = load_file(tmp_path / FORMATS["lora"].export(Source(adapted), tmp_path, "fp32").path)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], tensor) for key, tensor in ours.items())


def test_factors_are_not_extracted_from_factors(adapted: Student, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--rank=1: k4 has factors of its own"):
        FORMATS["lora"].export(Source(adapted, 1), tmp_path, None)


@pytest.mark.parametrize("name", LORAS)
def test_a_bfloat16_lora_loses_a_third_of_a_percent(low: Student, name: str, tmp_path: Path) -> None:
    exported = FORMATS[name].export(Source(low, RANK), tmp_path, None)
    assert exported.dtype == "bf16"
    assert exported.path.startswith("small_wan_gpd_2step_lora_rank2_bf16")
    assert exported.lost is not None
    assert 1e-4 < exported.lost < 5e-3


def test_what_a_lower_rank_loses_is_stated(low: Student, tmp_path: Path) -> None:
    """Of a change with singular values s, rank 1 keeps the first: the rest is sqrt(sum s_2^2 / sum s^2)."""
    changes = [low.weights[f"{layer}.weight"] - low.base_weights[f"{layer}.weight"] for layer in blocks(low)]
    squares = torch.stack([torch.linalg.svdvals(change)[:RANK].double().square() for change in changes])
    exported = FORMATS["lora"].export(Source(low, 1), tmp_path, "fp32")
    assert exported.lost == pytest.approx(float((squares[:, 1].sum() / squares.sum()).sqrt()), rel=0.01)


def blocks(student: Student) -> list[str]:
    return list(extract(student.weights, student.base_weights, 1))


@pytest.mark.parametrize("name", LORAS)
def test_a_student_of_full_weights_has_no_lora_unless_asked(full: Student, name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--format {name}: k4 trained all weights; --rank R"):
        FORMATS[name].export(Source(full), tmp_path, None)


def test_a_rank_that_no_matrix_has_is_refused(low: Student, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--rank=999: blocks\.0\.\S+ is \[\d+, \d+\], of rank \d+ at most"):
        FORMATS["lora"].export(Source(low, 999), tmp_path, None)


def test_float16_that_overflows_is_refused(full: Student, tmp_path: Path) -> None:
    large = {name: weight * 1e6 for name, weight in full.weights.items()}
    student = Student(full.folder, full.manifest, full.base)
    student.__dict__["weights"] = large
    with pytest.raises(UserError, match=r"--dtype=fp16: .* not finite"):
        FORMATS["native"].export(Source(student), tmp_path, "fp16")


# --- traps


def test_alpha_is_the_rank_so_that_a_reader_without_it_finds_the_same(low: Student, tmp_path: Path) -> None:
    """A missing alpha means a scale of 1."""
    native = FORMATS["lora-native"]
    path = tmp_path / native.export(Source(low, RANK), tmp_path, "fp32").path
    before = native.read(Source(low), path)
    alphas = {key: tensor for key, tensor in load_file(path).items() if key.endswith(".alpha")}
    assert len(alphas) == len(blocks(low))
    assert {float(alpha) for alpha in alphas.values()} == {float(RANK)}
    assert {alpha.shape for alpha in alphas.values()} == {torch.Size([])}
    resave(path, lambda tensors: [tensors.pop(key) for key in alphas])
    after = native.read(Source(low), path)
    assert all(torch.allclose(after[key], weight, atol=1e-6) for key, weight in before.items())


def test_a_native_lora_has_every_matrix_of_every_block(low: Student, tmp_path: Path) -> None:
    """Converters ask for q, k, v, o and both layers of the feed-forward net of each block."""
    source = Source(low, RANK)
    full_adapter = source.adapter
    assert full_adapter is not None
    part = {layer: factors for layer, factors in full_adapter.items() if "attn1.to_q" in layer}
    source.__dict__["adapter"] = part
    native = FORMATS["lora-native"]
    path = tmp_path / native.export(source, tmp_path, "fp32").path
    keys = set(load_file(path))
    for block in (0, 1):
        for layer in (*(f"{kind}_attn.{one}" for kind in ("self", "cross") for one in "qkvo"), "ffn.0", "ffn.2"):
            stem = f"diffusion_model.blocks.{block}.{layer}"
            assert {f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"} <= keys
    assert len(keys) == 2 * 10 * 3
    found = native.read(source, path)
    expected = add(low.base_weights, part)
    assert all(torch.allclose(found[key], weight, atol=1e-6) for key, weight in expected.items())


@pytest.mark.parametrize("name", LORAS)
def test_a_key_that_the_reader_drops_in_silence_is_seen(low: Student, name: str, tmp_path: Path) -> None:
    one, source = FORMATS[name], Source(low, RANK)
    path = tmp_path / one.export(source, tmp_path, "fp32").path

    def misname(tensors: dict[str, torch.Tensor]) -> None:
        """As diffusers drops them: a layer that is not there, a difference of a norm's weight."""
        for key in [key for key in tensors if ".0.attn2.to_k." in key or ".0.cross_attn.k." in key]:
            tensor = tensors.pop(key)
            if "to_k" in key:
                tensors[key.replace("to_k", "to_kk")] = tensor
            elif "down" in key:
                tensors["diffusion_model.blocks.0.cross_attn.norm_k.diff"] = tensor

    found = one.read(source, resave(path, misname))
    with pytest.raises(UserError, match=r"read back, blocks\.0\.attn2\.to_k\.weight is not what was written"):
        one.compare(source, found, one.expect(source, "fp32"))


def test_an_adapter_of_another_model_is_refused(low: Student, tmp_path: Path) -> None:
    source = Source(low, RANK)
    adapter = source.adapter
    assert adapter is not None
    source.__dict__["adapter"] = {"blocks.7.attn1.to_q": adapter["blocks.0.attn1.to_q"]}
    for name in LORAS:
        with pytest.raises(UserError, match=r"adapter: blocks\.7\.attn1\.to_q changes .* it is not there"):
            FORMATS[name].export(source, tmp_path, None)


# --- headers


@pytest.mark.parametrize("name", [*LORAS, "native"])
def test_the_header_has_lineage_and_sampling(low: Student, name: str, tmp_path: Path) -> None:
    found = header(tmp_path / FORMATS[name].export(Source(low, RANK), tmp_path, None).path)
    assert found["gpd.student"] == low.manifest.content
    assert found["gpd.base"] == low.base_identity.content
    assert found["gpd.params"] == hash_json(low.manifest.params)
    assert found["gpd.steps"] == "2"
    assert json.loads(found["gpd.sigmas"]) == pytest.approx([1.0, 0.75, 0.0], abs=1e-3)  # 3 / (1 + 2 * .5) * .5
    assert found["gpd.guidance_scale"] == "1.0"
    assert found["modelspec.architecture"] == ("wan2.1" if name == "native" else "wan2.1/lora")
    assert found["modelspec.license"] == "apache-2.0"


def test_peft_finds_its_settings_in_the_header(low: Student, tmp_path: Path) -> None:
    found = header(tmp_path / FORMATS["lora"].export(Source(low, RANK), tmp_path, None).path)
    settings = json.loads(found["lora_adapter_metadata"])
    assert settings["transformer.r"] == settings["transformer.lora_alpha"] == RANK
    assert settings["transformer.target_modules"] == sorted(blocks(low))


def test_equal_exports_have_equal_bytes(low: Student, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    paths = [
        tmp_path / name / FORMATS["native"].export(Source(low), tmp_path / name, None).path for name in ("one", "two")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nothing_is_lost_of_a_student_that_is_its_base(low: Student) -> None:
    student = Student(low.folder, low.manifest, low.base)
    student.__dict__["weights"] = low.base_weights
    assert share_lost(student, low.base_weights) == 0.0
