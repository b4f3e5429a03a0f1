"""Run by test_trainer under torchrun: one stage on two CPU processes; each writes what it ended with."""

import dataclasses
import json
import sys
from pathlib import Path

import torch

from gpd.distillation.trainer import make_accelerator, train_stage
from tests.distillation.test_trainer import make_stage, weights
from tests.toy import SmallNetwork


class Watched(SmallNetwork):
    """Keeps the first states that it is trained on."""

    first: float | None = None

    def forward(self, latents, timesteps, text):  # type: ignore[no-untyped-def]
        if self.first is None and torch.is_grad_enabled():
            self.first = latents.sum().item()
        return super().forward(latents, timesteps, text)


def main() -> None:
    accelerator = make_accelerator("float32")
    out = Path(sys.argv[1])
    stage = make_stage(out / "work", 2, 1, 10)
    patience = 0 if accelerator.is_main_process else 10**9  # as clocks of two machines may differ
    distill = stage.distill.model_copy(update={"save_every_seconds": patience})
    stage = dataclasses.replace(stage, distill=distill, student=Watched())
    published, progress = train_stage(stage, accelerator)
    report = {
        "weights": weights(published).tolist(),
        "samples_seen": progress.samples_seen,
        "forwards": progress.forwards,
        "first_states": stage.student.first,
    }
    (out / f"report-{accelerator.process_index}.json").write_text(json.dumps(report))
    accelerator.end_training()


if __name__ == "__main__":
    main()
