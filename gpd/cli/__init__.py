"""The `gpd` command. Heavy imports happen inside commands, so that `gpd --help` answers at once."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from gpd.artifacts import UserError
from gpd.cli.generate import generate
from gpd.cli.registry import app as registry_app

app = typer.Typer(
    name="gpd",
    help="Guided Progressive Distillation: Wan2.1 in 6 steps instead of 48 x 2, reproducibly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tiny_app = typer.Typer(help="The miniature Wan that the default profile distils.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure speed and memory beside their goals.")
app.add_typer(tiny_app, name="tiny")
app.add_typer(bench_app, name="bench")
app.add_typer(registry_app, name="registry")


def _params() -> Any:
    from gpd.params import load_params

    return load_params()


_waits = ContextVar("waits", default=False)


@app.callback()
def gpd(
    wait: Annotated[
        bool, typer.Option("--wait", help="if another process is at the same stage, wait for it instead of ending")
    ] = False,
) -> None:
    """Guided Progressive Distillation: Wan2.1 in 6 steps instead of 48 x 2, reproducibly."""
    _waits.set(wait)


@contextlib.contextmanager
def _alone(stage: str, part: str | None = None) -> Iterator[None]:
    """While the block runs, a second process with the same stage ends at once, with status 75.

    With `gpd --wait` it waits, and ends if its own work was done meanwhile.
    """
    from gpd.data.meanwhile import was_made
    from gpd.data.occupied import occupying, output_lock

    waited: list[str] = []
    began = time.time()
    with occupying(stage, output_lock(stage, part), _waiting(waited) if _waits.get() else None):
        if waited and part is None and was_made(stage, _params(), began):
            typer.echo(f"{stage}: done by the process that was waited for")
            raise typer.Exit
        yield


def _waiting(waited: list[str]) -> Callable[[str], None]:
    def on_wait(holder: str) -> None:
        waited.append(holder)
        typer.echo(f"gpd: {holder}; waiting for it", err=True)

    return on_wait


def _check_room(params: Any, stage: str) -> None:
    from gpd.planning.room import check_room

    check_room(params, stage)


@app.command()
def use(profile: Annotated[str, typer.Argument(help="such as tiny-wan; a wrong name lists them")]) -> None:
    """Write params.yaml for a model."""
    from gpd.models import use

    use.run(profile)


@app.command()
def fetch() -> None:
    """Check the base model's weights (download them where the profile names a hub) and write their manifest."""
    from gpd.models import fetch

    fetch.run(_params())


@app.command()
def plan(
    profile: Annotated[str | None, typer.Option(help="a profile's name; without it params.yaml")] = None,
    gpu: Annotated[str, typer.Option(help="NAME:NUMBER, such as h100:8, a100-80:1, rtx4090:1")] = "h100:1",
    as_json: Annotated[bool, typer.Option("--json", help="print the plan as JSON")] = False,
) -> None:
    """Say what a pipeline needs before anything is loaded: memory by part, forwards, time, disk."""
    from gpd.planning import plan as planning
    from gpd.planning import tables

    made = planning.make_plan(*planning.load(profile), gpu)
    if as_json:
        print(made.model_dump_json(indent=2))
    else:
        tables.show(made)
    if not made.fits:
        raise UserError(planning.refusal(made))


@app.command()
def status() -> None:
    """Say where things stand: model, devices, stale stages, unfinished work, disk, registry."""
    from gpd.upkeep import status

    status.run(_params())


@app.command()
def prepare() -> None:
    """DVC stage: collect and check prompts and clips."""
    from gpd.data import prepare

    with _alone("prepare"):
        prepare.run(_params())


@app.command()
def encode(
    shard: Annotated[str | None, typer.Option(help="i/n: only the shards of process i of n, for machines")] = None,
) -> None:
    """DVC stage: text embeddings, clip latents and teacher roll-outs as shards."""
    from gpd.data import encode

    params = _params()
    with _alone("encode", shard):
        _check_room(params, "encode")
        encode.run(params, shard)


@app.command()
def distill(stage: Annotated[str, typer.Argument(help="a key of distill.stages, such as k1")]) -> None:
    """DVC stage: train one student, on every visible GPU or on GPD_PROCESSES processes."""
    from gpd.distillation import distill, launch

    params = _params()
    distill.check(params, stage, launch.num_processes())
    with _alone(f"distill@{stage}") if launch.is_first() else contextlib.nullcontext():
        if launch.is_first():
            _check_room(params, f"distill@{stage}")
        launch.on_all_processes(["-m", "gpd", "distill", stage], lambda: distill.run(params, stage))


@app.command()
def sample(
    subject: Annotated[str, typer.Argument(help="a key of sample.subjects, such as reference or k8")],
    shard: Annotated[
        str | None, typer.Option(help="i/n: only the parts of process i of n, for several machines")
    ] = None,
) -> None:
    """DVC stage: trajectories of the reference, an undistilled baseline or a student, as latents."""
    from gpd.sampling import sample

    params = _params()
    with _alone(f"sample@{subject}", shard):
        if subject in params.sample.subjects:
            _check_room(params, f"sample@{subject}")
        sample.run(params, subject, shard)


@app.command(hidden=True)
def reference() -> None:
    """Says the command's new name."""
    raise UserError("reference: this command is called `gpd sample reference` now")


@app.command()
def evaluate(
    subject: Annotated[str | None, typer.Argument(help="a key of sample.subjects, such as reference or k8")] = None,
    clips: Annotated[Path | None, typer.Option(hidden=True)] = None,
    protocol: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """DVC stage: measure a subject's samples beside the reference's."""
    from gpd.evaluation import evaluate

    if protocol is not None:
        raise UserError("evaluate --protocol: this command is called `gpd vbench` now")
    if clips is not None:
        raise UserError("evaluate --clips A --reference B: this command is called `gpd compare A B` now")
    if subject is None:
        raise UserError("evaluate: name a subject, a key of sample.subjects in params.yaml")
    params = _params()
    with _alone(f"evaluate@{subject}"):
        _check_room(params, f"evaluate@{subject}")
        evaluate.run(params, subject)


@app.command()
def compare(
    clips: Annotated[
        str, typer.Argument(help="a folder of clips to measure; a subject such as k8; an alias or a hash")
    ],
    reference: Annotated[str, typer.Argument(help="what it is set against, likewise")],
    out: Annotated[Path, typer.Option(help="the JSON to write; the page has its name")] = Path("comparison.json"),
    page: Annotated[bool, typer.Option("--page", help="write a page of both sides, players in step")] = False,
    opens: Annotated[bool, typer.Option("--open", help="write the page and open it in a browser")] = False,
    max_broken_share: Annotated[
        float, typer.Option(min=0, max=1, help="of the clips may be unreadable or unlike their pair, and are left out")
    ] = 0.05,
) -> None:
    """Measure any two folders of clips, paired where their file names are the same; or show two sides on one page."""
    import webbrowser

    from gpd.evaluation import compare

    if not (page or opens):
        compare.run(Path(clips), Path(reference), out, max_broken_share)
        return
    written = compare.run_beside(clips, reference, out, max_broken_share)
    if opens:
        webbrowser.open(written.resolve().as_uri())


@app.command()
def vbench(
    subject: Annotated[str | None, typer.Argument(help="teacher, or a key of distill.stages")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="instead of a subject, as in `gpd generate`")] = None,
    clips: Annotated[Path | None, typer.Option(help="clips made elsewhere, by VBench's names; samples none")] = None,
    out: Annotated[Path | None, typer.Option(help="the folder to write")] = None,
    dimension: Annotated[list[str] | None, typer.Option(help="one of its 16; may be repeated")] = None,
    num_prompts: Annotated[int | None, typer.Option(min=1, help="the first so many of a dimension")] = None,
    shard: Annotated[str | None, typer.Option(help="i/n: sample as process i of n and score nothing")] = None,
    full_info: Annotated[Path | None, typer.Option(help="its VBench_full_info.json")] = None,
    sampling_prompts: Annotated[Path | None, typer.Option(help="extended prompts, one a line")] = None,
    environment: Annotated[Path | None, typer.Option(help="where its packages lie; made if missing")] = None,
    static_filter: Annotated[
        bool, typer.Option(help="25 clips for temporal_flickering, of which its filter keeps 5")
    ] = True,
) -> None:
    """Sample and score by VBench, the published benchmark."""
    from gpd.vbench import benchmark

    request = benchmark.Request(
        subject=subject,
        checkpoint=checkpoint,
        dimensions=list(dict.fromkeys(dimension or [])),
        num_prompts=num_prompts,
        shard=shard,
        full_info=full_info,
        clips=clips,
        out=out,
        environment=environment or benchmark.ENVIRONMENT,
        static_filter=static_filter,
        sampling_prompts=sampling_prompts,
    )
    benchmark.run(_params, request)


@app.command()
def ablate(
    only: Annotated[str, typer.Option(help="variants of data/ablation/grid.yaml, separated by commas; else all")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="runs at once")] = 1,
    table: Annotated[bool, typer.Option("--table", help="run nothing, write table and page of what is there")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="run nothing, print each run's overrides of params as JSON")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="run nothing, keep results that only the code has changed of")
    ] = False,
) -> None:
    """Run the declared ablation over seeds; finished runs are kept. Writes data/ablation/."""
    from gpd.ablation import ablate

    names = [name.strip() for name in only.split(",") if name.strip()]
    if plan:
        ablate.show_plan(_params(), only=names)
        return
    with _alone("ablate"):
        ablate.run(_params(), only=names, jobs=jobs, is_table_only=table, is_accepting=accept)


@app.command()
def report() -> None:
    """DVC stage: one self-contained HTML page."""
    from gpd.report import report

    params = _params()
    with _alone("report"):
        report.run(params)


@app.command()
def floors() -> None:
    """Measure what metrics read of the reference itself, of other noise and of real clips: once for all students."""
    from gpd.evaluation import floors as measured

    params = _params()
    with _alone("floors"):
        measured.run(params)


@app.command()
def table(has_all: Annotated[bool, typer.Option("--all", help="every metric, one a row")] = False) -> None:
    """Print the students beside the teacher, and where the page is."""
    from gpd.report import report

    report.show(_params(), has_all=has_all)


app.command()(generate)


@app.command()
def export(
    student: Annotated[str, typer.Argument(help="a stage such as k8, a folder, or champion, best:6, a hash")],
    to: Annotated[Path | None, typer.Option(help="the folder to write")] = None,
    format: Annotated[str, typer.Option(help="diffusers, lora, lora-native, native; all takes what it has")] = "all",
    dtype: Annotated[
        str | None, typer.Option(help="bf16, fp16 or fp32; else bf16 for a LoRA, fp32 for the rest")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="extract a LoRA from a student of full weights")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an earlier release in the folder")] = False,
    push: Annotated[str | None, typer.Option(help="OWNER/NAME on the hub, to upload to when all is verified")] = None,
    sign: Annotated[Path | None, typer.Option(help="private key of an elliptic curve (PEM), to sign it with")] = None,
    card: Annotated[bool, typer.Option("--card", help="write nothing, print the model card")] = False,
) -> None:
    """Write a student for diffusers, ComfyUI and others; each file is loaded back and compared."""
    from gpd.release import export

    if card:
        export.print_card(_params(), student)
        return
    if to is None:
        raise UserError("export: --to FOLDER is missing; --card prints the card alone")
    export.run(_params(), student, to=to, format=format, dtype=dtype, rank=rank, force=force, push=push, sign=sign)


@app.command()
def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders; without them everything")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="restore from DVC's cache or remote, from equal files, from git")
    ] = False,
    key: Annotated[
        Path | None, typer.Option(help="of releases: the public key (PEM) of whoever is said to have signed them")
    ] = None,
) -> None:
    """Compare everything that the pipeline holds with its digests, or signed releases with their signature."""
    from gpd.release import signing
    from gpd.upkeep import verify

    if key is not None:
        for folder in paths or []:
            signing.verify(folder, key)
            print(f"verify: {folder} is what was signed by the owner of {key}")
        if not paths:
            raise UserError("verify: --key needs the folder of a release")
        return
    raise typer.Exit(verify.run(_params(), paths or [], repair))


@app.command()
def clean(
    older_than: Annotated[str, typer.Option(help="untouched for so long: 30m, 12h, 7d, 2w")],
    yes: Annotated[bool, typer.Option("--yes", help="free it; without it only say what would be freed")] = False,
) -> None:
    """Free what can be made again and nobody uses: train states, work trees, decoded frames, leftovers. No results."""
    from gpd.upkeep import clean

    clean.run(older_than, yes)


@bench_app.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure speed and memory beside their goals."""
    if context.invoked_subcommand is None:
        from gpd.distillation import bench

        bench.run(_params())


@bench_app.command("train")
def bench_train(
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Measure training: forwards a second, the step beside its bare forwards, the optimiser's share."""
    from gpd.distillation import bench

    bench.run_train(_params(), as_json)


@bench_app.command("wan")
def bench_wan(
    profile: Annotated[str, typer.Option(help="whose architecture; a wrong name lists them")] = "wan2.1-1.3b",
    frames: Annotated[int | None, typer.Option(min=1, help="4k + 1; these four are else the profile's")] = None,
    height: Annotated[int | None, typer.Option(min=16, help="px, a multiple of 16")] = None,
    width: Annotated[int | None, typer.Option(min=16, help="px, a multiple of 16")] = None,
    lora_rank: Annotated[int | None, typer.Option(min=0, help="of the trained factors; 0: all weights")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="else the profile's, 4 at most; 1 on a CPU")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="else 10 on a GPU, 2 on a CPU")] = None,
    work: Annotated[Path | None, typer.Option(help="the folder to work in, which then stays")] = None,
    to: Annotated[Path | None, typer.Option(help="the JSON to write; on a GPU data/benchmarks/DEVICE.json")] = None,
) -> None:
    """Take Wan's real architecture with random weights through every part of the pipeline, and time each."""
    from gpd.bench import wan
    from gpd.bench.workspace import Request

    wan.run(Request(profile, frames, height, width, lora_rank, batch, iterations, work, to))


@bench_app.command("registry")
def bench_registry() -> None:
    """Measure the registry with 100,000 checkpoints."""
    from gpd.registry import bench as bench_registry

    if not bench_registry.run():
        raise typer.Exit(1)


@tiny_app.command("train")
def tiny_train(
    out: Annotated[Path, typer.Option(help="where the finished pipeline goes")] = Path("data/tiny-wan"),
) -> None:
    """Train the miniature from nothing; goes on where an earlier call was stopped."""
    from gpd.tiny import make as tiny_train

    tiny_train.run(out)


@tiny_app.command("clips")
def tiny_clips(
    out: Annotated[Path, typer.Argument(help="folder for the mp4s and captions.jsonl")],
    num: Annotated[int, typer.Option(min=1, help="how many")] = 64,
    held_out: Annotated[bool, typer.Option("--held-out", help="of the captions kept out of training")] = False,
) -> None:
    """Draw procedural clips with captions."""
    from gpd.tiny import draw as tiny_clips

    tiny_clips.run(out, num, held_out)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """A machine that is taken back, a cancelled flow: what is open is closed, and the run's record is written."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point: a user's mistake is one line and exit status 2; SIGTERM ends it with 143."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"gpd: {error}", file=sys.stderr)
        sys.exit(error.status)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"gpd: {name}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
