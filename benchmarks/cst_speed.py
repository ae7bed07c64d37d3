"""CPU seconds and peak memory of a query of CST at 400x400, against the form of the published code.

    python benchmarks/cst_speed.py [--backbone random:vit-small-8] [--settings 1x1 1x5 5x1] [--engine torch]

The published form, written anew here as the thing to compare with: for each shot the support and the query go through the
backbone again, attention is materialised, all correlations of all tokens stand in one tensor, and both layers work on
it whole. Ours: the support was learned once; a query is one pass, and the learner never makes the correlations. Both in
float32 with the same untrained learner; ours rounds tokens to half precision, which is the difference in the last columns.
Each form runs in a process of its own with one thread, so that its peak memory is its own. Writes bench/cst_speed.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import likewise
from common import BENCH, write_json
from likewise import Example, Support
from likewise.backbones import Backbone, load_backbone
from likewise.backbones.vit import VisionTransformer, attention_map
from likewise.episodes.items import normalised
from likewise.functional.resize import resize_corners
from likewise.layers.correlation import correlation, unit_query, unit_support
from likewise.layers.fscs import decide, mean_over_shots
from likewise.methods.cst.model import Learner, untrained
from likewise.testing.conformance import picture

SIDE, SIZE = 400, (375, 500)


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of SIZE and the mask of one object."""
    pixels, labels = picture(seed, *SIZE)
    return pixels, (labels == 1).astype(np.uint8)


def all_tokens(network: VisionTransformer, image: Tensor) -> Tensor:
    """Tokens (1, L, 1+P, D) of every block, attention materialised."""
    x, layers = network.embed(image, network.position((image.shape[2] // 8, image.shape[3] // 8))), []
    for block in network.blocks:
        q, k, v = block.attn.split(block.norm1(x))
        mixed = (attention_map(q, k) @ v).transpose(1, 2).reshape(x.shape)
        x = x + block.ls1(block.attn.proj(mixed))
        x = x + block.ls2(block.mlp(block.norm2(x)))
        layers.append(network.norm(x))
    return torch.stack(layers, dim=1)


def published(backbone: Backbone, learner: Learner, query: np.ndarray, supports: list[list[tuple[np.ndarray, np.ndarray]]]) -> tuple[Tensor, Tensor]:
    """Class probabilities (1, N, 2) and mask probabilities (1, N, 2, H, W) of supports[k][n]."""
    heads, grid, classes, masks = backbone.config.heads, (SIDE // 8, SIDE // 8), [], []
    for shot in supports:
        theirs = torch.cat([all_tokens(backbone.network, normalised(pixels, SIDE)[None]) for pixels, _ in shot])
        mine = all_tokens(backbone.network, normalised(query, SIDE)[None]).repeat_interleave(len(shot), dim=0)
        everything = correlation(unit_query(mine[:, :, 1:], heads), unit_support(theirs[:, :, 0], theirs[:, :, 1:], grid, learner.side, heads))
        own = torch.stack([resize_to_side(mask) for _, mask in shot])
        cls, seg = learner(everything, learner.hidden(own), grid)
        classes.append(cls[None])
        masks.append(resize_corners(seg, SIZE)[None])
    return mean_over_shots(torch.stack(classes)), mean_over_shots(torch.stack(masks))


def resize_to_side(mask: np.ndarray) -> Tensor:
    """A mask at SIDE x SIDE by nearest samples, as float."""
    return torch.nn.functional.interpolate(torch.from_numpy(mask)[None, None].float(), size=(SIDE, SIDE))[0, 0]


def measure(form: str, backbone: str, engine: str, way: int, shot: int) -> dict[str, Any]:
    """CPU seconds of a query, peak memory in MB, presence and a raster of mask probabilities, in this process."""
    torch.set_num_threads(1)
    scenes = [[scene(1 + way * k + n) for n in range(way)] for k in range(shot)]
    query, _ = scene(99)
    with torch.inference_mode():
        if form == "published":
            network = load_backbone(backbone)
            learner = untrained(network.config.depth * network.config.heads)
            start = time.process_time()
            classes, masks = published(network, learner, query, scenes)
            seconds = time.process_time() - start
            decide(classes, masks)
            present, raster = classes[0, :, 1].tolist(), masks[0, :, 1, ::25, ::25].flatten().tolist()
        else:
            present, raster, seconds = _ours(backbone, engine, scenes, query)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": round(peak), "present": present, "raster": raster}


def _ours(backbone: str, engine: str, scenes: list[list[tuple[np.ndarray, np.ndarray]]], query: np.ndarray) -> tuple[list[float], list[float], float]:
    examples = [
        Example(pixels, f"{place}-{index}", masks={f"class-{place}": mask.astype(bool)})
        for index, shot in enumerate(scenes)
        for place, (pixels, mask) in enumerate(shot)
    ]
    support = Support(examples, classes=[f"class-{place}" for place in range(len(scenes[0]))])
    task = likewise.learn(support, method="cst", backbone=backbone, checkpoint="random", device="cpu", engine=engine, precision="float32", official=True)
    task.predict(query[:40, :40])  # what is made at the first image alone
    start = time.process_time()
    prediction = task.predict(query)
    seconds = time.process_time() - start
    odds = prediction.scores[1:] / prediction.scores[0]
    return list(prediction.present.values()), (odds / (1 + odds))[:, ::25, ::25].flatten().tolist(), seconds


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="random:vit-small-8")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--settings", nargs="+", default=["1x1", "1x5", "5x1"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        form, way, shot = arguments.one.split(",")
        print(json.dumps(measure(form, arguments.backbone, arguments.engine, int(way), int(shot))))
        return
    rows = []
    for setting in arguments.settings:
        way, shot = setting.split("x")
        found = {}
        for form in ("published", "ours"):
            command = [sys.executable, str(Path(__file__)), "--backbone", arguments.backbone, "--engine", arguments.engine, "--one", f"{form},{way},{shot}"]
            found[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(_row(setting, found["published"], found["ours"]))
        print(rows[-1], flush=True)
    write_json(BENCH / "cst_speed.json", {"backbone": arguments.backbone, "engine": arguments.engine, "machine": platform.processor(), "rows": rows})


def _row(setting: str, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    return {
        "setting": setting,
        "published_seconds": round(theirs["seconds"], 2),
        "our_seconds": round(ours["seconds"], 2),
        "ratio": round(theirs["seconds"] / ours["seconds"], 1),
        "published_mb": theirs["peak_mb"],
        "our_mb": ours["peak_mb"],
        "presence_differs": float(np.abs(np.subtract(theirs["present"], ours["present"])).max()),
        "masks_differ": float(np.abs(np.subtract(theirs["raster"], ours["raster"])).max()),
    }


if __name__ == "__main__":
    main()
