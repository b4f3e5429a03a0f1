"""The loss of a stage as its lines tell it: without a server."""

import base64
import xml.etree.ElementTree

import pytest

from flows.curve import LossCurve, loss_picture, parse_loss


@pytest.mark.parametrize(
    ("words", "loss"),
    [("loss 0.1234", 0.1234), ("loss 1e-05", 1e-5), ("", None), ("12 clips", None), ("glossy 3", None)],
)
def test_a_loss_is_read_from_words(words: str, loss: float | None) -> None:
    assert parse_loss(words) == loss


def test_a_curve_is_drawn_now_and_then_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    curve = LossCurve("loss-distill-k1")
    monkeypatch.setattr(curve, "show", drawn.append)
    for iteration in range(1, 7):
        curve.add(iteration, f"loss {1 / iteration:.4f}", is_last=iteration == 6)
    assert len(drawn) == 2  # with the third point, and with the last; the others came within seconds
    assert curve.points[-1] == (6, 0.1667)


def test_the_picture_is_an_svg_that_needs_nothing_else() -> None:
    kind, _, content = loss_picture([(1, 0.4), (2, 0.2), (3, 0.1)]).partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert xml.etree.ElementTree.fromstring(base64.b64decode(content)).tag.endswith("svg")
