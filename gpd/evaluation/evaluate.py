"""DVC stage `evaluate@NAME`: a subject's samples decoded and measured beside the reference's. No network is sampled."""

from pathlib import Path

from gpd import artifacts, documents
from gpd.data.shards import open_latents
from gpd.evaluation.decoding import decode_beforehand
from gpd.evaluation.measuring import Bench, Result
from gpd.evaluation.metrics import METRICS
from gpd.evaluation.outputs import write_clips, write_scores
from gpd.evaluation.protocol import EVALUATIONS, make_protocol
from gpd.evaluation.strips import write_strip
from gpd.params import REFERENCE, Params
from gpd.sampling.plan import LATENTS, open_samples
from gpd.stages import settings_of


def run(params: Params, name: str) -> None:
    """Measures a key of sample.subjects into data/evaluations/NAME/.

    Raises:
        UserError: there is no such subject, or its samples, or the reference's, are missing or of other params.
    """
    subject, reference = open_samples(params, name), open_samples(params, REFERENCE)
    protocol, checkpoint = make_protocol(params), subject.manifest.inputs["checkpoint"].content
    settings = settings_of(f"evaluate@{name}", params.model_dump())
    inputs = {"samples": subject.manifest.identity, "reference": reference.manifest.identity}
    with documents.recording_run(f"evaluate@{name}", settings) as record:
        has_decoded = decode_beforehand(params, subject, reference)
        bench = Bench(params, reference, open_latents(LATENTS, params), has_decoded=has_decoded)
        record.device = bench.device
        result = bench.describe_reference() if name == REFERENCE else bench.measure(subject)
        with artifacts.replacing(EVALUATIONS / name) as folder:
            write_scores(folder, protocol, checkpoint, result)
            rate, student = params.encode.frames_per_second, Path(params.sample.subjects[name].checkpoint)
            clips = write_clips(folder / "clips", rate, result)
            strip = write_strip(folder / "clips", student, checkpoint, bench.decode, rate)
            clips = clips.model_copy(update={"strip": strip})
            manifest = documents.write_manifest(folder / "clips", clips, inputs=inputs, params=settings)
        bench.prune_kept()
        record.wrote(EVALUATIONS / name / "clips", manifest)
    print(summary(result))


def summary(result: Result) -> str:
    """One line for a person."""
    headlines = [metric for name, metric in METRICS.items() if metric.headline and name in result.scores]
    figures = ", ".join(f"{metric.headline} {result.scores[metric.name].value:.3f}" for metric in headlines)
    return f"evaluate {result.facts.subject}: {result.facts.forwards} forwards; {figures}"
