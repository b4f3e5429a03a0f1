import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.clips import load_whole_clip, write_mp4
from gpd.documents import MadeClip, StudentFacts
from gpd.models.network import StepEmbedding, save_steps
from gpd.params import Params
from gpd.sampling import generate
from gpd.sampling.generator import load
from gpd.sampling.options import Options

OUT = Path("out/clip.mp4")
PROMPT = "a red circle"


def run(params: Params, *prompts: str, **changes: Any) -> None:
    generate.run(params, prompts=prompts or [PROMPT], **{"out": OUT} | changes)


def note(path: Path = OUT) -> MadeClip:
    return documents.load_document(MadeClip, path.with_suffix(".json"), "")


def test_last_student_by_default(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    run(workspace)
    assert capsys.readouterr().out.strip() == "generate: k4, 2 forwards, seed 0 -> out/clip.mp4"
    assert load_whole_clip(OUT).frames.shape == (5, 64, 64, 3)


def test_the_json_beside_a_clip_makes_it_again(workspace: Params) -> None:
    run(workspace, seeds=[3])
    made = note()
    assert made.checkpoint == documents.identify(Path("data/students/k4")).content
    assert (made.subject, made.steps, made.forwards, made.guidance_scale) == ("k4", 2, 2, 1.0)
    generator = load(workspace, Path("data/students/k4"), Options(num_frames=made.num_frames, height=made.height))
    write_mp4(Path("again.mp4"), generator.make([made.prompt], made.seed)[0], made.frames_per_second)
    assert Path("again.mp4").read_bytes() == OUT.read_bytes()


def test_what_is_written_of_a_checkpoint_is_how_it_is_sampled(workspace: Params) -> None:
    for folder, options in (
        (Path("data/students/k4"), Options()),
        (Path(workspace.model.path), Options(steps=3, guidance_scale=1.0)),
        (Path(workspace.model.path), Options(guidance_scale=2.5, negative_prompt="blurred")),
    ):
        made, subject = options.describe(workspace, folder), load(workspace, folder, options).subject
        assert (made.subject, made.steps, made.forwards) == (subject.name, subject.grid.num_steps, subject.forwards)
        assert (made.guidance_scale, made.shift) == (subject.guidance_scale, subject.shift)


def test_a_clip_for_each_prompt_and_seed_under_names_that_sort(
    workspace: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("more.txt").write_text("a blue square moves up\n\na green cross\n")
    run(workspace, prompts_file=Path("more.txt"), seeds=[2, 10], out=Path("out"))
    names = sorted(path.name for path in Path("out").glob("*.mp4"))
    assert names == [
        "0-a-red-circle-seed02.mp4",
        "0-a-red-circle-seed10.mp4",
        "1-a-blue-square-moves-up-seed02.mp4",
        "1-a-blue-square-moves-up-seed10.mp4",
        "2-a-green-cross-seed02.mp4",
        "2-a-green-cross-seed10.mp4",
    ]
    assert [(note(Path("out") / name).prompt, note(Path("out") / name).seed) for name in names[2:4]] == [
        ("a blue square moves up", 2),
        ("a blue square moves up", 10),
    ]
    assert len({(Path("out") / name).read_bytes() for name in names}) == 6
    run(workspace, seeds=[10])  # what stands beside a prompt does not matter
    assert OUT.read_bytes() == (Path("out") / names[1]).read_bytes()
    capsys.readouterr()


def test_prompts_of_our_own_prompts_jsonl(workspace: Params) -> None:
    rows = [json.loads(line) for line in Path("data/prompts/prompts.jsonl").read_text().splitlines()][:2]
    Path("two.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    generate.run(workspace, prompts=[], prompts_file=Path("two.jsonl"))
    assert [note(path).prompt for path in sorted(Path("clips").glob("*.mp4"))] == [row["text"] for row in rows]


def test_a_stopped_call_goes_on_and_nothing_else_is_overwritten(
    workspace: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    run(workspace, out=Path("out"), seeds=[0, 1])
    first, second = sorted(Path("out").glob("*.mp4"))
    kept, made = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    second.with_suffix(".json").unlink()
    run(workspace, out=Path("out"), seeds=[0, 1])
    assert "2 clips, 1 kept from before" in capsys.readouterr().out
    assert first.stat().st_mtime_ns == kept
    assert second.read_bytes() == made
    with pytest.raises(UserError, match=r"0-a-red-circle-seed0.mp4, .*already there, made otherwise; --force"):
        run(workspace, out=Path("out"), seeds=[0, 1], student="k1")
    assert second.read_bytes() == made
    run(workspace, out=Path("out"), seeds=[0, 1], student="k1", force=True)
    assert second.read_bytes() != made
    assert note(second).subject == "k1"


def test_a_clip_of_unknown_origin_stays(workspace: Params) -> None:
    artifacts.write_text(OUT, "mine")
    with pytest.raises(UserError, match=r"out/clip.mp4: already there"):
        run(workspace)
    assert OUT.read_text() == "mine"


def test_the_base_model_takes_steps_guidance_and_a_negative_prompt(
    workspace: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    base = workspace.model.path
    run(workspace, checkpoint=base)
    assert "teacher-8, 16 forwards" in capsys.readouterr().out
    run(workspace, checkpoint=base, options=Options(steps=2), out=Path("2.mp4"))
    run(workspace, checkpoint=base, options=Options(steps=2, guidance_scale=1.0), out=Path("unguided.mp4"))
    run(workspace, checkpoint=base, options=Options(steps=2, negative_prompt="a blue square"), out=Path("away.mp4"))
    assert len({Path(name).read_bytes() for name in ("2.mp4", "unguided.mp4", "away.mp4")}) == 3
    assert note(Path("unguided.mp4")).negative_prompt is None
    assert note(Path("away.mp4")).negative_prompt == "a blue square"


def test_other_sizes(workspace: Params) -> None:
    run(workspace, options=Options(num_frames=9, height=32, width=48))
    assert load_whole_clip(OUT).frames.shape == (9, 32, 48, 3)
    assert (note().num_frames, note().height, note().width) == (9, 32, 48)


def learn_horizon(params: Params, horizon: int) -> None:
    """Has k4 learnt a shorter horizon as well, with a vector that is not zero."""
    folder = Path("data/students/k4")
    manifest = documents.load_manifest(folder, StudentFacts)
    width = load(params, folder).subject.network.time_width  # type: ignore[attr-defined]
    steps = StepEmbedding([horizon], width)
    torch.nn.init.constant_(steps.vectors, 0.5)
    facts = manifest.facts.model_copy(update={"horizons": [horizon]})
    (folder / artifacts.MANIFEST).unlink()
    save_steps(folder, steps)
    documents.write_manifest(folder, facts, inputs=manifest.inputs, params=dict(manifest.params))


def test_a_student_of_several_horizons_takes_each_of_its_numbers_of_steps(workspace: Params) -> None:
    with pytest.raises(UserError, match=r"steps=4: k4 was distilled to sample in 2 steps, no others"):
        run(workspace, options=Options(steps=4))
    learn_horizon(workspace, 2)
    run(workspace, options=Options(steps=4))
    assert note().forwards == 4
    plain = load(workspace, Path("data/students/k4"))
    loaded = load(workspace, Path("data/students/k4"), Options(steps=4))
    shorter = dataclasses.replace(loaded.subject, network=plain.subject.network)
    untold = dataclasses.replace(loaded, subject=shorter).make([PROMPT])
    assert not np.array_equal(loaded.make([PROMPT]), untold)  # its vector is used
    with pytest.raises(UserError, match=r"steps=8: k4 was distilled to sample in 2 or 4 steps"):
        run(workspace, options=Options(steps=8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": [" "]}, "--prompt: empty"),
        ({"prompts": []}, r"give --prompt TEXT, which may be repeated, or --prompts FILE"),
        ({"prompts": [], "prompts_file": Path("no.txt")}, r"--prompts=no.txt: no such file"),
        ({"out": Path("clip.gif")}, r"--out=clip.gif: must be a file that ends in .mp4, or a folder"),
        ({"seeds": [0, 1]}, r"--out=out/clip.mp4: 2 clips go into a folder"),
        ({"student": "k9"}, r"--student=k9: .* it has k1, k4"),
        ({"student": "k1", "checkpoint": "x"}, "give one of them"),
        ({"checkpoint": "nowhere"}, r"--checkpoint=nowhere: no such folder, and registry.db: no registry here"),
        ({"options": Options(guidance_scale=5.0)}, r"guidance_scale=5: k4 is distilled and samples without"),
        ({"options": Options(negative_prompt="")}, r"negative_prompt='': k4 is distilled .* no effect"),
        ({"options": Options(num_frames=6)}, r"^num_frames=6 is not 4k \+ 1; the nearest are 5 and 9"),
        ({"options": Options(width=40)}, r"^width=40 is not a multiple of 16"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(workspace: Params, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        generate.run(workspace, **{"prompts": [PROMPT], "out": OUT} | changes)
    assert not OUT.exists()
