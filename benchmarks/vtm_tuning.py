"""Curves of bias tuning of `vtm`: the loss of each step, the held-out error that it decides by, and that on frames it never saw.

    python benchmarks/vtm_tuning.py --checkpoint FILE [--only FAMILY ...] [--rates 0.005 ...] [--side S] [--seconds N] [--published]

Five labelled images, three draws: depth and normals of `rgbd`, the density of `nuclei`. Tuning decides by the error of examples
that it does not tune on (`--published`: of the second half given the first, though it tunes on both); beside it stands, at each
look, the error of other pictures given all examples, which decides nothing. Both are the loss of the method, in the 0..1 of its channels. One JSON a run,
bench/vtm_tuning/CHECKPOINT/RULE/RATE/FAMILY/DRAW.json, and a figure of all runs, bench/vtm_tuning/CHECKPOINT/curves.png.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common import BENCH, need_shared, read_json, write_json
from likewise import Support
from likewise.backbones.biases import BiasSets, repeated
from likewise.methods.vtm import VisualTokenMatching
from likewise.methods.vtm.adapting import divided
from likewise.methods.vtm.channels import Channels, channels_of
from likewise.methods.vtm.learning import Learning
from likewise.methods.vtm.parts import Part, labelled
from likewise.methods.vtm.pictures import as_image
from likewise.methods.vtm.tuning import Labelled, TuningSettings, TuningState, episode_loss, tune
from likewise.task.equipping import equip
from likewise.task.learning import Place, extract, open_provider
from target_families import Family, families

OUT = BENCH / "vtm_tuning"
FAMILIES, SHOTS, QUERIES = ("depth", "normals", "density"), "5", 4
_COLOURS = {"loss": (190, 190, 190), "held": (200, 120, 0), "unseen": (0, 60, 220)}  # blue, green, red


class Bench:
    """A family's support and other pictures, as the tuning of a method sees them."""

    def __init__(self, family: Family, draw: int, checkpoint: Path, side: int) -> None:
        names, others = family.draws[SHOTS][draw]
        self.support = Support([family.example(name) for name in names], targets=dict(family.targets))
        other = Support([family.example(name) for name in others[:QUERIES]], targets=dict(family.targets))
        ready = equip("vtm", "default", {"side": side, "tune": True}, checkpoint, "auto")
        provider = open_provider(ready.backbone, Place(), ready.method)
        method = ready.method.mounted(provider.backbone)
        assert isinstance(method, VisualTokenMatching)
        self.learning = Learning(method._vtm, method._sight(), method.settings)
        channels = channels_of(self.support, method.settings.margin)
        self.examples, self.others = (self._labelled(each, channels, provider, method) for each in (self.support, other))

    def _labelled(self, support: Support, channels: Channels, provider: Any, method: VisualTokenMatching) -> Labelled:
        kept, _ = extract(provider, method, support, None, False)
        views = [as_image(item[method._sight().wish]) for item in kept]
        planes = self.learning.planes(support, channels, views)
        crops = [self.learning.sight.cropped(view, plane) for view, plane in zip(views, planes, strict=True)]
        part = Part(tuple(range(len(channels))), tuple(range(len(views))))
        return labelled(part, crops, channels.categorical).encoded(self.learning.vtm)

    def error(self, support: Labelled, query: Labelled, biases: BiasSets, settings: TuningSettings) -> float:
        """The loss of queries given a support, nothing dropped."""
        with torch.no_grad():
            return episode_loss(self.learning.vtm, support, query, biases, settings).item()

    def run(self, settings: TuningSettings) -> dict[str, Any]:
        """The curves of one tuning, and the seconds of a step."""
        vtm, unseen = self.learning.vtm, []
        start = repeated(vtm.image, vtm.image.config.depth, len(self.examples.labels))
        own, first, second = divided(self.examples, held_out=settings.held_out)

        def look(biases: BiasSets) -> float:
            unseen.append(self.error(self.examples, self.others, biases, settings))
            return self.error(first, second, biases, settings)

        began = time.process_time()
        done = tune(vtm, own, TuningState(start, start), settings, look)
        steps = [step for step, _ in done.curve]
        best = min(done.curve, key=lambda point: point[1])[0]
        return {
            "losses": list(done.losses),
            "held": [list(point) for point in done.curve],
            "unseen": [list(point) for point in zip(steps, unseen, strict=True)],
            "best_step": best,
            "kept": unseen[steps.index(best)],
            "last": unseen[-1],
            "waited": done.waited,
            "spent": done.spent,
            "cpu_seconds_a_step": (time.process_time() - began) / max(1, done.step),
        }


def figure(rows: Sequence[tuple[str, dict[str, Any]]], path: Path) -> None:
    """A panel a run: the loss of steps grey, the held-out error blue, that on other pictures red; a line where the kept biases are from."""
    width, height, panels = 420, 260, []
    for title, row in rows:
        panel = np.full((height, width, 3), 255, np.uint8)
        values = [value for _, value in (*row["held"], *row["unseen"])] + _smoothed(row["losses"])
        low, high, last = min(values), max(values), max(1, len(row["losses"]))

        def place(step: float, value: float, low: float = low, high: float = high, last: float = last) -> tuple[int, int]:
            return round(45 + (width - 60) * step / last), round(height - 25 - (height - 60) * (value - low) / max(high - low, 1e-9))

        cv2.line(panel, place(row["best_step"], low), place(row["best_step"], high), (120, 200, 120), 1)
        for name, points in (("loss", list(enumerate(_smoothed(row["losses"]), 1))), ("held", row["held"]), ("unseen", row["unseen"])):
            cv2.polylines(panel, [np.array([place(*point) for point in points], np.int32)], False, _COLOURS[name], 2, cv2.LINE_AA)
        for text, at in (
            (title, (8, 16)),
            (f"{high:.3f}", (2, 38)),
            (f"{low:.3f}", (2, height - 24)),
            (f"{len(row['losses'])} steps", (width - 90, height - 8)),
        ):
            cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        panels.append(panel)
    blank: NDArray[np.uint8] = np.full((height, width, 3), 255, np.uint8)
    panels += [blank] * (-len(panels) % 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack([np.hstack(panels[index : index + 3]) for index in range(0, len(panels), 3)]))


def _smoothed(losses: Sequence[float]) -> list[float]:
    return [statistics.mean(losses[max(0, index - 9) : index + 1]) for index in range(len(losses))]


def main() -> None:
    """Measure what was not measured yet, and draw all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(FAMILIES))
    parser.add_argument("--rates", nargs="+", type=float, default=[0.005])
    parser.add_argument("--draws", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--published", action="store_true")
    arguments = parser.parse_args()
    need_shared()
    warnings.simplefilter("ignore")
    place, own = OUT / arguments.checkpoint.stem, families()
    rule = "published" if arguments.published else "held_out"
    for draw in arguments.draws:
        for name in arguments.only:
            bench = None
            for rate in arguments.rates:
                path = place / rule / f"{rate:g}" / name / f"{draw}.json"
                if read_json(path) is None:
                    bench = bench or Bench(own[name], draw, arguments.checkpoint, arguments.side)
                    settings = TuningSettings(learning_rate=rate, seconds=arguments.seconds, every=arguments.every, held_out=not arguments.published)
                    row = bench.run(settings)
                    write_json(path, {"family": name, "draw": draw, "rule": rule, "rate": rate, "side": bench.learning.sight.side, **row})
                    print(
                        name, draw, rate, f"held {row['held'][0][1]:.4f} -> {min(v for _, v in row['held']):.4f} at {row['best_step']} of {len(row['losses'])};"
                    )
                    print(
                        f"    unseen {row['unseen'][0][1]:.4f} -> kept {row['kept']:.4f}, last {row['last']:.4f}; {row['cpu_seconds_a_step']:.2f} s", flush=True
                    )
    rows = [
        (f"{row['family']}, draw {row['draw']}, {row['rule']}, rate {row['rate']:g}", row) for path in sorted(place.rglob("*.json")) if (row := read_json(path))
    ]
    figure(rows, place / "curves.png")


if __name__ == "__main__":
    main()
