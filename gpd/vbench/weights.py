"""The weights that VBench's dimensions need, where VBench looks for them, and where they are published.

VBench's cache is ~/.cache/vbench, or what VBENCH_CACHE_DIR names. Read from the package, version 0.1.5.
"""

import os
from pathlib import Path

from gpd.artifacts import UserError

HUB = "https://huggingface.co/OpenGVLab/VBench_Used_Models/resolve/main/"
CLIP = "https://openaipublic.azureedge.net/clip/models/"
SOURCES = {  # path below the cache -> where it is published; a path that ends in / is a folder
    "dino_model/facebookresearch_dino_main/": "git clone https://github.com/facebookresearch/dino",
    "dino_model/dino_vitbase16_pretrain.pth": (
        "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth"
    ),
    "clip_model/ViT-B-32.pt": f"{CLIP}40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    "clip_model/ViT-L-14.pt": f"{CLIP}b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    "amt_model/amt-s.pth": "https://huggingface.co/lalala125/AMT/resolve/main/amt-s.pth",
    "raft_model/models/raft-things.pth": "models.zip of https://github.com/princeton-vl/RAFT",
    "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth": (
        "https://github.com/LAION-AI/aesthetic-predictor/blob/main/sa_0_4_vit_l_14_linear.pth?raw=true"
    ),
    "pyiqa_model/musiq_spaq_ckpt-358bb6af.pth": (
        "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/musiq_spaq_ckpt-358bb6af.pth"
    ),
    "grit_model/grit_b_densecap_objectdet.pth": (
        "https://datarelease.blob.core.windows.net/grit/models/grit_b_densecap_objectdet.pth"
    ),
    "umt_model/l16_ptk710_ftk710_ftk400_f16_res224.pth": f"{HUB}l16_ptk710_ftk710_ftk400_f16_res224.pth",
    "caption_model/tag2text_swin_14m.pth": (
        "https://huggingface.co/spaces/xinyu1205/recognize-anything/resolve/main/tag2text_swin_14m.pth"
    ),
    "ViCLIP/ViClip-InternVid-10M-FLT.pth": f"{HUB}ViClip-InternVid-10M-FLT.pth",
    "ViCLIP/bpe_simple_vocab_16e6.txt.gz": (
        "https://github.com/openai/CLIP/raw/main/clip/bpe_simple_vocab_16e6.txt.gz"
    ),
}
RAFT = "raft_model/models/raft-things.pth"
GRIT = "grit_model/grit_b_densecap_objectdet.pth"
VICLIP = ("ViCLIP/ViClip-InternVid-10M-FLT.pth", "ViCLIP/bpe_simple_vocab_16e6.txt.gz")
NEEDED: dict[str, tuple[str, ...]] = {
    "subject_consistency": ("dino_model/facebookresearch_dino_main/", "dino_model/dino_vitbase16_pretrain.pth"),
    "background_consistency": ("clip_model/ViT-B-32.pt",),
    "temporal_flickering": (),
    "motion_smoothness": ("amt_model/amt-s.pth",),
    "dynamic_degree": (RAFT,),
    "aesthetic_quality": ("clip_model/ViT-L-14.pt", "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth"),
    "imaging_quality": ("pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",),
    "object_class": (GRIT,),
    "multiple_objects": (GRIT,),
    "color": (GRIT,),
    "spatial_relationship": (GRIT,),
    "human_action": ("umt_model/l16_ptk710_ftk710_ftk400_f16_res224.pth",),
    "scene": ("caption_model/tag2text_swin_14m.pth",),
    "appearance_style": ("clip_model/ViT-B-32.pt",),
    "temporal_style": VICLIP,
    "overall_consistency": VICLIP,
}
STATIC_FILTER = (RAFT,)


def cache_folder() -> Path:
    """Where VBench looks."""
    named = os.environ.get("VBENCH_CACHE_DIR")
    return Path(named) if named else Path.home() / ".cache" / "vbench"


def missing_weights(paths: tuple[str, ...], cache: Path) -> list[str]:
    """Those of the paths below the cache that are not there."""
    return [path for path in paths if not ((cache / path).is_dir() if path.endswith("/") else (cache / path).is_file())]


def check_weights(dimensions: list[str], static_filter: bool, cache: Path) -> None:
    """All that the dimensions need must be there before VBench starts: it would try to download them by wget.

    Raises:
        UserError: one line for each missing file: for which dimension, where to put it, where it is published.
    """
    wanted = {name: NEEDED[name] for name in dimensions}
    if static_filter and "temporal_flickering" in dimensions:
        wanted["the static filter of temporal_flickering (--no-static-filter does without)"] = STATIC_FILTER
    lines = [
        f"{name} needs {cache / path} (from {SOURCES[path]})"
        for name, paths in wanted.items()
        for path in missing_weights(paths, cache)
    ]
    if lines:
        raise UserError("VBench's weights are missing; put them there, or set VBENCH_CACHE_DIR:\n" + "\n".join(lines))
