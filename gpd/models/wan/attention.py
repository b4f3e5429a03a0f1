"""Wan's attention, with the padding of texts computed once."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpd.models.wan.text import TEXT_LENGTH

NATIVE = "native"  # PyTorch's own attention, which picks a kernel that takes a bias
TAKE_A_BIAS = {NATIVE, "_native_math", "_native_efficient", "_native_cudnn", "xformers"}  # of diffusers' backends


class TextAttention:
    """Attention of Wan's blocks that takes the text's padding once instead of row by row.

    Wan pads every text with zero rows to 512 and masks none of them, so the padding takes part in the softmax. All n
    padding rows are equal, so are their keys k and values v, and so their scores s = q k. In the softmax they
    contribute n exp(s) v above and n exp(s) below. One row whose score is s + log n contributes the same, since
    exp(s + log n) = n exp(s); if m > 0 of them are kept, each has log(n / m) added. The result is that of 512 rows to
    rounding, at the cost of the real tokens and one more.

    `bias` has these additions, [B, 1, 1, L] (0 for real tokens), or is None to attend to the rows as they are. It
    is for cross-attention alone: self-attention sees no text.

    Kernels are diffusers': `set_attention_backend` and `enable_parallelism` of the transformer write the two fields
    with an underscore, as those of diffusers' own processor. Self-attention goes by them; so does cross-attention, but
    by PyTorch's own kernel where the backend takes no bias, and never over several devices (diffusers splits no text).
    """

    _attention_backend: str | None = None
    _parallel_config: Any = None

    def __init__(self) -> None:
        self.bias: Tensor | None = None

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Diffusers' protocol of an attention processor."""
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            features.unflatten(2, (attention.heads, -1))
            for features in (
                attention.norm_q(attention.to_q(hidden_states)),
                attention.norm_k(attention.to_k(text)),
                attention.to_v(text),
            )
        )
        if rotary_emb is not None:
            query, key = rotate(query, rotary_emb), rotate(key, rotary_emb)
        mixed = self._mix(query, key, value, is_self=encoder_hidden_states is None)
        return attention.to_out[0](mixed.flatten(2).type_as(hidden_states))

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, *, is_self: bool) -> Tensor:
        """softmax(q k / sqrt(D) + bias) v of [B, L, heads, D], by the chosen kernel."""
        from diffusers.models.attention_dispatch import dispatch_attention_fn

        choice: dict[str, Any] = {"backend": self._attention_backend, "parallel_config": self._parallel_config}
        if not is_self:
            choice = {"backend": self._backend_for_text(), "attn_mask": self.bias}
        mixed: Tensor = dispatch_attention_fn(query, key, value, **choice)
        return mixed

    def _backend_for_text(self) -> str | None:
        from diffusers.models.attention_dispatch import _AttentionBackendRegistry as Registry

        chosen = self._attention_backend or Registry.get_active_backend()[0]
        return self._attention_backend if self.bias is None or chosen in TAKE_A_BIAS else NATIVE


def rotate(features: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding of [B, L, heads, D]: neighbouring pairs of features turn by the token's angle.

    Computed in the tables' float32, as in diffusers.
    """
    cosine, sine = (table[..., 0::2] for table in rotary)
    even, odd = features.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1)
    return turned.flatten(-2).type_as(features)


def padding_bias(text: Tensor) -> tuple[Tensor, Tensor]:
    """Leaves at least one padding row to a text, with the bias under which its rows stand for Wan's 512.

    Texts of a batch have different lengths, so a short one comes with several padding rows (m of them, `num_here`),
    where Wan would have n (`num_in_wan`).

    Args:
        text: [B, L, D] with zero rows as padding, L <= 512.

    Returns:
        Text [B, L + 1, D] (or [B, 512, D]) and bias [B, 1, 1, rows]: log(n / m) for padding, 0 for tokens.
    """
    text = F.pad(text, (0, 0, 0, min(1, TEXT_LENGTH - text.shape[1])))
    is_padding = ~text.any(-1)
    num_here = is_padding.sum(-1, keepdim=True).clamp(min=1)
    num_in_wan = TEXT_LENGTH - text.shape[1] + num_here
    bias = torch.where(is_padding, torch.log(num_in_wan / num_here), 0.0)
    return text, bias[:, None, None, :].to(text.dtype)
