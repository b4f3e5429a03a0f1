"""Every metric by name: which way is better, and what it says in plain words."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "one"]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown. `direction` "one" means: the nearer to 1, the better."""

    label: str
    direction: Direction
    meaning: str
    decimals: int = 3

    def badness(self, value: float) -> float:
        """Smaller is better, whatever the direction."""
        return {"lower": value, "higher": -value, "one": abs(value - 1.0)}[self.direction]


CATALOGUE = {
    "trajectory_error": Metric(
        "Trajectory error",
        "lower",
        "Distance of the final latent from the reference on the same prompt and noise, relative to its length.",
    ),
    "psnr": Metric("PSNR, dB", "higher", "Pixel fidelity of the decoded frames to the reference; 58.9 is identity.", 2),
    "ssim": Metric("SSIM", "higher", "Structural similarity of the decoded frames to the reference; 1 is identity."),
    "frechet_latent": Metric(
        "Fréchet, latents", "lower", "Fréchet distance to the reference on means and deviations of latent channels."
    ),
    "frechet_pixel": Metric(
        "Fréchet, pixels", "lower", "Fréchet distance to the reference on colour and change of the frames.", 4
    ),
    "frechet_latent_clips": Metric("Fréchet, latents, to real clips", "lower", "The same distance to real clips."),
    "frechet_pixel_clips": Metric("Fréchet, pixels, to real clips", "lower", "The same distance to real clips.", 4),
    "motion_ratio": Metric(
        "Motion", "one", "Median optical-flow magnitude over the reference's; below 1 is slow motion."
    ),
    "motion_top_ratio": Metric(
        "Motion, fastest 5 %", "one", "Flow of the fastest 5 % of pixels over the reference's; the dynamic degree."
    ),
    "spectral_space_ratio": Metric(
        "Detail in space", "one", "Share of energy above 0.25 cycles/pixel over the reference's; below 1 is blur."
    ),
    "spectral_time_ratio": Metric(
        "Detail in time", "one", "Share of energy above 0.25 cycles/frame over the reference's; below 1 is smoothing."
    ),
    "flicker": Metric(
        "Flicker score",
        "higher",
        "VBench's form: 1 - mean step between frames. Rewards stillness: read with motion.",
        4,
    ),
    "flicker_ratio": Metric("Change between frames", "one", "Mean step between frames over the reference's."),
    "saturation_ratio": Metric("Saturation", "one", "Mean saturation over the reference's; above 1 is burnt."),
    "brightness_ratio": Metric("Brightness", "one", "Mean brightness over the reference's."),
    "clipped_share": Metric("Clipped pixels", "lower", "Share of pixels with a channel at 0 or 255.", 4),
    "colour_shift": Metric(
        "Colour shift, Lab", "lower", "Distance of the clip's mean colour from the reference's; 2 can just be seen.", 2
    ),
    "diversity_ratio": Metric(
        "Diversity", "one", "Distance between seeds of one prompt over the reference's; below 1 is collapse."
    ),
    "agreement_colour": Metric("Right colour", "higher", "Share of clips whose colour is the caption's."),
    "agreement_shape": Metric("Right shape", "higher", "Share of clips whose shape is the caption's."),
    "agreement_direction": Metric("Right direction", "higher", "Share of clips that move as the caption says."),
    "agreement_speed": Metric("Right speed", "higher", "Share of clips whose speed is the caption's."),
    "agreement_background": Metric("Right background", "higher", "Share of clips whose background is the caption's."),
}
