"""Every metric by name: which way is better, and what it says in plain words."""

from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["lower", "higher", "one"]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown. `direction` "one" means: the nearer to 1, the better.

    `cost` is what it takes besides the sampling: milliseconds of one CPU core for a million pixels (a clip of 17 frames
    of 64 x 64 px has .07, one of 81 frames of 480 x 832 px has 32), and what else it needs.
    """

    label: str
    direction: Direction
    meaning: str
    decimals: int = 3
    cost: str = field(kw_only=True)

    def badness(self, value: float) -> float:
        """Smaller is better, whatever the direction."""
        return {"lower": value, "higher": -value, "one": abs(value - 1.0)}[self.direction]


CATALOGUE = {
    "trajectory_error": Metric(
        "Trajectory error",
        "lower",
        "Distance of the final latent from the reference on the same prompt and noise, relative to its length.",
        cost="nothing; needs the reference on the same noise",
    ),
    "psnr": Metric(
        "PSNR, dB",
        "higher",
        "Pixel fidelity of the decoded frames to the reference; 58.9 is identity.",
        2,
        cost="5 ms/Mpx; needs pairs",
    ),
    "ssim": Metric(
        "SSIM",
        "higher",
        "Structural similarity of the decoded frames to the reference; 1 is identity.",
        cost="11 ms/Mpx; needs pairs",
    ),
    "frechet_latent": Metric(
        "Fréchet, latents",
        "lower",
        "Fréchet distance to the reference on means and deviations of latent channels.",
        cost="nothing; needs 2 samples a feature (64 at 16 channels)",
    ),
    "frechet_pixel": Metric(
        "Fréchet, pixels",
        "lower",
        "Fréchet distance to the reference on colour and change of the frames.",
        4,
        cost="16 ms/Mpx; needs 30 samples a side",
    ),
    "frechet_latent_clips": Metric(
        "Fréchet, latents, to real clips",
        "lower",
        "The same distance to real clips.",
        cost="as Fréchet, latents; needs encoded real clips",
    ),
    "frechet_pixel_clips": Metric(
        "Fréchet, pixels, to real clips",
        "lower",
        "The same distance to real clips.",
        4,
        cost="as Fréchet, pixels; needs encoded real clips",
    ),
    "motion_ratio": Metric(
        "Motion",
        "one",
        "Median optical-flow magnitude over the reference's; below 1 is slow motion.",
        cost="80 ms/Mpx (OpenCV's DIS flow)",
    ),
    "motion_top_ratio": Metric(
        "Motion, fastest 5 %",
        "one",
        "Flow of the fastest 5 % of pixels over the reference's; the dynamic degree.",
        cost="none beside Motion",
    ),
    "spectral_space_ratio": Metric(
        "Detail in space",
        "one",
        "Share of energy above 0.25 cycles/pixel over the reference's; below 1 is blur.",
        cost="20 ms/Mpx",
    ),
    "spectral_time_ratio": Metric(
        "Detail in time",
        "one",
        "Share of energy above 0.25 cycles/frame over the reference's; below 1 is smoothing.",
        cost="18 ms/Mpx",
    ),
    "flicker": Metric(
        "Flicker score",
        "higher",
        "VBench's form: 1 - mean step between frames. Rewards stillness: read with motion.",
        4,
        cost="3 ms/Mpx",
    ),
    "flicker_ratio": Metric(
        "Change between frames",
        "one",
        "Mean step between frames over the reference's.",
        cost="none beside Flicker score",
    ),
    "saturation_ratio": Metric(
        "Saturation", "one", "Mean saturation over the reference's; above 1 is burnt.", cost="37 ms/Mpx"
    ),
    "brightness_ratio": Metric("Brightness", "one", "Mean brightness over the reference's.", cost="18 ms/Mpx"),
    "clipped_share": Metric(
        "Clipped pixels", "lower", "Share of pixels with a channel at 0 or 255.", 4, cost="19 ms/Mpx"
    ),
    "colour_shift": Metric(
        "Colour shift, Lab",
        "lower",
        "Distance of the clip's mean colour from the reference's; 2 can just be seen.",
        2,
        cost="8 ms/Mpx; needs pairs",
    ),
    "diversity_ratio": Metric(
        "Diversity",
        "one",
        "Distance between seeds of one prompt over the reference's; below 1 is collapse.",
        cost="sampling of further seeds of each prompt, 2 at least",
    ),
    "agreement_colour": Metric(
        "Right colour",
        "higher",
        "Share of clips whose colour is the caption's.",
        cost="8 ms a clip of the miniature, all five; its captions only",
    ),
    "agreement_shape": Metric(
        "Right shape",
        "higher",
        "Share of clips whose shape is the caption's.",
        cost="8 ms a clip of the miniature, all five; its captions only",
    ),
    "agreement_direction": Metric(
        "Right direction",
        "higher",
        "Share of clips that move as the caption says.",
        cost="8 ms a clip of the miniature, all five; its captions only",
    ),
    "agreement_speed": Metric(
        "Right speed",
        "higher",
        "Share of clips whose speed is the caption's.",
        cost="8 ms a clip of the miniature, all five; its captions only",
    ),
    "agreement_background": Metric(
        "Right background",
        "higher",
        "Share of clips whose background is the caption's.",
        cost="8 ms a clip of the miniature, all five; its captions only",
    ),
}
