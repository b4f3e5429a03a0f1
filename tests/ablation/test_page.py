from gpd.ablation.page import make_page
from tests.ablation.rows import floor, results, row


def test_the_page_draws_curves_over_training_and_floors_as_levels() -> None:
    rows = [row("recipe", 0.19), row("recipe", 0.16, training=90_000), row("other <b>", 0.2)]
    page = make_page(results(rows, [floor("teacher-6", 0.169)]))
    assert "other &lt;b&gt;" in page
    assert page.count("<svg") == 2
    assert "teacher-6, 12 forwards a clip" in page


def test_an_empty_ablation_is_still_a_page() -> None:
    assert "<h1>" in make_page(results([], []))
