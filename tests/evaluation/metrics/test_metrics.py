from gpd.evaluation.metrics import METRICS, find_metrics


def test_every_metric_says_what_it_means_and_costs() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.meaning.endswith("."), name
        assert metric.cost, name


def test_found_again_in_the_same_order_by_place() -> None:
    assert list(find_metrics()) == list(METRICS)
    places = [metric.place for metric in METRICS.values()]
    assert places == sorted(places)


def test_every_metric_uses_a_row_that_its_measure_names() -> None:
    for name, metric in METRICS.items():
        assert metric.row is None or metric.row in metric.measure.names, name


def test_metrics_of_one_measure_share_the_object() -> None:
    """Equal rows from two measures would be computed twice, and the second would replace the first."""
    measures = {metric.measure for metric in METRICS.values()}
    names = [name for measure in measures for name in measure.names]
    assert len(names) == len(set(names))


def test_headlines_have_words_of_their_own() -> None:
    words = [metric.headline for metric in METRICS.values() if metric.headline]
    assert words
    assert len(words) == len(set(words))
