"""CPU seconds and peak memory of a query of VTM at its published size, against the form of the published code.

    python benchmarks/vtm_speed.py [--settings 1x10 3x10] [--queries 2]

The published form, written anew here as the thing to compare with: for each query, every channel's support goes through
both encoders again, attention is materialised, keys are projected anew, all convolutions of the decoder are taken as they
stand. Ours: see "Speed" in docs/methods/vtm.md. A setting is channels x shots; the networks are those of the published size
with random numbers, 224x224, float32. Each form runs in a process of its own with one thread, so that its peak memory is its
own; the peak is said above what the weights and the remembered support take, and includes what is made at the first query and
kept. The time is that of the faster query, for other work on the machine only adds to it; ours answers each five times.
Writes bench/vtm_speed.json.
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
from torch.nn.functional import gelu, relu

from common import BENCH, write_json
from likewise.backbones.biases import PLACES, chosen, repeated
from likewise.backbones.vit import VisionTransformer
from likewise.functional.resize import resize_corners
from likewise.methods.vtm.crops import official_scores
from likewise.methods.vtm.decoder import Decoder
from likewise.methods.vtm.matching import Matching
from likewise.methods.vtm.model import LEVELS, OFFICIAL_IMAGE, Head, HeadConfig, Vtm, level_blocks

SIDE, CROPS, REPEATS = 224, 40, 5


def networks() -> Vtm:
    """Random networks of the published size, in which tokens differ and attention is not flat."""
    torch.manual_seed(0)
    vtm = Vtm(VisionTransformer(OFFICIAL_IMAGE).eval(), Head(HeadConfig()).eval())
    with torch.no_grad():
        for network in (vtm.image, vtm.head.label):
            for name, tensor in network.named_parameters():
                if name.endswith(("pos_embed", "cls_token", "table")):
                    tensor.normal_(std=0.5)
                if name.endswith("patch_embed.proj.weight"):
                    tensor.mul_(8)
                if name.endswith("gamma"):
                    tensor.fill_(0.4)
        for level in range(LEVELS):
            layer = vtm.head.level(level)
            layer.fc_q.weight.mul_(5)
            layer.fc_k.weight.mul_(5)
        vtm.head.decoder.output_conv[-1].weight.mul_(200)  # logits of some units, so that a difference means something
    vtm.image.requires_grad_(False)
    vtm.head.requires_grad_(False)
    return vtm


def tokens_of(network: VisionTransformer, images: Tensor, biases: dict[str, Tensor] | None) -> list[Tensor]:
    """Tokens of four levels, attention materialised."""
    patch = network.config.patch
    position = network.position((images.shape[2] // patch, images.shape[3] // patch))
    x, found = network.embed(images, position), []
    for index, block in enumerate(network.blocks):
        own = {} if biases is None else {place: biases[f"blocks.{index}.{place}.bias"][:, None] for place in PLACES}

        def linear(module: Any, x: Tensor, place: str, own: dict[str, Tensor] = own) -> Tensor:
            return x @ module.weight.T + own.get(place, module.bias)

        def norm(module: Any, x: Tensor, place: str, own: dict[str, Tensor] = own) -> Tensor:
            return torch.nn.functional.layer_norm(x, module.normalized_shape, module.weight, None, module.eps) + own.get(place, module.bias)

        q, k, v = block.attn.split(norm(block.norm1, x, "norm1"))
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores = scores + position[index] if network.config.relative else scores
        x = x + block.ls1(linear(block.attn.proj, (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape), "attn.proj"))
        x = x + block.ls2(linear(block.mlp.fc2, gelu(linear(block.mlp.fc1, norm(block.norm2, x, "norm2"), "mlp.fc1")), "mlp.fc2"))
        if index in level_blocks(network.config.depth):
            found.append(x[:, 1:])
    return found


def matched(layer: Matching, query: Tensor, support: Tensor, labels: Tensor) -> Tensor:
    """Label tokens (Q, Z) of one query and channel, heads side by side, attention materialised."""
    q, k, v = layer.fc_q(layer.pre_ln(query)), layer.fc_k(layer.pre_ln(support)), layer.fc_v(labels)
    parts = [((a @ b.T * layer.scale).clamp(-1e4, 1e4).softmax(-1) @ c) for a, b, c in zip(*(x.chunk(layer.heads, -1) for x in (q, k, v)), strict=True)]
    mixed = layer.ln(torch.cat(parts, dim=-1))
    return mixed + gelu(layer.fc_o(mixed))


def decoded(decoder: Decoder, levels: list[Tensor]) -> Tensor:
    """Logits (1, H, W), enlarged before the 1x1 convolutions, all 3x3 convolutions as they stand."""
    below = None
    maps = decoder.reassembled([level.T.reshape(1, -1, 14, 14) for level in levels])

    def unit(module: Any, x: Tensor) -> Tensor:
        return x + _plain(module.conv2, relu(_plain(module.conv1, relu(x))))

    for level in (4, 3, 2, 1):
        own, fusion = _plain(decoder.get_submodule(f"layer{level}_rn"), maps[level - 1]), decoder.get_submodule(f"refinenet{level}")
        x = unit(fusion.resConfUnit2, own if below is None else below + unit(fusion.resConfUnit1, own))
        below = fusion.out_conv(_doubled(x))
    first, _, second, _, last = decoder.output_conv
    return last(relu(_plain(second, _doubled(_plain(first, below)))))[:, 0]


def _plain(module: Any, x: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(x, module.weight, module.bias, padding=1)


def _doubled(x: Tensor) -> Tensor:
    return resize_corners(x, (2 * x.shape[-2], 2 * x.shape[-1]))


def published(vtm: Vtm, images: Tensor, labels: Tensor, query: Tensor, biases: dict[str, Tensor]) -> Tensor:
    """Logits (C, H, W) of one query (3, H, W), the support encoded again."""
    found = []
    for channel in range(len(labels)):
        row = chosen(biases, [channel])
        support = tokens_of(vtm.image, images, row)
        mine = tokens_of(vtm.image, query[None], row)
        seen = tokens_of(vtm.head.label, labels[channel][:, None], None)
        levels = [matched(vtm.head.level(i), mine[i][0], support[i].flatten(0, 1), seen[i].flatten(0, 1)) for i in range(LEVELS)]
        found.append(decoded(vtm.head.decoder, levels)[0])
    return torch.stack(found)


def measure(form: str, channels: int, shots: int, queries: int) -> dict[str, Any]:
    """CPU seconds of a query, peak memory above the weights in MB, and a raster of logits, in this process."""
    torch.set_num_threads(1)
    vtm = networks()
    random = torch.Generator().manual_seed(1)
    images, labels = torch.rand(shots, 3, SIDE, SIDE, generator=random), torch.rand(channels, shots, SIDE, SIDE, generator=random)
    pictures = torch.rand(queries, 3, SIDE, SIDE, generator=random)
    biases = repeated(vtm.image, vtm.image.config.depth, channels)
    with torch.inference_mode():
        memory = None if form == "published" else vtm.remember(images, labels, biases, chunk=1)
        before = _peak_reset()
        if memory is not None:
            vtm.answers(pictures[:1], memory)
        found, seconds = [], []
        for query in pictures if form != "crops" else torch.rand(1, CROPS // 5, 3, 256, 256, generator=random):
            start = time.process_time()
            if form == "published":
                found.append(published(vtm, images, labels, query, biases)[None])
            elif form == "ours":
                found.append(vtm.answers(query.expand(REPEATS, -1, -1, -1), memory)[0][:1])
            else:
                found.append(official_scores(vtm, query, memory, (SIDE, SIDE), torch.zeros(channels, dtype=torch.bool)))
            seconds.append((time.process_time() - start) / {"published": 1, "ours": REPEATS, "crops": CROPS // 5}[form])
    return {"seconds": min(seconds), "peak_mb": round(_peak() - before), "raster": torch.cat(found)[..., ::16, ::16].flatten().tolist()}


def _peak() -> float:
    """The largest resident memory since it was reset, in MB."""
    status = Path("/proc/self/status").read_text() if Path("/proc/self/status").exists() else ""
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if line is None else int(line.split()[1]) / 1024


def _peak_reset() -> float:
    """Forget the peak so far, where the system can; the peak from here on counts, and this is where it begins."""
    refs = Path("/proc/self/clear_refs")
    if refs.exists():
        refs.write_text("5")
    return _peak()


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=["1x10", "3x10"])
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        form, channels, shots = arguments.one.split(",")
        print(json.dumps(measure(form, int(channels), int(shots), arguments.queries)))
        return
    rows = []
    for setting in arguments.settings:
        channels, shots = setting.split("x")
        found = {}
        for form in ("published", "ours", "crops"):
            command = [sys.executable, str(Path(__file__)), "--queries", str(arguments.queries), "--one", f"{form},{channels},{shots}"]
            found[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(_row(setting, found))
        print(rows[-1], flush=True)
    write_json(BENCH / "vtm_speed.json", {"machine": platform.processor(), "rows": rows})


def _row(setting: str, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    theirs, ours = found["published"], found["ours"]
    return {
        "setting": setting,
        "published_seconds": round(theirs["seconds"], 2),
        "our_seconds": round(ours["seconds"], 2),
        "ratio": round(theirs["seconds"] / ours["seconds"], 1),
        "published_mb": theirs["peak_mb"],
        "our_mb": ours["peak_mb"],
        "mb_of_40_crops": found["crops"]["peak_mb"],
        "logits_differ": float(np.abs(np.subtract(theirs["raster"], ours["raster"])).max()),
        "logits_spread": float(np.std(theirs["raster"])),
    }


if __name__ == "__main__":
    main()
