"""What makes scores comparable: prompts, noise, sizes, and the reference that they are measured against."""

from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.data.rows import PROMPTS
from gpd.documents import Protocol
from gpd.params import Params

EVALUATIONS = Path("data/evaluations")  # NAME/ of each subject
FLOORS = EVALUATIONS / "floors.json"


def make_protocol(params: Params) -> Protocol:
    """The protocol of params.yaml, under a hash of its own."""
    model, sample = params.model, params.sample
    fields: dict[str, Any] = {
        "prompts": documents.identify(PROMPTS).content,
        "num_prompts": sample.num_prompts,
        "seeds": sample.seeds,
        "height": model.height,
        "width": model.width,
        "num_frames": model.num_frames,
        "shift": model.shift,
        "grid_steps": model.grid_steps,
        "negative_prompt": model.negative_prompt,
        "reference_guidance_scale": sample.reference.guidance_scale,
        "diversity_prompts": sample.diversity_prompts,
        "diversity_seeds": sample.diversity_seeds,
        "teacher": documents.identify(Path(model.path)).content,
    }
    return Protocol(hash=artifacts.hash_json(fields), **fields)
