"""What is sampled for a subject: rows, kept points and parts, which follow from params and inputs alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.jobs import Work
from gpd.data.rows import PROMPT_ROWS, PROMPTS, Prompt, load_rows
from gpd.documents import Identity, Listing, Point, PromptsFacts, Sample, SamplesFacts
from gpd.params import REFERENCE, Params, Subject
from gpd.sampling.samples import SampleSet, part_name
from gpd.stages import settings_of, work_folder

LATENTS, SAMPLES = Path("data/latents"), Path("data/samples")


@dataclass(frozen=True)
class Part:
    """One file: consecutive rows, sampled as one batch."""

    index: int
    rows: list[Sample]

    @property
    def name(self) -> str:
        """The file's name."""
        return part_name(self.index)


@dataclass(frozen=True)
class Plan:
    """All that the samples of a subject depend on, and where they wait until all are there."""

    subject: str
    inputs: dict[str, Identity]
    settings: dict[str, Any]
    listing: Listing
    facts: SamplesFacts

    @property
    def parts(self) -> list[Part]:
        """Files of `listing.batch` rows."""
        rows, size = [*self.listing.samples, *self.listing.further], self.listing.batch
        return [Part(index, rows[start : start + size]) for index, start in enumerate(range(0, len(rows), size))]

    @property
    def work(self) -> Work:
        """The folder of unfinished work, used by these inputs and settings only."""
        return Work(work_folder(f"sample@{self.subject}", self.settings, self.inputs))


def make_plan(params: Params, name: str) -> Plan:
    """The plan of a key of sample.subjects.

    Raises:
        UserError: there is no such subject, an input is missing, or there are too few prompts.
    """
    _check_name(params, name)
    inputs = {key: documents.identify(folder) for key, folder in input_folders(params, name).items()}
    listing = list_samples(params, name, _read_prompts(params))
    asked = params.sample.subjects[name]
    facts = SamplesFacts(
        subject=f"teacher-{asked.steps}" if name == REFERENCE else name,
        solver=asked.solver,
        steps=asked.steps,
        guidance_scale=asked.guidance_scale,
        forwards=subject_forwards(asked),
        num_samples=len(listing.samples),
        num_further=len(listing.further),
    )
    return Plan(name, inputs, settings_of(f"sample@{name}", params.model_dump()), listing, facts)


def _check_name(params: Params, name: str) -> None:
    if name not in params.sample.subjects:
        raise UserError(f"params.yaml: sample.subjects has no {name!r}; it has {', '.join(params.sample.subjects)}")


def input_folders(params: Params, name: str) -> dict[str, Path]:
    """What goes into a subject's samples."""
    checkpoint = Path(params.sample.subjects[name].checkpoint)
    return {"teacher": Path(params.model.path), "checkpoint": checkpoint, "prompts": PROMPTS, "latents": LATENTS}


def subject_forwards(subject: Subject) -> int:
    """Network evaluations of one sample; guidance takes two a step."""
    return subject.steps * (1 if subject.guidance_scale == 1.0 else 2)


def list_samples(params: Params, name: str, prompts: list[Sample]) -> Listing:
    """The prompts, once for each seed; then what the diversity needs besides."""
    sample = params.sample
    samples = [row.model_copy(update={"seed": seed}) for seed in sample.seeds for row in prompts]
    seeds = range(sample.seeds[0], sample.seeds[0] + sample.diversity_seeds)
    groups = [[row.model_copy(update={"seed": seed}) for seed in seeds] for row in prompts[: sample.diversity_prompts]]
    further = [row for group in groups for row in group if row not in samples]
    rows = [*samples, *further]
    return Listing(
        batch=sample.batch,
        points=kept_points(params, name),
        samples=samples,
        further=further,
        diversity=[[rows.index(row) for row in group] for group in groups],
    )


def _read_prompts(params: Params) -> list[Sample]:
    documents.load_manifest(PROMPTS, PromptsFacts)
    rows = [row for row in load_rows(PROMPTS / PROMPT_ROWS, Prompt) if row.split == "evaluation"]
    number = params.sample.num_prompts
    if len(rows) < number:
        raise UserError(
            f"params.yaml: sample.num_prompts={number}, but {PROMPTS}/prompts.jsonl holds {len(rows)} for evaluation"
        )
    return [Sample(id=row.id, text=row.text, seed=0, index=index) for index, row in enumerate(rows[:number])]


def kept_points(params: Params, name: str) -> list[Point]:
    """Of sample.num_kept_points even points of the base grid, the start left out, those that the subject comes by."""
    grid_steps, steps = params.model.grid_steps, params.sample.subjects[name].steps
    stage = params.distill.stages.get(name)
    interval = grid_steps // steps if stage is None else stage.horizon
    apart = grid_steps // params.sample.num_kept_points
    reached = [(step, min(step * interval, grid_steps)) for step in range(1, steps + 1)]
    return [Point(index=index, step=step) for step, index in reached if index % apart == 0]


def open_samples(params: Params, name: str) -> SampleSet:
    """Opens data/samples/NAME/.

    Raises:
        UserError: there is no such subject; its samples are missing, or are of other params or other inputs. An input
            that is gone is no mistake: samples may be measured where the checkpoint does not lie.
    """
    _check_name(params, name)
    found = SampleSet(SAMPLES / name)
    path, advice = SAMPLES / name / artifacts.MANIFEST, f"run `gpd sample {name}` again"
    for key, value in settings_of(f"sample@{name}", params.model_dump()).items():
        if (made := found.manifest.params.get(key)) != value:
            raise UserError(f"{path}: made for {key}={made!r}, params.yaml says {value!r}; {advice}")
    for key, folder in input_folders(params, name).items():
        if (folder / artifacts.MANIFEST).exists() and found.manifest.inputs[key] != documents.identify(folder):
            raise UserError(f"{path}: made from another {key}; {advice}")
    return found
