from gpd.ablation.tables import figure, make_markdown
from gpd.documents import Spread
from tests.ablation.rows import floor, results, row


def test_figures_for_people() -> None:
    assert figure(Spread(mean=0.2074, std=0.0031)) == "0.207 ± 0.003"
    assert figure(Spread(mean=0.2074)) == "0.207"
    assert figure(None) == "–"


def test_the_table_has_every_row_under_its_group() -> None:
    text = make_markdown(results([row("recipe", 0.19), row("off", 0.2, "frequency")], [floor("teacher-6", 0.169)]))
    lines = text.splitlines()
    assert "| recipe | 3 | 6 | 30,000 | 0.190 ± 0.010 | 0.020 | – | – | – | – | – |" in lines
    assert [line.split(" | ")[0] for line in lines if " seeds | " in line] == [
        "| the undistilled teacher",
        "| rivals",
        "| frequency",
    ]
    assert any(line.startswith("| teacher-6 | 1 | 12 | 0 | 0.169 |") for line in lines)
