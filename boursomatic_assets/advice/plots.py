"""Plots as small SVG images, made of text: no plotting library is needed for a few points.

What belongs here: drawing. Kept elsewhere: what is drawn (`performance.py`).
"""

import base64
from collections.abc import Sequence

SIDE, MARGIN = 280, 52
INK, POINT = "#555", "#2563a8"

Point = tuple[float, float, int]
"""What was said, what happened (both 0 to 1), and how many rows it speaks for."""


def reliability(points: Sequence[Point]) -> str:
    """Return an SVG of how often rows of a confidence were right; on the diagonal, exactly as often as said.

    The area of a point grows with its number of rows.
    """
    most = max((rows for _, _, rows in points), default=1)
    grid = "".join(_grid_line(tenth / 10) for tenth in range(0, 11, 2))
    dots = "".join(
        f'<circle cx="{_x(said):.1f}" cy="{_y(right):.1f}" r="{3 + 7 * (rows / most) ** 0.5:.1f}"'
        f' fill="{POINT}" fill-opacity="0.75"/>'
        for said, right, rows in points
    )
    diagonal = f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="{INK}" stroke-dasharray="4 4"/>'
    whole = SIDE + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{whole}" viewBox="0 0 {whole} {whole}"'
        f' font-family="sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="{whole}" height="{whole}" fill="#fff"/>'
        f"{grid}{diagonal}{dots}"
        f'<text x="{whole / 2}" y="{whole - 14}" text-anchor="middle">confidence</text>'
        f'<text text-anchor="middle" transform="translate(12 {whole / 2}) rotate(-90)">share right</text>'
        "</svg>"
    )


def as_markdown(svg: str, words: str) -> str:
    """Return an SVG as an image within markdown; `words` stand for it where it is not shown."""
    return f"![{words}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


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
