"""The reliability diagram: a small SVG that any browser draws."""

import base64
import re
from xml.etree import ElementTree

from boursomatic_assets.learning.evaluation import reliability_diagram

SVG = "{http://www.w3.org/2000/svg}"


def circles(*points: reliability_diagram.Point) -> list[tuple[float, float, float]]:
    found = ElementTree.fromstring(reliability_diagram.draw_reliability_diagram(points)).iter(f"{SVG}circle")
    return [(float(one.attrib["cx"]), float(one.attrib["cy"]), float(one.attrib["r"])) for one in found]


def test_a_calibrated_point_lies_on_the_diagonal_from_bottom_left_to_top_right() -> None:
    line = next(ElementTree.fromstring(reliability_diagram.draw_reliability_diagram([])).iter(f"{SVG}line")).attrib
    x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
    assert x1 < x2 and y1 > y2
    ((x, y, _),) = circles((0.3, 0.3, 5))
    assert (x - x1) / (x2 - x1) == (y - y1) / (y2 - y1) == 0.3


def test_a_higher_share_correct_lies_higher_and_more_rows_are_larger() -> None:
    (_, low, small), (_, high, large) = circles((0.5, 0.4, 10), (0.5, 0.6, 1000))
    assert high < low
    assert small < large


def test_an_image_within_markdown_holds_the_whole_diagram() -> None:
    svg = reliability_diagram.draw_reliability_diagram([(0.5, 0.4, 10)])
    found = re.fullmatch(
        r"!\[reliability\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)",
        reliability_diagram.as_markdown_image(svg, "reliability"),
    )
    assert found
    assert base64.b64decode(found[1]).decode() == svg
