"""Curves over the number of images, from the rows of targets.py: a panel a family, a line a method, bars of one standard deviation over draws.

    python benchmarks/target_curves.py [--only VARIANT ...]

Writes docs/images/target_curves.png.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from common import DOCS, need_shared
from target_families import Family, families
from targets import alike, measured

WIDTH, HEIGHT, COLUMNS = 420, 300, 4  # of a panel in pixels; panels in a row
LEFT, TOP, RIGHT, BOTTOM = 58, 34, 14, 30  # of the frame inside a panel
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2")
MEAN = "mean of the examples"
Points = list[tuple[int, float, float]]  # number of images, mean, standard deviation


def lines_of(name: str, family: Family, variants: Sequence[str]) -> dict[str, Points]:
    """The curves of a family by variant, and that of the examples' mean."""
    score, _, factor = family.shown[0]
    found: dict[str, Points] = {}
    for shots in family.draws:
        rows = alike(variants, name, family, shots)
        values = {variant: [factor * row["scores"][score] for row in own] for variant, own in rows.items()}
        values[MEAN] = [factor * row["mean"][score] for row in next(iter(rows.values()), [])]
        for variant, each in values.items():
            if each:
                found.setdefault(variant, []).append((int(shots), statistics.mean(each), statistics.stdev(each) if len(each) > 1 else 0.0))
    return found


def panel(title: str, lines: Mapping[str, Points], colours: Mapping[str, str]) -> Image.Image:
    """A panel: the number of images across, evenly by its place in the list."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    shots = sorted({count for points in lines.values() for count, _, _ in points})
    values = [value + sign * spread for points in lines.values() for _, value, spread in points for sign in (-1, 1)]
    low, high = min(values), max(values)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low) or 1.0

    def place(count: int, value: float) -> tuple[float, float]:
        across = LEFT + (shots.index(count) + 0.5) / len(shots) * (WIDTH - LEFT - RIGHT)
        return across, TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    draw.text((LEFT, 8), title, "black", ImageFont.load_default(15))
    draw.rectangle((LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM), outline="#999999")
    for part in range(5):
        value = low + (high - low) * part / 4
        height = place(shots[0], value)[1]
        draw.line((LEFT, height, WIDTH - RIGHT, height), "#e5e5e5")
        draw.text((4, height - 8), f"{value:.3g}", "#555555", font)
    for count in shots:
        draw.text((place(count, low)[0] - 5, HEIGHT - BOTTOM + 6), str(count), "#555555", font)
    for variant, points in lines.items():
        draw.line([place(count, value) for count, value, _ in points], colours[variant], 2)
        for count, value, spread in points:
            x, y = place(count, value)
            draw.line((x, place(count, value - spread)[1], x, place(count, value + spread)[1]), colours[variant], 1)
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), colours[variant])
    return image


def figure(panels: Sequence[Image.Image], colours: Mapping[str, str]) -> Image.Image:
    """Panels in rows, the names of the lines below."""
    rows = -(-len(panels) // COLUMNS)
    found = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT + 34), "white")
    for index, image in enumerate(panels):
        found.paste(image, (index % COLUMNS * WIDTH, index // COLUMNS * HEIGHT))
    draw, left = ImageDraw.Draw(found), LEFT
    for name, colour in colours.items():
        draw.line((left, rows * HEIGHT + 17, left + 30, rows * HEIGHT + 17), colour, 4)
        draw.text((left + 38, rows * HEIGHT + 8), name, "black", ImageFont.load_default(15))
        left += 70 + round(draw.textlength(name, ImageFont.load_default(15)))
    return found


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    variants = parser.parse_args().only or measured()
    need_shared()
    colours = {**dict(zip(variants, COLOURS, strict=False)), MEAN: "#999999"}
    drawn = {name: lines_of(name, family, variants) for name, family in families().items()}
    panels = [panel(f"{name}: {families()[name].shown[0][1]}", lines, colours) for name, lines in drawn.items() if lines]
    figure(panels, colours).save(DOCS / "images" / "target_curves.png", optimize=True)


if __name__ == "__main__":
    main()
