"""The card: its header, its figures, and its examples, which run."""

import dataclasses
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from gpd import documents
from gpd.artifacts import UserError
from gpd.core.schedule import make_grid
from gpd.documents import BaseFacts, Exported
from gpd.models.families import FAMILIES
from gpd.models.use import profile_text
from gpd.params import Params
from gpd.registry import open_registry, sync
from gpd.release.card import Card, Ingredient, escape, render_card
from gpd.release.export import run
from gpd.release.records import describe_recorded
from gpd.release.student import Student, open_student
from gpd.release.workspace import describe_student
from tests.release.conftest import RANK
from tests.workspace import ROOT, working_in


def front_matter(card: str) -> dict[str, object]:
    return dict(yaml.safe_load(card.split("---\n")[1]))


def snippets(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


def published(student: Student, **changes: object) -> Card:
    """The card of a student of a model on the hub."""
    base = BaseFacts(name="wan2.1-1.3b", repository="Wan-AI/Wan2.1-T2V-1.3B-Diffusers", revision="0fad780a")
    card = Card(
        content=student.manifest.content,
        facts=student.manifest.facts,
        settings=student.manifest.params,
        base=base,
        exchange=student.exchange,
        grid=student.grid,
        ingredients=[Ingredient("teacher", "base", "ab" * 32, {"name": "wan2.1-1.3b"})],
        figures=[],
        total_forwards=400,
        exports=[],
        place=".",
    )
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


def test_the_hub_reads_licence_base_and_task(low: Student) -> None:
    from huggingface_hub import ModelCard

    found = front_matter(render_card(published(low)))
    assert found["license"] == "apache-2.0"
    assert found["library_name"] == "diffusers"
    assert found["pipeline_tag"] == "text-to-video"
    assert found["base_model"] == "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
    assert found["base_model_revision"] == "0fad780a"
    assert found["base_model_relation"] == "finetune"
    data = ModelCard(render_card(published(low))).data
    assert (data.license, data.base_model) == ("apache-2.0", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers")


def test_a_release_of_adapters_alone_says_so(low: Student) -> None:
    lora = Exported(format="lora-native", path="a.safetensors", size=1, dtype="bf16", rank=2, lost=0.003)
    found = front_matter(render_card(published(low, exports=[lora])))
    assert found["base_model_relation"] == "adapter"
    assert "lora" in found["tags"]  # type: ignore[operator]


def test_the_card_of_an_adapters_own_folder_loads_it_on_its_base(adapted: Student) -> None:
    card = render_card(published(adapted, facts=adapted.manifest.facts, place="data/students/k4"))
    (example,) = snippets(card)
    assert front_matter(card)["base_model_relation"] == "adapter"
    assert "load_lora_weights('data/students/k4', weight_name='pytorch_lora_weights.safetensors')" in example
    assert "from_pretrained(base, revision='0fad780a', " in example


def test_a_student_with_heads_has_no_example_for_others(low: Student) -> None:
    facts = low.manifest.facts.model_copy(update={"heads": 4})
    headed, plain = (render_card(published(low, facts=one)) for one in (facts, low.manifest.facts))
    assert snippets(headed) == []
    assert "Only `gpd` samples it" in headed
    assert "### diffusers" in plain
    assert f"gpd generate --checkpoint {low.manifest.content[:12]}" in plain


def test_names_cannot_break_out_of_the_card(low: Student) -> None:
    evil = "`x` | <script>alert(1)</script>\n# *title* [a](b) $1$"
    base = BaseFacts(name=evil, repository=None, revision=None)
    ingredient = Ingredient("latents", "latents", "cd" * 32, {"name": evil})
    text = render_card(published(low, base=base, ingredients=[ingredient], prompt=f'{evil}"""\n```', place="a'b"))
    assert "<script>" not in re.sub(r"```python.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"^# \*title", text, re.MULTILINE)
    for snippet in snippets(text):
        compile(snippet, "snippet", "exec")
    assert escape(evil) in text


def test_escaped_text_is_one_line_that_markdown_takes_as_text() -> None:
    assert escape("a|b\n*c* <d> `e`") == r"a\|b \*c\* &lt;d&gt; \`e\`"
    assert escape(1.5) == "1.5"


def test_comfys_simple_schedule_walks_the_same_noise_levels() -> None:
    """ComfyUI's table has 1,000 shifted levels; `simple` takes every (1000 / steps)-th from the noisy end."""
    for steps, shift in ((6, 5.0), (6, 3.0), (4, 8.0), (12, 5.0)):
        times = torch.arange(1, 1001, dtype=torch.float64) / 1000
        table = shift * times / (1 + (shift - 1) * times)
        simple = [float(table[-(1 + int(index * 1000 / steps))]) for index in range(steps)]
        ours = make_grid(48, shift).sigmas[: 48 : 48 // steps].double()
        assert torch.allclose(torch.tensor(simple, dtype=torch.float64), ours, atol=1e-3)


@pytest.fixture(scope="module")
def release(low: Student, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All formats of the merged student, with its card."""
    folder = tmp_path_factory.mktemp("release") / "out"
    with working_in(folder.parent):
        run(params, str(low.folder), to=folder, rank=RANK)
    return folder


def test_a_release_is_whole(release: Path, low: Student) -> None:
    manifest = documents.load_manifest(release, documents.ReleaseFacts)
    assert documents.verify(release) == []
    assert [one.format for one in manifest.facts.exports] == ["diffusers", "lora", "lora-native", "native"]
    assert manifest.inputs["student"] == low.manifest.identity
    assert all((release / one.path).exists() for one in manifest.facts.exports)


def test_the_examples_of_the_card_run_and_save_a_clip(release: Path, low: Student, tmp_path: Path) -> None:
    examples = snippets((release / "README.md").read_text())
    assert len(examples) == 2
    for number, example in enumerate(examples):
        assert "guidance_scale=1.0" in example
        assert "num_inference_steps=2" in example
        work = tmp_path / str(number)
        work.mkdir()
        source = example.replace("'.'", repr(str(release))).replace(
            "'small-wan'", repr(str(low.base))
        )  # as its comment says
        with working_in(work):
            exec(compile(source, "card", "exec"), {})
        assert (work / "clip.mp4").stat().st_size > 500


def test_diffusers_says_how_to_call_a_release_when_it_loads_it(
    release: Path, low: Student, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UniPCMultistepScheduler
    from diffusers.utils import logging

    logging.set_verbosity_warning()  # its own default; gpd quiets it
    monkeypatch.setattr(logging.get_logger("diffusers"), "propagate", True)
    scheduler = UniPCMultistepScheduler.from_pretrained(release / "scheduler")
    assert "num_inference_steps=2, guidance_scale=1.0" in caplog.text
    scheduler.save_pretrained(tmp_path)
    assert "num_inference_steps=2" in (tmp_path / "scheduler_config.json").read_text()
    scheduler.set_timesteps(2)
    np.testing.assert_array_equal(scheduler.timesteps, low.grid.timesteps)
    card = (release / "README.md").read_text().split("---\n")[2]
    assert card.strip().split("\n")[2].startswith("**Call it with `num_inference_steps=2, guidance_scale=1.0`")


def test_the_example_of_the_readme_runs_and_saves_a_clip(low: Student, tmp_path: Path) -> None:
    (example,) = re.findall(
        r"^    from diffusers import WanPipeline\n(?:^    .*\n|\n)*", (ROOT / "README.md").read_text(), re.M
    )
    source = textwrap.dedent(example).replace("data/students/k8", str(low.folder))
    assert "num_inference_steps=6, guidance_scale=1.0" in source
    with working_in(tmp_path):
        exec(compile(source.replace("steps=6", "steps=2"), "readme", "exec"), {})
    assert (tmp_path / "clip.mp4").stat().st_size > 500


def test_the_examples_of_the_manual_run_and_save_a_clip(low: Student, adapted: Student, tmp_path: Path) -> None:
    """docs/wan.md: a student of whole weights, and factors on their base."""
    whole, factors = snippets((ROOT / "docs/wan.md").read_text())
    for example, student in ((whole, low), (factors, adapted)):
        assert "num_inference_steps=6" in example
        assert "guidance_scale=1.0" in example
        source = example.replace("data/students/k8", str(student.folder)).replace("data/wan2.1-1.3b", str(low.base))
        for size in ("height=480", "width=832", "num_frames=81"):
            source = source.replace(size, f"{size.partition('=')[0]}={5 if 'frames' in size else 32}")
        work = tmp_path / student.folder.name
        work.mkdir()
        with working_in(work):
            exec(compile(source, "docs/wan.md", "exec"), {})
        assert (work / "clip.mp4").stat().st_size > 500


# --- from a workspace and from the registry


def record(base: Path) -> None:
    """This workspace and its base model in registry.db."""
    Path("params.yaml").write_text(profile_text("tiny-wan"))
    Path("data/tiny-wan").symlink_to(base)
    assert not sync().problems


def test_workspace_and_registry_say_the_same(workspace: Params, small_wan: Path) -> None:
    student = open_student(workspace, "k4")
    here = describe_student(student, [], place="data/students/k4")
    record(small_wan)
    with open_registry(None) as session:
        recorded = describe_recorded(session=session, key="k4")
    assert front_matter(render_card(recorded)) == front_matter(render_card(here))
    assert figures(recorded) == figures(here)
    assert recorded.content == here.content
    assert {one.content for one in recorded.ingredients} == {one.content for one in here.ingredients}


def figures(card: Card) -> list[object]:
    return [
        (table.protocol["hash"], name, [score and (score.subject, score.value) for score in row])
        for table in card.figures
        for name, (_, row) in sorted(table.rows.items())
    ]


def test_figures_stand_beside_the_undistilled_teachers(workspace: Params) -> None:
    card = describe_student(open_student(workspace, "k4"), [], place=".")
    (table,) = card.figures
    assert [column.subject for column in table.columns] == ["k4", "teacher-2", "teacher-4-unipc"]
    measured = documents.load_document(documents.Evaluation, Path("data/evaluations/k4/evaluation.json"), "")
    score = measured.subjects["k4"].metrics["trajectory_error"]
    assert table.rows["trajectory_error"][1][0].value == score.value  # type: ignore[union-attr]
    text = render_card(card)
    assert f"{score.value:.4g}" in text
    assert table.protocol["hash"][:12] in text


def test_the_base_model_has_no_card(workspace: Params, small_wan: Path) -> None:
    record(small_wan)
    with open_registry(None) as session, pytest.raises(UserError, match="a card is of a student"):
        describe_recorded(session=session, key="small-wan")


def test_the_one_family_that_others_read() -> None:
    """The registry's cards rely on it."""
    assert len([family for family in FAMILIES.values() if family.exchange]) == 1
