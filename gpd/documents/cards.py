"""What both cards of a student say alike: its own, at the end of training, and a release's, from the registry."""

METHOD = "Guided Progressive Distillation ([arXiv 2602.01814](https://arxiv.org/abs/2602.01814)) with `gpd`"
SETTINGS = {  # in a manifest -> in the table; {} is the stage
    "distill.objective": "objective",
    "distill.guidance.start": "the teacher's guidance, from",
    "distill.guidance.end": "the teacher's guidance, to",
    "distill.stages.{}.batch": "batch",
    "distill.stages.{}.learning_rate": "learning rate",
}


def call_with(steps: int) -> str:
    """How to call a pipeline of it, in markdown."""
    return (
        f"**Call it with `num_inference_steps={steps}, guidance_scale=1.0`.** diffusers' defaults, 50 guided steps, "
        "burn the clip without a word."
    )


def licence(name: str, url: str) -> str:
    """Under which it may be used, in markdown."""
    return f"{name}, as the base model: <{url}>"
