from gpd.ablation.markdown import make_markdown
from gpd.ablation.tables import figure, label_of
from gpd.documents import Spread
from tests.ablation.rows import floor, results, row

RATES = ((4e-4, 0.3), (8e-4, 0.2), (1.6e-3, 0.25))


def test_figures_for_people() -> None:
    assert figure(Spread(mean=0.2074, std=0.0031)) == "0.207 ± 0.003"
    assert figure(Spread(mean=0.2074)) == "0.207"
    assert figure(None) == "–"


def test_the_table_has_every_row_under_its_group() -> None:
    text = make_markdown(results([row("recipe", 0.19), row("off", 0.2, "frequency")], [floor("teacher-6", 0.169)]))
    lines = text.splitlines()
    assert "| recipe | 3 | 6 | 30,000 | 0.190 ± 0.010 | 0.020 | – | – | – | – | – | abc1234 |" in lines
    assert [line.split(" | ")[0] for line in lines if " seeds | " in line] == [
        "| the undistilled teacher",
        "| rivals",
        "| frequency",
    ]
    assert any(line.startswith("| teacher-6 | 1 | 12 | 0 | 0.169 |") for line in lines)


def test_of_several_learning_rates_the_best_is_shown_with_its_rate() -> None:
    swept = [
        row("a", error, variant=f"a@{rate:g}", origin="a", learning_rate=rate, is_swept=True) for rate, error in RATES
    ]
    (best,) = results(swept, []).best_rows()
    assert label_of(best) == "a, rate 0.0008"
    assert label_of(best.model_copy(update={"is_stale": True})) == "a, rate 0.0008 †"
    assert "†" in make_markdown(results([best.model_copy(update={"is_stale": True})], []))


def test_a_familys_sweep_has_a_best_rate_at_each_number_of_steps() -> None:
    errors = {(6, 8e-4): 0.2, (6, 4e-4): 0.3, (3, 8e-4): 0.5, (3, 4e-4): 0.4}
    swept = [
        row("b", error, variant=f"b-{steps}@{rate:g}", origin="b", steps=steps, learning_rate=rate, is_swept=True)
        for (steps, rate), error in errors.items()
    ]
    assert [(best.steps, best.learning_rate) for best in results(swept, []).best_rows()] == [(6, 8e-4), (3, 4e-4)]


def test_a_lucky_seed_is_not_shown_for_the_rate_that_ran_with_all() -> None:
    lucky, chosen = (
        row("a", error, variant=f"a@{rate:g}", origin="a", learning_rate=rate, is_swept=True)
        for rate, error in RATES[1:]
    )
    lucky = lucky.model_copy(update={"num_seeds": chosen.num_seeds - 1})
    assert results([lucky, chosen], []).best_rows() == [chosen]
