"""`gpd vbench`: VBench's clips, its package on them, its total.

NAME is the checkpoint's folder; in data/vbench/NAME/ (or --out):
    sampling.json   what the clips depend on; clips made under other settings are refused
    videos/         the clips
    vbench.json     the scores under their protocol, and the total if all dimensions are there
Work of a run (what VBench prints and writes) lies in .work/vbench/.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.jobs import parse_part
from gpd.documents.reading import parse_json
from gpd.params import Params
from gpd.vbench import environment
from gpd.vbench.flicker import flicker_as_vbench
from gpd.vbench.protocol import check_protocol, keep_protocol
from gpd.vbench.results import check_answer, expected_files
from gpd.vbench.suite import (
    FLICKER,
    NUM_VIDEOS,
    Clip,
    Prompt,
    check_clips,
    choose_prompts,
    load_suite,
    missing_clips,
    plan_clips,
)
from gpd.vbench.total import DIMENSIONS, compute_total, missing_dimensions, normalise
from gpd.vbench.weights import cache_folder, check_weights

WORK = artifacts.WORK / "vbench"
ENVIRONMENT = WORK / "env"


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        dimensions: all 16 if empty.
        num_prompts: of each dimension the first so many; all if None.
        shard: "i/n": sample the clips of process i of n and score nothing; None: sample what is missing, then score.
        full_info: VBench_full_info.json; None: the one inside the package.
        clips: a folder of clips made elsewhere; None: sample.
        sampling_prompts: extended prompts, a line for each of the suite's.
    """

    subject: str | None
    checkpoint: str | None
    dimensions: list[str]
    num_prompts: int | None
    shard: str | None
    full_info: Path | None
    clips: Path | None
    out: Path | None
    environment: Path
    static_filter: bool
    sampling_prompts: Path | None


def run(load_params: Callable[[], Params], request: Request) -> None:
    """Samples and scores as requested.

    Args:
        load_params: called when clips are to be sampled.

    Raises:
        UserError: a clip, a dimension or its weights are missing (named), VBench fails, or the stored scores or clips
            are of another protocol.
    """
    _check(request)
    dimensions = request.dimensions or list(DIMENSIONS)
    suite_file = request.full_info or environment.full_info(
        environment.open_environment(request.environment, [], False)
    )
    suite = load_suite(suite_file)
    if request.shard is None:
        check_weights(dimensions, request.static_filter, cache_folder())  # before hours of sampling
    prompts = choose_prompts(suite, dimensions, request.num_prompts)
    clips = plan_clips(prompts, request.static_filter)
    protocol: dict[str, Any] = {
        "suite": artifacts.hash_file(suite_file),
        "num_prompts": request.num_prompts,
        "static_filter": request.static_filter,
    }
    if request.clips is not None:
        folder, videos = request.out or request.clips.parent / f"{request.clips.name}-vbench", request.clips
        protocol["clips"] = str(request.clips)
    else:
        folder, protocol = _sample(load_params(), request, suite, clips, protocol)
        videos = folder / "videos"
    if request.shard is None:
        check_clips(clips, videos)
        _score(folder, videos, request, dimensions, clips, prompts, protocol)


def _check(request: Request) -> None:
    """An argument without effect is a mistake."""
    if request.subject is not None and request.checkpoint is not None:
        raise UserError(f"{request.subject} and --checkpoint={request.checkpoint}: give one of them")
    if request.clips is None:
        return
    for name in ("subject", "checkpoint", "shard", "sampling_prompts"):
        if (value := getattr(request, name)) is not None:
            shown = value if name == "subject" else f"--{name.replace('_', '-')}"
            raise UserError(f"{shown} does not go with --clips={request.clips}: those clips are there already")


def _sample(
    params: Params, request: Request, suite: list[Prompt], clips: list[Clip], protocol: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """Samples the missing clips; returns the output folder and the protocol with that of the sampling."""
    from gpd.vbench.clips import find_checkpoint, read_sampling_prompts, sample_clips, sampling_protocol

    part, num_parts = parse_part(request.shard or "0/1")
    checkpoint = find_checkpoint(params, request.subject, request.checkpoint)
    told = read_sampling_prompts(request.sampling_prompts, suite)
    told_hash = None if request.sampling_prompts is None else artifacts.hash_json(told)
    sampling = sampling_protocol(params, checkpoint) | {"sampling_prompts": told_hash}
    folder, protocol = request.out or Path("data/vbench") / checkpoint.name, protocol | {"sampling": sampling}
    keep_protocol(folder / "sampling.json", sampling)
    _load_scores(folder / "vbench.json", protocol)
    missing = missing_clips(clips[part::num_parts], folder / "videos")
    if missing:
        with documents.recording_run("vbench", protocol) as record:
            subject = sample_clips(params, checkpoint, missing, told, folder / "videos")
            record.forwards, record.device = {"sampling": subject.forwards * len(missing)}, subject.device
    still = len(missing_clips(clips, folder / "videos"))
    print(f"vbench: {len(clips) - still} of {len(clips)} clips in {folder}/videos/, {len(missing)} of them new")
    return folder, protocol


def _score(
    folder: Path,
    videos: Path,
    request: Request,
    dimensions: list[str],
    clips: list[Clip],
    prompts: list[Prompt],
    protocol: dict[str, Any],
) -> None:
    path = folder / "vbench.json"
    stored = _load_scores(path, protocol)
    work = WORK / artifacts.hash_json([str(videos.resolve()), dimensions, request.num_prompts])[:16]
    _lay_out(work, videos, clips, prompts)
    answer = _ask(work, request, dimensions)
    check_answer(answer, dimensions, prompts)
    scores = stored | {name: _entry(name, answer, prompts) for name in dimensions}
    if FLICKER in dimensions:
        kept = "static/filtered_videos" if answer["static"] is not None else "videos"
        scores[FLICKER]["own"] = _own_flicker(work / kept, expected_files(prompts, FLICKER, answer["static"]))
    report = {
        "format": 1,
        "protocol": protocol,
        "vbench": answer["vbench"],
        "dimensions": {name: scores[name] for name in DIMENSIONS if name in scores},
    }
    values = {name: entry["score"] for name, entry in scores.items()}
    missing = missing_dimensions(values)
    report["total"] = None if missing else asdict(compute_total(values))
    artifacts.write_json(path, report)
    print(describe(report))
    print(f"-> {path}")


def _load_scores(path: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    """Scores of earlier runs under the same protocol."""
    if not path.is_file():
        return {}
    stored = parse_json(path.read_text(encoding="utf-8"))
    check_protocol(path, stored["protocol"], protocol)
    dimensions: dict[str, Any] = stored["dimensions"]
    return dimensions


def _lay_out(work: Path, videos: Path, clips: list[Clip], prompts: list[Prompt]) -> None:
    """The work folder of a run: it has the requested prompts and links to exactly their clips."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "videos").mkdir(parents=True)
    for clip in clips:
        (work / "videos" / clip.file).symlink_to((videos / clip.file).resolve())
    artifacts.write_json(work / "full_info.json", [prompt.entry for prompt in prompts])


def _ask(work: Path, request: Request, dimensions: list[str]) -> dict[str, Any]:
    import torch

    static_filter = request.static_filter and FLICKER in dimensions
    question = {
        "dimensions": dimensions,
        "full_info": str(work.resolve() / "full_info.json"),
        "videos": str(work.resolve() / "videos"),
        "output": str(work.resolve() / "output"),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "static_filter": str(work.resolve() / "static") if static_filter else None,
    }
    python = environment.open_environment(request.environment, dimensions, static_filter)
    return environment.ask(python, question, work, cache_folder())


def _entry(dimension: str, answer: dict[str, Any], prompts: list[Prompt]) -> dict[str, Any]:
    found = answer["dimensions"][dimension]
    static = {"static_clips": answer["static"]} if dimension == FLICKER and answer["static"] is not None else {}
    return {
        "score": found["score"],
        "normalised": normalise(dimension, found["score"]),
        "num_clips": len(found["clips"]),
        "num_clips_read": len(expected_files(prompts, dimension, answer["static"])),
        **static,
    }


def _own_flicker(videos: Path, files: list[str]) -> float:
    """Our metric on the same clips: a difference from VBench's score shows a fault in either."""
    return sum(flicker_as_vbench(videos / file) for file in files) / len(files)


def describe(report: dict[str, Any]) -> str:
    """The scores for a person; the total never without the dynamic degree."""
    lines = [
        f"{name:<24}{entry['score']:.4f}   {entry['num_clips']} clips" for name, entry in report["dimensions"].items()
    ]
    values = {name: entry["score"] for name, entry in report["dimensions"].items()}
    if missing := missing_dimensions(values):
        lines.append(f"no total: it needs all {len(DIMENSIONS)} dimensions; missing: {', '.join(missing)}")
    else:
        lines.append(str(compute_total(values)))
    if report["protocol"]["num_prompts"] is not None:
        lines.append(
            f"of {report['protocol']['num_prompts']} prompts a dimension: not comparable with published figures"
        )
    if FLICKER in values:
        lines.append(f"{FLICKER} by our own metric: {report['dimensions'][FLICKER]['own']:.4f}")
    static = report["dimensions"].get(FLICKER, {}).get("static_clips", {})
    if few := [prompt for prompt, kept in static.items() if kept < NUM_VIDEOS]:
        lines.append(f"{FLICKER}: VBench's static filter kept fewer than {NUM_VIDEOS} clips of {len(few)} prompts")
    if FLICKER in values and not report["protocol"]["static_filter"]:
        lines.append(f"{FLICKER} without VBench's static filter: not comparable with published figures")
    return "\n".join(lines)
