"""Reliability diagram: share correct by confidence, as a small SVG image.

What belongs here: drawing, as text: a few points need no plotting library.
Kept elsewhere: the points (`tables/performance.py`).
"""

import base64
from collections.abc import Sequence

SIDE, MARGIN = 280, 52
INK, DOT_COLOUR = "#555", "#2563a8"

Point = tuple[float, float, int]
"""Mean confidence, share correct (both 0 to 1), and number of rows."""


def draw_reliability_diagram(points: Sequence[Point]) -> str:
    """Return an SVG of the share correct by confidence; points on the diagonal are perfectly calibrated.

    The area of a point grows with its number of rows.
    """
    most = max((rows for _, _, rows in points), default=1)
    grid = "".join(_grid_line(tenth / 10) for tenth in range(0, 11, 2))
    dots = "".join(
        f'<circle cx="{_x(confidence):.1f}" cy="{_y(correct):.1f}" r="{3 + 7 * (rows / most) ** 0.5:.1f}"'
        f' fill="{DOT_COLOUR}" fill-opacity="0.75"/>'
        for confidence, correct, rows in points
    )
    diagonal = f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="{INK}" stroke-dasharray="4 4"/>'
    size = SIDE + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 {size} {size}"'
        f' font-family="sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="{size}" height="{size}" fill="#fff"/>'
        f"{grid}{diagonal}{dots}"
        f'<text x="{size / 2}" y="{size - 14}" text-anchor="middle">confidence</text>'
        f'<text text-anchor="middle" transform="translate(12 {size / 2}) rotate(-90)">share right</text>'
        "</svg>"
    )


def as_markdown_image(svg: str, alternative: str) -> str:
    """Return an SVG as an image within markdown; `alternative` is its alternative text."""
    return f"![{alternative}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _grid_line(share: float) -> str:
    x, y = _x(share), _y(share)
    return (
        f'<path d="M{_x(0)} {y}H{_x(1)}M{x} {_y(0)}V{_y(1)}" stroke="#e3e3e3"/>'
        f'<text x="{x}" y="{_y(0) + 15}" text-anchor="middle">{share:.0%}</text>'
        f'<text x="{_x(0) - 5}" y="{y + 4}" text-anchor="end">{share:.0%}</text>'
    )


def _x(share: float) -> float:
    return round(MARGIN + SIDE * share, 1)


def _y(share: float) -> float:
    return round(MARGIN + SIDE * (1 - share), 1)
