"""Seconds: engines at two sizes, a labelling run against the bare backbone loop of the same engine, presets by stage.

    python benchmarks/speed.py [--images 60] [--queries 8] [--presets fast default best] [--sets landmark nuclei retina]

Writes bench/speed.json. Wants an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import likewise
import presets
from common import BENCH, SHARED, need_shared, write_json
from likewise import formats, weights
from likewise.backbones import FeatureProvider, FeatureSpec, load_backbone
from likewise.backbones.engines import available_cores, has_bfloat16, instruction_set, make_engine
from likewise.labelling import label_folder
from likewise.methods.base import Preset

LAYERS = (2, 5, 8, 11)


def engines() -> list[dict[str, Any]]:
    """Seconds a pass of each engine and precision at 448 and 896, and the least mean token cosine to torch in float32."""
    backbone = load_backbone(weights.resolve("auto"))
    photograph = next(iter(sorted((SHARED / "data" / "coco_mini" / "images").iterdir())))
    rows = []
    for side in (448, 896):
        spec = FeatureSpec(layers=LAYERS, side=side)
        provider = FeatureProvider(backbone, engine="torch")
        image = provider.prepare(photograph, (spec,)).views[spec][None]
        reference = make_engine(backbone, spec, engine="torch", device=torch.device("cpu"), precision="float32", cache=None).run(image)[0].float()
        for engine in ("torch", "openvino"):
            for precision in ("float32", "bfloat16") if has_bfloat16() else ("float32",):
                graphs = weights.cache_folder() / "openvino"
                made = make_engine(backbone, spec, engine=engine, device=torch.device("cpu"), precision=precision, cache=graphs)
                tokens = made.run(image)[0].float()
                seconds = [timed(lambda made=made, image=image: made.run(image)) for _ in range(5)]
                cosine = float(torch.nn.functional.cosine_similarity(tokens, reference, dim=-1).mean())
                rows.append({"side": side, "engine": engine, "precision": precision, "seconds": statistics.median(seconds), "cosine": cosine})
                print(rows[-1], flush=True)
    return rows


def timed(call: Any) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run_by_stage(count: int, preset: Preset) -> dict[str, Any]:
    """A labelling run over `count` photographs by stage, and the bare loop of the same engine over the same arrays."""
    support = formats.read_support(SHARED / "data" / "landmark").support
    start = time.perf_counter()
    task = likewise.learn(support, preset=preset)
    learn_seconds = time.perf_counter() - start
    sources = sorted((SHARED / "data" / "coco_mini" / "images").iterdir())
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        for index in range(count):
            shutil.copy(sources[index % len(sources)], images / f"{index:04d}.jpg")
        provider, spec = task.ready(), task.method.wants(task.memory)[0]
        arrays = [task.prepare(path).views[spec][None] for path in sorted(images.iterdir())]
        engine = provider.engine(spec)
        for shape in {array.shape for array in arrays}:
            engine.run(np.zeros(shape, np.uint8))
        bare = timed(lambda: [engine.run(array) for array in arrays])
        first = label_folder(task, images, Path(folder) / "out")
        again = timed(lambda: [engine.run(array) for array in arrays])
    loop = min(bare, again)
    others = {stage: seconds / count for stage, seconds in first.seconds.items()}
    return {
        "preset": preset,
        "images": count,
        "side": spec.side,
        "engine": provider.describe(spec),
        "learn_seconds": learn_seconds,
        "images_a_second": count / first.elapsed,
        "seconds_by_stage": others,
        "bare_loop_seconds": loop / count,
        "ratio_to_bare_loop": first.elapsed / loop,
        "share_beside_backbone": (sum(others.values()) - others["backbone"]) / others["backbone"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure and write bench/speed.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--presets", nargs="*", default=list(presets.PRESETS))
    parser.add_argument("--sets", nargs="*", default=list(presets.SETS))
    arguments = parser.parse_args()
    need_shared()
    os.environ.pop("LIKEWISE_FEATURES", None)
    profiles = [presets.profile(preset, name, arguments.queries) for preset in arguments.presets for name in arguments.sets]
    machine = {"processor": platform.processor() or platform.machine(), "cores": available_cores(), "instructions": instruction_set()}
    record = {
        "machine": machine,
        "date": time.strftime("%Y-%m-%d"),
        "engines": engines(),
        "runs": [run_by_stage(arguments.images, "fast")],
        "presets": profiles,
    }
    print(json.dumps({"runs": record["runs"], "presets": profiles}, indent=1))
    write_json(BENCH / "speed.json", record)


if __name__ == "__main__":
    main()
