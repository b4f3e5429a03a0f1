"""Wan2.1 as diffusers stores it. `model.Wan` is what other rooms open; these are its pieces."""

from gpd.models.network import STEPS_FILE, StepEmbedding, save_steps
from gpd.models.wan.attention import padding_bias
from gpd.models.wan.codec import ClipCodec
from gpd.models.wan.fresh import make_text_encoder, make_transformer, make_vae, patchify
from gpd.models.wan.network import VelocityNetwork, load_network
from gpd.models.wan.solvers import SOLVERS, dpm_solver, student_scheduler, unipc_solver
from gpd.models.wan.store import save_base, save_student
from gpd.models.wan.text import TEXT_LENGTH, TextEncoder

__all__ = [
    "SOLVERS",
    "STEPS_FILE",
    "TEXT_LENGTH",
    "ClipCodec",
    "StepEmbedding",
    "TextEncoder",
    "VelocityNetwork",
    "dpm_solver",
    "load_network",
    "make_text_encoder",
    "make_transformer",
    "make_vae",
    "padding_bias",
    "patchify",
    "save_base",
    "save_steps",
    "save_student",
    "student_scheduler",
    "unipc_solver",
]
