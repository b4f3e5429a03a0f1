"""The report's page: figures from here, words from templates/."""

from gpd.evaluation.difference import scale_colours
from gpd.evaluation.metrics import METRICS
from gpd.pages.html import Markup, render
from gpd.params import Params
from gpd.report.charts import budgets_beside, make_cost_charts, make_training_charts
from gpd.report.clips import make_cards
from gpd.report.lead import headlines, make_rows, make_tiles
from gpd.report.outcome import Outcome
from gpd.report.profiles import make_profile_charts
from gpd.report.provenance import make_origins
from gpd.report.published import PUBLISHED
from gpd.report.rivals import RESULTS
from gpd.report.tables import ARROWS, ROLES, columns, make_ledger, make_scores, rival_tables


def make_page(params: Params, outcome: Outcome) -> Markup:
    """The whole page as HTML."""
    return render(
        "gpd.report",
        "report.html",
        title=params.report.title,
        outcome=outcome,
        catalogue=METRICS,
        arrows=ARROWS,
        tiles=make_tiles(outcome),
        headlines=headlines(outcome),
        rows_by_steps=make_rows(outcome),
        cards=make_cards(outcome, params.report.num_clips),
        ramp=scale_colours(9),
        columns=columns(outcome),
        scores=make_scores(outcome, columns(outcome)),
        charts={
            "cost": make_cost_charts(outcome),
            "profiles": make_profile_charts(outcome),
            "training": make_training_charts(outcome),
        },
        rivals=rival_tables(outcome.rivals),
        budgets=budgets_beside(outcome),
        results=RESULTS,
        roles=ROLES,
        ledger=make_ledger(outcome),
        origins=make_origins(params, outcome),
        published=PUBLISHED,
        is_miniature=params.model.hub is None,
    )
