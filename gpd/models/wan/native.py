"""The names of weights in Wan's own repository, which ComfyUI and most tools read."""

import re

# diffusers -> Wan: the inverse of diffusers' `convert_wan_transformer_to_diffusers`, for text to video
PIECES = {
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "attn1": "self_attn",
    "attn2": "cross_attn",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "o",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "norm2": "norm3",  # the two are counted the other way round
    "norm3": "norm2",
    "proj_out": "head.head",
    "scale_shift_table": "modulation",
}
_PIECE = re.compile(rf"(?<![^.])({'|'.join(map(re.escape, PIECES))})(?![^.])")


def to_native(name: str) -> str:
    """Such as blocks.0.self_attn.q from blocks.0.attn1.to_q, for layers and for their weights."""
    if name == "scale_shift_table":
        return "head.modulation"
    return _PIECE.sub(lambda match: PIECES[match[1]], name)
