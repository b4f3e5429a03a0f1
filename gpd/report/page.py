"""The report's page: figures from here, words from templates/."""

from gpd.evaluation.difference import scale_colours
from gpd.evaluation.metrics import METRICS
from gpd.pages.html import Markup, render
from gpd.params import Params
from gpd.report.charts import budget_words, make_cost_charts, make_training_charts
from gpd.report.clips import make_cards
from gpd.report.outcome import Outcome
from gpd.report.profiles import make_profile_charts
from gpd.report.provenance import make_origins
from gpd.report.published import PUBLISHED
from gpd.report.rivals import RESULTS
from gpd.report.tables import ARROWS, ROLES, figure_text, make_ledger, make_scores, rival_tables


def make_page(params: Params, outcome: Outcome) -> Markup:
    """The whole page as HTML."""
    floors = list(outcome.floors)
    beside, everyone = [*outcome.line_up[::-1], *floors], [*outcome.contenders, outcome.reference, *floors]
    return render(
        "gpd.report",
        "report.html",
        title=params.report.title,
        outcome=outcome,
        catalogue=METRICS,
        arrows=ARROWS,
        tiles=make_tiles(outcome),
        wins=count_wins(outcome),
        cards=make_cards(outcome, params.report.num_clips),
        ramp=scale_colours(9),
        scores={"beside": (beside, make_scores(outcome, beside)), "all": (everyone, make_scores(outcome, everyone))},
        charts={
            "cost": make_cost_charts(outcome),
            "profiles": make_profile_charts(outcome),
            "training": make_training_charts(outcome),
        },
        rivals=rival_tables(outcome.rivals),
        budget=budget_words(outcome.rivals),
        results=RESULTS,
        roles=ROLES,
        ledger=make_ledger(outcome),
        origins=make_origins(params, outcome),
        published=PUBLISHED,
        is_miniature=params.model.hub is None,
    )


def make_tiles(outcome: Outcome) -> list[list[str]]:
    """The lead's headline figures, each with its name and the main baseline's figure."""
    if outcome.lead is None:
        return []
    tiles = []
    for metric in [name for name, found in METRICS.items() if found.headline]:
        score = outcome.score(outcome.lead, metric)
        if score is not None:
            label = f"{METRICS[metric].label} {ARROWS[METRICS[metric].direction]}"
            tiles.append([figure_text(metric, score.value), label, *_beside(outcome, metric)])
    return tiles


def _beside(outcome: Outcome, metric: str) -> list[str]:
    name = outcome.main_baseline
    score = None if name is None else outcome.score(name, metric)
    return [] if score is None else [f"{name}: {figure_text(metric, score.value)}"]


def count_wins(outcome: Outcome) -> tuple[int, int]:
    """In how many metrics the lead is ahead of the main baseline, and of how many in which the two differ."""
    lead, baseline = outcome.lead, outcome.main_baseline
    if lead is None or baseline is None:
        return 0, 0
    best = [outcome.best(metric, [lead, baseline]) for metric in outcome.metrics]
    return sum(found == {lead} for found in best), sum(bool(found) for found in best)
