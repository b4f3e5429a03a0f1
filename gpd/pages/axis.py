"""An axis of a chart: its range, and where on it a value lies."""

import math
from dataclasses import dataclass
from typing import Any

MOST_VALUES = 8  # the data's own values are the ticks if there are no more
TICK_PX = 55  # about, from one tick to the next
NUMBER = (
    "abs(datum.value) >= 1e6 ? format(datum.value / 1e6, '.3~r') + 'M' : "
    "abs(datum.value) >= 1e4 ? format(datum.value / 1e3, '.3~r') + 'k' : "
    "abs(datum.value) >= 1e3 ? format(datum.value, ',.0f') : format(datum.value, '.3~g')"
)


@dataclass(frozen=True)
class Axis:
    """A range of values over a length in px; a logarithmic one needs positive values."""

    title: str
    low: float
    high: float
    length_px: float
    is_log: bool

    def place(self, value: float) -> float:
        """Distance of a value from the axis's beginning, px."""
        low, high, here = (math.log(v) if self.is_log else v for v in (self.low, self.high, value))
        return (here - low) / (high - low) * self.length_px

    def encode(self, field: str, values: list[float]) -> dict[str, Any]:
        """A field along this axis for Vega-Lite, its ticks at `values` if they are few whole numbers, else round ones.

        Vega leaves out a label that would cover another.
        """
        kind = "log" if self.is_log else "linear"
        scale = {"type": kind, "domain": [self.low, self.high], "nice": False, "zero": False}
        axis = {"title": self.title, "labelExpr": NUMBER, "labelFlush": False, "aria": False}
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis | self._ticks(set(values))}

    def _ticks(self, values: set[float]) -> dict[str, Any]:
        if 0 < len(values) <= MOST_VALUES and all(float(value).is_integer() for value in values):
            return {"values": sorted(values)}
        if self.is_log and self.high > 10 * self.low:
            return {"values": self._decades()}
        return {"tickCount": round(self.length_px / TICK_PX)}

    def _decades(self) -> list[float]:
        """1, 2, 5, 10, 20 and so on, over many decades powers of ten alone: Vega would mark each digit."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        digits = (1, 2, 5) if last - first <= 3 else (1,)
        numbers = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        return [number for number in numbers if self.low <= number <= self.high]


def make_axis(title: str, values: list[float], length_px: float, *, is_log: bool, from_zero: bool = False) -> Axis:
    """An axis that covers the values with a little air."""
    low, high = min(values), max(values)
    if is_log:
        air = max((high / low) ** 0.06, 1.05)
        return Axis(title, low / air, high * air, length_px, True)
    low = min(0.0, low) if from_zero else low
    air = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return Axis(title, low if from_zero and low == 0 else low - air, high + air, length_px, False)


def reach(value: float, spread: float | None, *, is_log: bool) -> tuple[float, float]:
    """The ends of a bar of spread; on a logarithmic axis it goes no lower than a tenth of the value."""
    low = value - (spread or 0.0)
    return max(low, 0.1 * value) if is_log else low, value + (spread or 0.0)


def number_text(value: float) -> str:
    """Three digits; 1,200 in full, 12,000 is 12k, a million 1M."""
    for least, factor, unit in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}".replace("e-0", "e-") if abs(value) < 1000 else f"{value:,.0f}"


def figure_words(name: str, *values: float, spread: float | None) -> str:
    """The text shown when a point is pointed at."""
    figures = ", ".join(number_text(value) for value in values)
    return f"{name}: {figures}" + ("" if spread is None else f" ± {number_text(spread)}")
