"""Wan's text encoder."""

from pathlib import Path

import torch
from torch import Tensor

from gpd.artifacts import UserError
from gpd.core.precision import fast_dtype, multiplies_bfloat16
from gpd.models.folders import check_part, quiet_libraries
from gpd.models.wan.loaded import whole

TEXT_LENGTH = 512  # rows of text that Wan's cross-attention sees, padding included


class TextEncoder:
    """Tokenizer and text encoder of a pipeline folder.

    Args:
        dtype: of the weights, "float32" or "bfloat16"; None for the one that they are stored in. float32 if the device
            would emulate bfloat16.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu", dtype: str | None = None) -> None:
        from transformers import AutoTokenizer, UMT5EncoderModel

        quiet_libraries()
        for name in ("tokenizer", "text_encoder"):
            check_part(Path(folder), name)
        self.tokenizer = AutoTokenizer.from_pretrained(Path(folder) / "tokenizer", local_files_only=True)
        part = Path(folder) / "text_encoder"
        loaded = UMT5EncoderModel.from_pretrained(
            part,
            dtype="auto" if dtype is None else getattr(torch, fast_dtype(dtype, device)),
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        self.encoder = whole(loaded, part)
        if self.encoder.dtype == torch.bfloat16 and not multiplies_bfloat16(device):
            self.encoder.float()
        self.encoder.to(device).eval()
        if not self.encoder.get_input_embeddings().weight.any():
            # seen with transformers 5 and published UMT5 checkpoints: every text would embed to the same
            raise UserError(f"{part}: the token embedding loaded as all zeros; its weights do not fit")

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> list[Tensor]:
        """Embeddings [L_i, D], float32, of the prompts' real tokens; longer than 512 tokens are cut, as in Wan."""
        from diffusers.pipelines.wan.pipeline_wan import prompt_clean

        tokens = self.tokenizer(
            [prompt_clean(prompt) for prompt in prompts],
            padding="longest",
            max_length=TEXT_LENGTH,
            truncation=True,
            return_tensors="pt",
        ).to(self.encoder.device)
        states = self.encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state.float().cpu()
        return [row[:length].clone() for row, length in zip(states, tokens.attention_mask.sum(1).tolist(), strict=True)]
