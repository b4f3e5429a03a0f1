import pytest

from gpd.ablation.grid import AblationGrid
from gpd.ablation.table import crossing, crossings, figure, make_markdown, make_page, spread, with_agreement
from tests.ablation.test_grid import GRID


def row(label: str, error: float, group: str = "rivals", training: int = 30_000) -> dict[str, object]:
    return {
        "variant": label,
        "label": label,
        "group": group,
        "num_seeds": 3,
        "sampling_forwards": 6,
        "training_forwards": training,
        "metrics": {"trajectory_error": {"mean": error, "std": 0.01}, "frechet_latent": {"mean": 0.02, "std": None}},
    }


def test_spread_is_the_sample_deviation_by_hand() -> None:
    assert spread([1.0, 2.0, 3.0]) == {"mean": 2.0, "std": 1.0}
    assert spread([0.25]) == {"mean": 0.25, "std": None}


def test_agreement_is_the_mean_over_the_captions_properties() -> None:
    read = with_agreement({"agreement_colour": 1.0, "agreement_shape": 0.5, "ssim": 0.9})
    assert read["agreement"] == 0.75
    assert "agreement" not in with_agreement({"ssim": 0.9})


def test_figures_for_people() -> None:
    assert figure({"mean": 0.2074, "std": 0.0031}) == "0.207 ± 0.003"
    assert figure({"mean": 0.2074, "std": None}) == "0.207"
    assert figure(None) == "–"


def test_a_curve_crosses_a_floor_halfway_on_the_logarithmic_axis() -> None:
    curve = [(100.0, 0.4), (10_000.0, 0.2), (20_000.0, 0.1)]
    assert crossing(curve, 0.3) == pytest.approx(1000)
    assert crossing(curve, 0.2) == pytest.approx(10_000)
    assert crossing(curve, 0.15) == pytest.approx(20_000 / 2**0.5)
    assert crossing(curve, 0.5) == 100
    assert crossing(curve, 0.05) is None


def test_crossings_are_told_of_curves_alone() -> None:
    floor = row("teacher-6", 0.3)
    rows = [row("curve", 0.4, training=100), row("curve", 0.2, training=10_000), row("point", 0.1)]
    assert crossings(rows, [floor]) == [["curve", "teacher-6", "1,000", "by 100"]]
    assert crossings(rows, [row("teacher-48", 0.1)])[0][2] == "not by 10,000"


def test_the_table_has_every_row_under_its_group() -> None:
    floors = [
        {"label": "teacher-6", "sampling_forwards": 12, "metrics": {"trajectory_error": {"mean": 0.169, "std": None}}}
    ]
    text = make_markdown([row("recipe", 0.19), row("off", 0.2, "frequency")], floors)
    lines = text.splitlines()
    assert "| recipe | 3 | 6 | 30,000 | 0.190 ± 0.010 | 0.020 | – | – | – | – | – |" in lines
    assert [line.split(" | ")[0] for line in lines if " seeds | " in line] == [
        "| the undistilled teacher",
        "| rivals",
        "| frequency",
    ]
    assert any(line.startswith("| teacher-6 | 1 | 12 | 0 | 0.169 |") for line in lines)


def test_the_page_draws_curves_over_training_and_floors_as_levels() -> None:
    floors = [
        {
            "label": "teacher-6",
            "sampling_forwards": 12,
            "metrics": {
                "trajectory_error": {"mean": 0.169, "std": None},
                "frechet_latent": {"mean": 0.05, "std": None},
            },
        }
    ]
    rows = [row("recipe", 0.19), row("recipe", 0.16, training=90_000), row("other <b>", 0.2)]
    page = make_page(AblationGrid.model_validate(GRID), rows, floors)
    assert "other &lt;b&gt;" in page
    assert page.count("<svg") == 2
    assert "teacher-6, 12 forwards a clip" in page


@pytest.mark.parametrize("rows", [[]])
def test_an_empty_ablation_is_still_a_page(rows: list[dict[str, object]]) -> None:
    assert "<h1>" in make_page(AblationGrid.model_validate(GRID), rows, [])
