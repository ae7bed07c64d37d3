"""What the methods around CST cost: on the stand-in's tokens as trained here, and at the sizes and on the networks of their papers.

    python benchmarks/field_cost.py [--only NAME ...] [--page]

"here": learned numbers, multiply-adds of a query with one example of one class, and the largest memory of the whole program, in a process each, with
the checkpoints that `field.py` was told. "published": the same episode of random numbers in the published shapes (table a.2 of Kang et al. 2023), the
frozen network and what is trained counted apart. Written into docs/methods/field.md; results stand in bench/field/cost and bench/field/published.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import DATA, cells, classes, forget_peak, need_shared, peak_mb, picture, read_json, truth, write_json
from field import FREE, OUT, PAGE, TRAINED, checkpoint_of
from laboratory import SIDE
from marks import between_marks

PUBLISHED = {  # of table a.2: multiply-adds of the frozen network and of what is trained, billions; GB on a GPU. For the others the paper has none.
    "hsnet": (13.4, 17.7, 2.1),
    "asnet": (13.4, 7.3, 2.3),
    "cst": (53.4, 3.7, 2.4),
}
NETWORKS = {"hsnet": "ResNet-50", "asnet": "ResNet-50", "pfenet": "ResNet-50, dilated", "panet": "ResNet-50", "cst": "ViT-S/8", "emat": "ViT-S/14"}


def here(name: str) -> dict[str, Any]:
    """Of this process: learned numbers, multiply-adds of a query with one example of one class, and the largest memory in MB."""
    import torch

    from likewise import Example, Support, learn
    from likewise.weights import read_checkpoint

    checkpoint = checkpoint_of(name)
    cell = next(iter(cells(["landmark"], ["1"], 1)))
    example = Example(picture(cell.set, cell.support[0]), label_map=truth(cell.set, cell.support[0]))
    settings: dict[str, Any] = {"side": SIDE} if checkpoint is not None and name != "pfenet" else {}
    forget_peak()
    task = learn(Support([example], classes=classes(cell.set)), method=name, preset="fast", engine="torch", checkpoint=checkpoint, **settings)
    image = task.prepare(DATA / cell.set / "images" / picture(cell.set, cell.query[0]).name)
    counted = multiply_adds(lambda: task.predict_prepared([image]))
    tensors: Mapping[str, torch.Tensor] = {} if checkpoint is None else read_checkpoint(Path(checkpoint))[0]
    learned = sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())
    return {"learned": learned, "multiply_adds": counted, "mb": peak_mb()}


def published(name: str) -> dict[str, Any]:
    """Of this process: numbers and multiply-adds of the frozen network and of what is trained, and the largest memory in MB, at the published size."""
    import numpy as np
    import torch

    from likewise import Example, Support

    pixels, mask = np.random.default_rng(0).integers(0, 256, (2, 375, 500, 3), np.uint8), np.zeros((375, 500), np.uint8)
    mask[100:250, 150:350] = 1
    with tempfile.TemporaryDirectory() as folder:
        forget_peak()
        task, network, learned = _published_task(name, Support([Example(pixels[0], label_map=mask)], classes={1: "thing"}), Path(folder))
        side = task.method.wants()[0].side
        views = torch.zeros(1, 3, side, side)
        frozen = multiply_adds(lambda: network(views, layers=[network.config.depth - 1]) if name in ("cst", "emat") else network(views))
        image = task.prepare(pixels[1])
        whole = multiply_adds(lambda: task.predict_prepared([image]))
    count = sum(tensor.numel() for tensor in network.parameters())
    return {"network": count, "network_adds": frozen, "learned": learned, "adds": whole - frozen, "side": side, "mb": peak_mb()}


def _published_task(name: str, support: Any, folder: Path) -> tuple[Any, Any, int]:
    """A task with random numbers in the published shapes, the frozen network behind it, and how many numbers are learned."""
    from likewise import learn
    from likewise.backbones import load_backbone
    from likewise.weights import read_checkpoint

    if name in ("cst", "emat"):
        backbone = "random:vit-small-8" if name == "cst" else "random:vit-small-14"
        task = learn(support, method=name, backbone=backbone, checkpoint="random", engine="torch", precision="float32")
        return task, load_backbone(backbone).network, sum(tensor.numel() for tensor in task.method.checkpoint_in(task.memory).values())
    file = _random_checkpoint(name, folder)
    task = learn(support, method=name, checkpoint=file, **({"network": "own"} if name == "panet" else {}))
    return task, _resnet(name), sum(tensor.numel() for key, tensor in read_checkpoint(file)[0].items() if not key.startswith("backbone."))


def multiply_adds(call: Callable[[], object]) -> int:
    """Multiply-adds of convolutions, products and attention in a call."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) // 2


def main() -> None:
    """Measure what is asked for, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="methods, by name")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    parser.add_argument("--of", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    need_shared()
    if told.of:
        kind, name = told.of
        spent = here(name) if kind == "cost" else published(name)
        write_json(OUT / kind / f"{name}.json", spent)
        print(kind, name, json.dumps(spent), flush=True)
        return
    asked = [("cost", name) for name in (*FREE, *(name for name in TRAINED if checkpoint_of(name)), "analogy")] + [("published", name) for name in NETWORKS]
    for kind, name in [] if told.page else asked:
        if not told.only or name in told.only:
            subprocess.run([sys.executable, __file__, "--of", kind, name], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    between_marks(PAGE, "cost", _table_here())
    between_marks(PAGE, "published", _table_published())


def _table_here() -> list[str]:
    lines = ["", "| | learned numbers | multiply-adds of a query, billions, the backbone among them | MB |", "|---|---|---|---|"]
    for path in sorted(OUT.glob("cost/*.json")):
        told = read_json(path)
        lines.append(f"| `{path.stem}` | {told['learned']:,} | {told['multiply_adds'] / 1e9:.1f} | {told['mb']:.0f} |")
    return lines


def _table_published() -> list[str]:
    lines = [
        "",
        "| | frozen network, pixels | its numbers | its multiply-adds, billions (table a.2) | learned | multiply-adds (a.2) | MB here (a.2, on a GPU) |",
    ]
    lines += ["|" + "---|" * 7]
    for name, network in NETWORKS.items():
        told = read_json(OUT / "published" / f"{name}.json")
        if told:
            frozen, trained, memory = (f" ({value})" if value else "" for value in PUBLISHED.get(name, (0, 0, 0)))
            row = [f"`{name}`", f"{network}, {told['side']}", f"{told['network'] / 1e6:.1f} M", f"{told['network_adds'] / 1e9:.1f}{frozen}"]
            row += [f"{told['learned']:,}", f"{told['adds'] / 1e9:.1f}{trained}", f"{told['mb']:.0f}{memory and memory[:-1] + ' GB)'}"]
            lines.append("| " + " | ".join(row) + " |")
    return lines


def _resnet(name: str) -> Any:
    from likewise.backbones.resnet import ResNet, ResNetConfig

    dilated = {"output_stride": 8, "dilate_first": True} if name == "pfenet" else {}
    return ResNet(ResNetConfig(**dilated)).eval().requires_grad_(False)


def _random_checkpoint(name: str, folder: Path) -> Path:
    """A checkpoint of random numbers in the published shapes."""
    from safetensors.torch import save_file

    network = _resnet(name)
    tensors = {f"backbone.{key}": tensor for key, tensor in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    if name == "pfenet":
        from likewise.methods.pfenet.model import untrained

        tensors |= {f"learner.{key}": tensor for key, tensor in untrained(sum(network.config.channels[1:3])).state_dict().items()}
    elif name != "panet":
        from likewise.methods.registry import method_class

        kind: Any = method_class(name)
        channels, sides = zip(*network.tapped(kind.Settings().side)[::-1], strict=True)
        tensors |= {f"learner.{key}": tensor for key, tensor in kind.untrained(channels, kind.support_sides(sides)).state_dict().items()}
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return path


if __name__ == "__main__":
    main()
