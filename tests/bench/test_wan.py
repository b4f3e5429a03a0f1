from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.bench import wan
from gpd.bench.workspace import Request, find_architecture, make_params
from gpd.documents import load_document
from gpd.documents.benchmarks import Benchmark
from tests.workspace import add_pipeline

SIZE = {"frames": 5, "height": 32, "width": 32}


def test_every_part_is_real_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_pipeline(tmp_path)
    monkeypatch.chdir(tmp_path)
    request = Request("tiny-wan", **SIZE, lora_rank=4, iterations=4, work=Path("work"), to=Path("found.json"))
    found = wan.run(request)
    assert load_document(Benchmark, Path("found.json"), "") == found
    names = " ".join(part.name for part in found.parts)
    assert [word in names for word in ("base", "prepare", "encode", "distill", "sample", "export")] == [True] * 6
    assert all(part.seconds > 0 and part.peak_bytes > 0 for part in found.parts)
    assert found.plain_distance < 1e-5
    assert found.setting.tokens == 2 * 2 * 2
    both = {"together": found.guided.together, "apart": found.guided.apart}
    assert both[found.guided.faster] == min(both.values()) > 0
    # Guidance takes two forwards, the student one and its backward counts as two; factors need half a backward.
    assert found.rates.forwards_per_second == pytest.approx(5 / found.iteration.whole)
    per_second = 4 * found.rates.teraflop_per_forward / found.iteration.whole
    assert found.rates.teraflop_per_second == pytest.approx(per_second)
    assert Path("work/data/students/k1/manifest.json").is_file()


def test_on_a_gpu_the_profiles_own_sizes_are_measured() -> None:
    params = make_params(Request("wan2.1-1.3b"), "cuda")
    model, stage = params.model, params.distill.stages["k1"]
    assert (model.num_frames, model.height, model.width, model.grid_steps) == (81, 480, 832, 48)
    assert (stage.batch, stage.iterations, params.distill.lora_rank) == (4, 10, 0)
    assert not model.merge_padding


def test_on_a_cpu_a_batch_is_one_sample_and_few_steps_make_one() -> None:
    params = make_params(Request("wan2.1-1.3b", **SIZE, lora_rank=8), "cpu")
    assert (params.distill.stages["k1"].batch, params.model.grid_steps, params.distill.lora_rank) == (1, 4, 8)
    assert params.model.merge_padding  # 8 tokens of video beside 512 of text
    assert not make_params(Request("wan2.1-1.3b"), "cpu").model.merge_padding


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"--profile='wan3' is not one of tiny-wan, "):
        find_architecture("wan3")
    with pytest.raises(UserError, match=r"num_frames=6 is not 4k \+ 1"):
        make_params(Request("wan2.1-1.3b", frames=6), "cpu")
