"""CPU seconds and peak memory of Label Anything at its published sizes, against the form of the published code.

    python benchmarks/label_anything_speed.py [--parts query pairs memory] [--engine torch]

query   2-way 1-shot, MAE 480: a query after `learn`, against its image encoder alone, and against the published form, which
        sends the supports through everything again with each query
pairs   the prompt encoder at 20 ways and 1 shot, MAE 480: every image has the mask of one class; the published form takes all
        20 * 1 * 21 pairs of image and class at once
memory  `learn` from 25 images of 5 classes by SAM 1024 with an example mixer and a token pool, image encoder included

The published form is written anew in label_anything_official.py. Weights are random numbers of the published sizes, float32, one
thread; each form runs in a process of its own, so that its peak memory is its own. Times are of the fastest of some repeats, for
other work on the machine only adds to them. Writes bench/label_anything_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

import label_anything_official as official
import likewise
from common import BENCH, forget_peak, peak_mb, read_json, write_json
from likewise import Example, Support
from likewise.backbones.registry import ARCHITECTURES
from likewise.backbones.vit import VisionTransformer, VitConfig
from likewise.methods.label_anything.checkpoint import ENCODER
from likewise.methods.label_anything.config import HeadConfig
from likewise.methods.label_anything.model import Head, untrained_head
from likewise.methods.label_anything.pictures import Frame
from likewise.methods.label_anything.prompts import Prompts
from likewise.testing.conformance import picture
from likewise.weights import Card, write_checkpoint

SIZE, WAYS, MANY, CLASSES = (480, 640), 20, 25, 5
MAE, SAM = HeadConfig(), HeadConfig(width=512, side=1024, mixers=("example_attention",), pool=100)
ENCODERS: dict[str, VitConfig] = {"mae": ARCHITECTURES["mae-base-16"], "sam": ARCHITECTURES["sam-base"]}
COUNTS = {"query": ("published", "ours"), "pairs": ("published", "ours"), "memory": ("ours",)}


def encoder(config: VitConfig) -> VisionTransformer:
    """An image encoder of random numbers that leave its tokens finite and different."""
    torch.manual_seed(0)
    network = VisionTransformer(config).eval().requires_grad_(False)
    for name, tensor in network.named_parameters():
        if tensor.ndim > 1 or name.endswith("bias"):
            tensor.normal_(std=0.02)
    return network


def head_of(config: HeadConfig) -> Head:
    """A head of random numbers whose logits are of some units, so that a difference means something."""
    head = untrained_head(config)
    with torch.no_grad():
        head.mask_decoder.class_mlp.layers[-1].weight.mul_(200)
    return head


def checkpoint(kind: str, out: Path) -> Path:
    """A checkpoint of the published size in our layout."""
    config, network = {"mae": MAE, "sam": SAM}[kind], encoder(ENCODERS[kind])
    tensors = {**head_of(config).state_dict(), **{ENCODER + name: tensor for name, tensor in network.state_dict().items()}}
    path = out / f"{kind}.safetensors"
    write_checkpoint(tensors, path, Card("label-anything", {"official": True, "side": config.side, "padded": kind == "sam"}))
    return path


def scenes(count: int, classes: int) -> Support:
    """So many pictures, each with an object of one class, class after class."""
    examples = []
    for index in range(count):
        pixels, labels = picture(1 + index, *SIZE)
        examples.append(Example(pixels, f"{index}", masks={f"class-{index % classes}": labels == 1}))
    return Support(examples, classes=[f"class-{place}" for place in range(classes)])


def fastest(repeats: int, *forms: Callable[[], Any]) -> list[float]:
    """CPU seconds of forms, in turns."""
    found = [[] for _ in forms]
    for _ in range(repeats):
        for own, form in zip(found, forms, strict=True):
            start = time.process_time()
            form()
            own.append(time.process_time() - start)
    return [min(own) for own in found]


def query(form: str, engine: str, folder: Path) -> dict[str, Any]:
    """Seconds of a query and of its encoder, and a raster of the difference between the classes' logits."""
    support, (asked, _) = scenes(2, 2), picture(99, *SIZE)
    if form == "published":
        head, network, frame = head_of(MAE), encoder(ENCODERS["mae"]), Frame(MAE.side, padded=False)
        state = head.state_dict()
        own, decoder = (
            {name.removeprefix(part): tensor for name, tensor in state.items() if name.startswith(part)} for part in ("prompt_encoder.", "mask_decoder.")
        )
        masks = torch.from_numpy(
            np.stack([[frame.mask(example.labels.mask(number)) for number in (0, *support.classes)] for example in support.examples])
        ).float()
        masks[:, 0] = 0

        def whole() -> Tensor:
            images = torch.stack(
                [frame.normalised(pixels, network.config.mean, network.config.std) for pixels in (*(e.image for e in support.examples), asked)]
            )
            maps = torch.cat([head.features(network(image[None], (-1,))[0][:, 1:]) for image in images])
            low = official.logits(decoder, maps[2:], official.prototypes(own, maps[:2], masks), own["pe_layer.positional_encoding_gaussian_matrix"])
            return frame.enlarged(low, SIZE)

        (seconds,) = fastest(2, whole)
        return {"seconds": seconds, "raster": _raster(whole().softmax(dim=1)[0])}
    precision = "float32" if engine == "torch" else "auto"
    task = likewise.learn(support, method="label-anything", checkpoint=checkpoint("mae", folder), engine=engine, precision=precision)
    provider, (spec,) = task.ready(), task.method.wants(task.memory)
    view = np.ascontiguousarray(task.prepare(asked).views[spec][None])
    task.predict(asked)
    alone, seconds = fastest(5, lambda: provider.engine(spec).run(view), lambda: task.predict(asked).labels)
    return {"seconds": seconds, "encoder": alone, "raster": _raster(torch.from_numpy(task.predict(asked).scores))}


def _raster(scores: Tensor) -> list[float]:
    return scores[:, ::40, ::40].flatten().tolist()


def pairs(form: str) -> dict[str, Any]:
    """Seconds of the prompt encoder at many ways, its peak memory above what was there, and a raster of prototypes."""
    head = head_of(MAE)
    random = torch.Generator().manual_seed(1)
    features = torch.randn(WAYS, MAE.width, MAE.grid, MAE.grid, generator=random)
    masks = torch.zeros(WAYS, 1 + WAYS, 256, 256)
    for index in range(WAYS):
        masks[index, 1 + index, 40 : 120 + 5 * index, 30:150] = 1
    state = head.prompt_encoder.state_dict()
    given = Prompts(masks=masks[None].byte(), mask_flags=masks[None].flatten(3).any(dim=3).char())
    forms = {"published": lambda: official.prototypes(state, features, masks), "ours": lambda: head.remember(features[None], given).prototypes[0]}
    before, answers = _begin(), []
    (seconds,) = fastest({"published": 1, "ours": 3}[form], lambda: answers.append(forms[form]()))
    peak = peak_mb()
    return {"seconds": seconds, "peak_mb": round(peak - before), "raster": answers[0][:, ::8].flatten().tolist()}


def memory(engine: str, folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of `learn` as a whole."""
    path, support = checkpoint("sam", folder), scenes(MANY, CLASSES)
    before, start = _begin(), time.process_time()
    task = likewise.learn(support, method="label-anything", checkpoint=path, engine=engine, thumbnails=False)
    return {"seconds": time.process_time() - start, "peak_mb": round(peak_mb()), "before_mb": round(before), "classes": len(task.memory.tensors["prototypes"])}


def _begin() -> float:
    forget_peak()
    return peak_mb()


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(COUNTS), choices=list(COUNTS))
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        part, form = arguments.one.split(",")
        torch.set_num_threads(1)
        os.environ.pop("LIKEWISE_FEATURES", None)
        with TemporaryDirectory() as folder, torch.inference_mode():
            found = {
                "query": lambda: query(form, arguments.engine, Path(folder)),
                "pairs": lambda: pairs(form),
                "memory": lambda: memory(arguments.engine, Path(folder)),
            }[part]()
        print(json.dumps(found))
        return
    out = BENCH / "label_anything_speed.json"
    for part in arguments.parts:
        found = {}
        for form in COUNTS[part]:
            command = [sys.executable, str(Path(__file__)), "--engine", arguments.engine, "--one", f"{part},{form}"]
            found[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        row = {"engine": arguments.engine, "machine": platform.machine(), **_row(found)}
        print(part, row, flush=True)
        write_json(out, {**(read_json(out) or {}), part: row})


def _row(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ours = {name: value for name, value in found["ours"].items() if name != "raster"}
    if "encoder" in ours:
        ours["over_encoder"] = round(ours["seconds"] / ours["encoder"], 3)
    if "published" not in found:
        return ours
    theirs = found["published"]
    differ = float(np.abs(np.subtract(theirs["raster"], found["ours"]["raster"])).max())
    own = {f"published_{name}": value for name, value in theirs.items() if name != "raster"}
    return {**own, **ours, "ratio": round(theirs["seconds"] / ours["seconds"], 1), "differ": differ, "spread": float(np.std(theirs["raster"]))}


if __name__ == "__main__":
    main()
