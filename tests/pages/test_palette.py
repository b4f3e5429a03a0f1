import itertools

from gpd.pages.palette import INK, make_look


def test_no_two_series_share_a_colour() -> None:
    paints = [make_look(number).paint for number in (INK, *range(60))]
    assert len(set(paints)) == len(paints)


def test_neighbouring_hues_differ_in_dash_and_shape_too() -> None:
    looks = [make_look(number) for number in range(15)]
    for first, second in itertools.combinations(looks, 2):
        hues = [float(look.paint.rstrip(")").split()[-1]) for look in (first, second)]
        apart = abs(hues[0] - hues[1])
        assert min(apart, 360 - apart) > 45 or (first.dash != second.dash and first.shape != second.shape)
