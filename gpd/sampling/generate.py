"""`gpd generate`: clips of prompts and seeds, each with a JSON that says how it was made."""

from collections.abc import Sequence
from pathlib import Path

from gpd import artifacts
from gpd.data.clips import write_mp4
from gpd.documents import MadeClip
from gpd.params import Params
from gpd.progress import progress_bar
from gpd.sampling.generator import AS_IT_IS, Generator, choose_folder, load
from gpd.sampling.options import Options
from gpd.sampling.orders import Order, note_of, plan, read_prompts, still_to_make


def run(
    params: Params,
    *,
    prompts: Sequence[str],
    prompts_file: Path | None = None,
    seeds: Sequence[int] = (0,),
    out: Path | None = None,
    student: str | None = None,
    checkpoint: str | None = None,
    options: Options = AS_IT_IS,
    force: bool = False,
) -> None:
    """Writes an mp4 and a JSON for each prompt and seed: the clip of `Generator.make([prompt], seed)`.

    What is there already, made in just this way, is kept, so that a call that was stopped goes on.

    Args:
        prompts_file: more of them: text, one a line, or .jsonl.
        out: an mp4, or a folder; several clips need a folder. Without it clip.mp4 or clips/.
        student: a stage's student, such as "k8".
        checkpoint: instead of `student`, a folder with a student's or the base model's manifest, or what the registry
            understands: an alias, `best:6`, an abbreviated hash. With neither, the student of the last stage is taken.
        force: replace files that are there.

    Raises:
        UserError: there is no such checkpoint or it cannot do this, a prompt is bad, or a file is there that is
            another clip.
    """
    orders = plan(read_prompts(prompts, prompts_file), seeds, out)
    folder = choose_folder(params, student, checkpoint)
    made = options.describe(params, folder)
    todo = still_to_make(orders, made, force=force)
    if todo:
        make_all(load(params, folder, options), todo, made)
    print(summary(made, orders, len(orders) - len(todo)))
    if line := size_line(params, made):
        print(line)


def make_all(generator: Generator, orders: Sequence[Order], made: MadeClip) -> None:
    """One clip after the other; the JSON comes last, so that it stands beside whole clips alone."""
    with progress_bar(f"generate {made.subject}", len(orders) * made.steps) as advance:
        for index, order in enumerate(orders):
            words, before = f"steps, clip {index + 1} of {len(orders)}", index * made.steps
            clip = generator.make([order.prompt], order.seed, lambda done: advance(before + done, words))[0]  # noqa: B023
            order.note.unlink(missing_ok=True)
            write_mp4(order.path, clip, made.frames_per_second)
            artifacts.write_json(order.note, note_of(order, made).model_dump(mode="json"))


def summary(made: MadeClip, orders: Sequence[Order], num_kept: int) -> str:
    """One line for a person."""
    first = orders[0]
    kept = f", {num_kept} kept from before" if num_kept else ""
    if len(orders) == 1:
        return f"generate: {made.subject}, {made.forwards} forwards, seed {first.seed}{kept} -> {first.path}"
    return (
        f"generate: {made.subject}, {made.forwards} forwards a clip, {len(orders)} clips{kept} -> {first.path.parent}/"
    )


def size_line(params: Params, made: MadeClip) -> str:
    """Says so if clips have another size than that of params.yaml; else empty."""
    model = params.model
    if (made.num_frames, made.height, made.width) == (model.num_frames, model.height, model.width):
        return ""
    trained = f"{model.num_frames} frames of {model.width} x {model.height} px"
    here = f"{made.num_frames} frames of {made.width} x {made.height} px"
    return f"generate: {here} were not measured; params.yaml says {trained}"
