from gpd.evaluation.metrics.catalogue import CATALOGUE


def test_every_metric_says_what_it_means_and_costs() -> None:
    for name, metric in CATALOGUE.items():
        assert metric.meaning.endswith("."), name
        assert metric.cost, name


def test_badness_by_hand() -> None:
    assert CATALOGUE["psnr"].badness(20.0) == -20.0
    assert CATALOGUE["motion_ratio"].badness(1.25) == CATALOGUE["motion_ratio"].badness(0.75) == 0.25
    assert CATALOGUE["trajectory_error"].badness(0.3) == 0.3
