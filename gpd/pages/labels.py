"""Where the names of a chart's points find room: Vega's own placing of labels needs a browser's canvas."""

CHAR_PX, HEIGHT_PX = 8.0, 16.0  # of a label, on the safe side
GAP_PX = 6.0  # between a point's middle and its label

Box = tuple[float, float, float, float]  # left, top, right, bottom, px


def choose_sides(labels: list[tuple[float, float, str]], width: float, height: float) -> list[str | None]:
    """For each (x, y, text): the first of above, right, below, left where the text covers nothing and lies inside.

    Px count from the left and from the top. None if no side is free, and for an empty text.
    """
    taken = [_box(x, y, 0.0, 0.0, GAP_PX) for x, y, _ in labels]
    sides: list[str | None] = []
    for x, y, text in labels:
        free = {
            side: box
            for side, box in _boxes(x, y, CHAR_PX * len(text)).items()
            if text and _is_inside(box, width, height) and not any(_overlap(box, other) for other in taken)
        }
        sides.append(next(iter(free), None))
        taken += list(free.values())[:1]
    return sides


def _boxes(x: float, y: float, width: float) -> dict[str, Box]:
    across, down = GAP_PX + width / 2, GAP_PX + HEIGHT_PX / 2
    middles = {"above": (x, y - down), "right": (x + across, y), "below": (x, y + down), "left": (x - across, y)}
    return {side: _box(*middle, width / 2, HEIGHT_PX / 2, 0.0) for side, middle in middles.items()}


def _box(x: float, y: float, half_width: float, half_height: float, air: float) -> Box:
    return x - half_width - air, y - half_height - air, x + half_width + air, y + half_height + air


def _is_inside(box: Box, width: float, height: float) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height


def _overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
