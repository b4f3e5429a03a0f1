"""Families over the number of steps."""

from gpd.ablation.page import make_page
from gpd.ablation.steps import FLOOR, head, lines, table_rows
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


def test_the_page_draws_them_for_both_metrics() -> None:
    page = make_page(results(ROWS, FLOORS))
    assert page.count("<svg") == 2
    assert page.count(FLOOR) >= 2
