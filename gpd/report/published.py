"""VBench totals as others have printed them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A VBench total as printed, of Wan2.1-T2V-1.3B or a student of it."""

    system: str
    steps: int
    total: float
    source: str
    remark: str = ""


GPD, CODMD = "GPD, arXiv 2602.01814", "CoDMD, arXiv 2606.21982"
PUBLISHED = [
    Published("Wan2.1-T2V-1.3B, the teacher", 48, 83.92, GPD, "guided: 96 forwards"),
    Published("GPD", 6, 84.04, GPD, "0.55 A100-days of training; +0.12 on its teacher"),
    Published("GPD", 5, 83.60, GPD),
    Published("CausVid", 3, 83.65, GPD, "a peer, as measured by the authors of GPD"),
    Published("AccVideo", 5, 83.28, GPD, "a peer, as measured by the authors of GPD"),
    Published("PeRFlow", 6, 82.54, GPD, "a peer, as measured by the authors of GPD"),
    Published("DMD2", 4, 84.72, "FastGen, NVlabs", "the toolbox's own measurement"),
    Published("CoDMD", 4, 84.46, CODMD, "48 GPU-days of training"),
    Published("rCM", 4, 84.43, "rCM, arXiv 2510.08431"),
    Published("rCM", 4, 82.81, CODMD, "the line above again, measured by others: 1.6 lower"),
    Published("DMD", 4, 83.38, CODMD, "a peer, as measured by the authors of CoDMD"),
    Published("Self-Forcing", 4, 84.31, "Self-Forcing, arXiv 2506.08009", "autoregressive: frames one after the other"),
]
