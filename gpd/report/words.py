"""What the report says in words: the protocol, what the metrics mean, and the figures that others have published."""

from dataclasses import dataclass

from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.pages.html import element, escape, paragraph, section, table
from gpd.params import Params
from gpd.report.outcome import Outcome
from gpd.report.tables import ARROWS


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


def make_protocol_text(outcome: Outcome) -> str:
    """How the figures came about, in plain words."""
    protocol = outcome.protocol
    names = {"hash": "Protocol", "prompts": "Prompts", "teacher": "Teacher"}
    facts = [(label, protocol[key]) for key, label in names.items()]
    words = "Figures may be compared where they were made under the same protocol; its hash is stored with each."
    return section(
        "How it was measured",
        _list(_protocol_words(outcome)),
        paragraph(words),
        element("dl", *(element("dt", label) + element("dd", escape(value)) for label, value in facts)),
    )


def _protocol_words(outcome: Outcome) -> dict[str, str]:
    protocol = outcome.protocol
    seeds = ", ".join(map(str, protocol["seeds"]))
    spread = (
        "There is one seed here, so none is shown, and a small difference may be chance."
        if len(protocol["seeds"]) == 1
        else f"There are {len(protocol['seeds'])} here."
    )
    answer = "answered by the rivals' spread alone" if outcome.rivals else "which this page does not answer"
    return {
        "Prompts": f"{protocol['num_prompts']} held out from training, sampled once for each noise seed ({seeds}).",
        "Reference": f"The teacher with {protocol['grid_steps']} Euler steps at guidance "
        f"{protocol['reference_guidance_scale']:g}: what distillation is to keep, not the best clip that there can be.",
        "Paired": "Every subject starts from the very noise that the reference started from, prompt by prompt. So a "
        "difference is the subject's doing, not another draw; fidelity (error, PSNR, SSIM) means nothing without it.",
        "Forwards": "The cost of a clip: evaluations of the network. A step without guidance takes one, a guided step "
        "two (with and without the prompt). Encoding the text and decoding the clip are the same for all and left out.",
        "Solver": "Students take plain Euler steps without guidance, on every k-th noise level of the teacher's grid. "
        "Baselines are the undistilled teacher with Euler, or with UniPC of order 2 as Wan's own code samples.",
        "Clips": f"{protocol['num_frames']} frames of {protocol['width']} × {protocol['height']} pixels; noise levels "
        f"shifted by {protocol['shift']:g}; the same VAE decodes all.",
        "Spread": f"± is the standard deviation over the noise seeds, of one trained student. {spread} How much "
        f"another training seed would change is another question, {answer}.",
        "Judges": "No learned network judges: all metrics are computed from latents and pixels.",
    }


def _list(words: dict[str, str]) -> str:
    return element("dl", *(element("dt", escape(key)) + element("dd", escape(text)) for key, text in words.items()))


def make_glossary(outcome: Outcome) -> str:
    """What each metric says."""
    entries = [CATALOGUE[name] for name in outcome.metrics]
    words = {f"{entry.label} {ARROWS[entry.direction]}": f"{entry.meaning} Cost: {entry.cost}." for entry in entries}
    return section("What the metrics say", _list(words))


def make_published(params: Params, outcome: Outcome) -> str:
    """The VBench totals of the paper and its peers, and why this page's figures do not stand among them."""
    rows = [
        [escape(row.system), str(row.steps), f"{row.total:.2f}", escape(row.source), escape(row.remark)]
        for row in PUBLISHED
    ]
    words = (
        "VBench totals at 480p as printed; each source has prompts, seeds, samplers and lengths of its own. "
        "The same teacher weights score 80.13 to 84.26 in five papers, so a point between "
        "two sources may be the protocol alone, and GPD's +0.12 on its teacher is parity. The total also rewards "
        "stillness: it means little without the dynamic degree beside it. GPD's figures are second-hand, from a public "
        "reading card of the paper."
    )
    head = ["System", "steps", "VBench total", "measured in", "remarks"]
    return section(
        "Beside published figures",
        paragraph(words, "soft"),
        element("div", table(head, [*rows, *_own_rows(params, outcome)]), class_="wordy"),
    )


def _own_rows(params: Params, outcome: Outcome) -> list[list[str]]:
    """The lead, without a total: it was not measured by VBench."""
    if outcome.lead is None:
        return []
    model = "" if params.model.hub else "another model (a miniature) and "
    remark = f"not comparable with the lines above: {model}other metrics; VBench was not run on it"
    steps = str(outcome.subjects[outcome.lead]["steps"])
    return [[element("b", escape(f"{outcome.lead}, this page")), steps, "–", "this page", element("b", escape(remark))]]
