"""The loss of a stage while it trains: a picture in Prefect's pages that grows with the stage's progress lines."""

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.artifacts import create_image_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from flows.pictures import data_uri

SECONDS_BETWEEN_PICTURES = 20.0
FEWEST_POINTS = 3  # less is no curve

_LOSS = re.compile(r"\bloss (?P<loss>\d\S*)")


def parse_loss(words: str) -> float | None:
    """The loss in the words beside a stage's progress, if it is one that trains."""
    found = _LOSS.search(words)
    try:
        return float(found["loss"]) if found else None
    except ValueError:
        return None


@dataclass
class LossCurve:
    """What a stage has said of its loss, and the picture of it.

    Attributes:
        key: of the artifact; a name in lower case with dashes.
    """

    key: str
    points: list[tuple[int, float]] = field(default_factory=list)
    artifact: UUID | None = None
    shown: float = field(default=-SECONDS_BETWEEN_PICTURES)

    def add(self, iteration: int, words: str, is_last: bool) -> None:
        """Takes a progress line; now and then, and with the last one, the picture is drawn anew."""
        loss = parse_loss(words)
        if loss is None:
            return
        self.points.append((iteration, loss))
        is_due = is_last or time.monotonic() - self.shown > SECONDS_BETWEEN_PICTURES
        if is_due and len(self.points) >= FEWEST_POINTS:
            self.shown = time.monotonic()
            self.show(loss_picture(self.points))

    def show(self, picture: str) -> None:
        """Puts the picture into the artifact, which is made with the first one."""
        if self.artifact is None:
            made: Any = create_image_artifact(picture, key=self.key, description="Loss over iterations")
            self.artifact = made
            return
        with get_client(sync_client=True) as client:
            client.update_artifact(self.artifact, ArtifactUpdate(data=picture))


def loss_picture(points: list[tuple[int, float]]) -> str:
    """Losses by iteration as SVG in a data URI."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(json.dumps(loss_chart(points)))
    return data_uri("image/svg+xml", svg.encode())


def loss_chart(points: list[tuple[int, float]]) -> dict[str, Any]:
    """The chart's description in Vega-Lite; the loss on a logarithmic axis, so that late gains are seen too."""
    return {
        "width": 640,
        "height": 280,
        "background": "white",
        "data": {"values": [{"iteration": iteration, "loss": loss} for iteration, loss in points]},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "iteration", "type": "quantitative"},
            "y": {"field": "loss", "type": "quantitative", "scale": {"type": "log", "nice": False}},
        },
    }
