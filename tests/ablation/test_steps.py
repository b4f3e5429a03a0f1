"""Families over the number of steps."""

from gpd.ablation.markdown import make_markdown
from gpd.ablation.page import make_page
from gpd.ablation.steps import FLOOR, head, lines, pays, table_rows, verdicts
from gpd.documents import AblationRow, Spread
from tests.ablation.rows import floor, results, row

ROWS = [
    row("single-k8", 0.2, "steps", family="single", steps=6),
    row("single-k48", 0.4, "steps", family="single", steps=1),
    row("jump-k8", 0.3, "steps", family="jump", steps=6),
    row("recipe", 0.1),
]
FLOORS = [floor("teacher-6", 0.169), floor("teacher-12", 0.07, steps=12), floor("teacher-1", 0.9, steps=1)]


def test_each_family_is_a_line_and_the_teacher_at_as_many_steps_the_floor() -> None:
    found = lines(results(ROWS, FLOORS))
    assert {label: sorted(line) for label, line in found.items()} == {"single": [1, 6], "jump": [6], FLOOR: [1, 6]}
    assert head(found)[2:] == ["6 steps", "1 step"]
    assert [line[2:] for line in table_rows(found)][::2] == [
        ["0.200 ± 0.010", "0.400 ± 0.010"],
        ["0.300 ± 0.010", "–"],
        ["0.169", "0.900"],
    ]


def test_a_floor_of_another_solver_or_without_guidance_is_not_the_line() -> None:
    others = [
        floor("teacher-6-unipc", 0.1).model_copy(update={"solver": "unipc"}),
        floor("teacher-6-unguided", 0.4).model_copy(update={"sampling_forwards": 6}),
    ]
    assert lines(results(ROWS, others))[FLOOR] == {}


def test_without_families_there_is_nothing_to_draw() -> None:
    assert lines(results([row("recipe", 0.1)], FLOORS)) == {}


def judged(label: str, steps: int, error: float, *stages: str, std: float | None = 0.003) -> AblationRow:
    metrics = {name: Spread(mean=error, std=std) for name in ("trajectory_error", "frechet_latent")}
    return row(f"{label}-{steps}", error, "steps", family=label, steps=steps, stages=list(stages), metrics=metrics)


def test_progression_pays_where_the_best_chain_is_ahead_by_more_than_the_deviation_of_the_difference() -> None:
    """By hand: deviations of .003 and .004 are one of .005 of the difference."""
    rows = [
        judged("one", 6, 0.2, "k8"),
        judged("folded", 6, 0.3, "k8", "k8-fold"),  # one horizon: no chain
        judged("two", 6, 0.196, "k4", "k8", std=0.004),
        judged("one", 3, 0.3, "k16"),
        judged("two", 3, 0.294, "k8", "k16", std=0.004),
        judged("worse", 3, 0.4, "k8", "k16", std=0.004),
        judged("one", 2, 0.3, "k24"),
        judged("two", 2, 0.306, "k8", "k24", std=0.004),
        judged("one", 1, 0.5, "k48"),
        judged("one alone", 4, 0.3, "k12"),
        judged("two", 1, 0.4, "k24", "k48", std=None),
    ]
    found = verdicts(results(rows, []))
    assert [(one.single.steps, one.single.family, one.chain.family, one.word) for one in found[:4]] == [
        (6, "one", "two", "a tie"),
        (3, "one", "two", "yes"),
        (2, "one", "two", "no"),
        (1, "one", "two", "one seed alone"),
    ]
    assert pays(found).startswith(
        "Does progression pay (seeds: 3)? By error: a tie at 6 steps, yes at 3 steps, no at 2 "
    )
    assert "progression pays" in make_markdown(results(rows, []))


def test_a_verdict_names_the_rate_of_a_family_that_has_several() -> None:
    rows = [judged("one", 6, 0.2, "k8"), judged("two", 6, 0.3, "k4", "k8")]
    swept = [rows[0], rows[1].model_copy(update={"is_swept": True, "learning_rate": 4e-4})]
    assert [found.cells()[3::2] for found in verdicts(results(swept, []))[:1]] == [["one", "two, rate 0.0004"]]


def test_the_page_draws_them_for_both_metrics() -> None:
    page = make_page(results(ROWS, FLOORS))
    assert page.count("<svg") == 2
    assert page.count(FLOOR) >= 2
