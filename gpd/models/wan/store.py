"""How a pipeline of Wan is written."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from gpd.documents.reading import parse_json
from gpd.models.folders import INDEX, check_part, quiet_libraries
from gpd.models.wan.solvers import student_scheduler
from gpd.models.wan.text import TEXT_LENGTH


def save_student(folder: Path, transformer: Any, base: Path, *, grid_steps: int, shift: float) -> None:
    """Writes a complete diffusers pipeline: the student's transformer and scheduler, all else from the base model.

    The base's files are hard-linked if the file system allows it: a text encoder of 11 GB need not lie there
    once for each stage.

    Raises:
        DamagedError: a file of the base model is not what its manifest says.
    """
    quiet_libraries()
    for part in ("vae", "text_encoder", "tokenizer"):
        shutil.copytree(base / part, folder / part, copy_function=_link_or_copy)
        check_part(base, part)
    _link_or_copy(base / INDEX, folder / INDEX)
    index = (folder / INDEX).read_text(encoding="utf-8")
    transformer.save_pretrained(folder / "transformer", safe_serialization=True)
    student_scheduler(grid_steps, shift).save_pretrained(folder / "scheduler")
    (folder / INDEX).unlink()  # never write through the link
    (folder / INDEX).write_text(_with_scheduler(index), encoding="utf-8")


def hide_transformer(folder: Path) -> None:
    """Has plain pipelines load no transformer here: it is not one that they could sample with."""
    entries = json.loads((folder / INDEX).read_text(encoding="utf-8")) | {"transformer": [None, None]}
    (folder / INDEX).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def _with_scheduler(index: str) -> str:
    entries = parse_json(index)
    entries["scheduler"] = ["diffusers", "UniPCMultistepScheduler"]
    return json.dumps(entries, indent=2) + "\n"


def _link_or_copy(source: Any, target: Any) -> Any:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def save_base(
    folder: Path,
    *,
    transformer: Any,
    vae: Any,
    text_encoder: Any,
    tokenizer: Any,
    grid_steps: int,
    shift: float,
) -> None:
    """Writes a new Wan pipeline from its parts; `tokenizer` is a `tokenizers.Tokenizer`."""
    from diffusers import WanPipeline
    from transformers import PreTrainedTokenizerFast

    quiet_libraries()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=TEXT_LENGTH
    )
    pipeline = WanPipeline(
        tokenizer=wrapped,
        text_encoder=text_encoder,
        vae=vae,
        scheduler=student_scheduler(grid_steps, shift),
        transformer=transformer,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
