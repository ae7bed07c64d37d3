"""CPU seconds and peak memory of MM-Former at its published size, each saving against the form of the published code.

    python benchmarks/mm_former_speed.py [--parts backbone means support merge decoder keys whole] [--repeats 3]

backbone  an image through ResNet-50: kernels in factors, and multiplied out
means     the prototypes of 100 proposals in three levels: products of every channel with every proposal, and one product of matrices
support   a support image aligned with the query in three levels: all positions, and only those of its mask
merge     100 proposals enlarged and then added, and the other way round
decoder   masks behind each layer at full size, and at the size at which they are needed
keys      a query aligned with a support in three levels: by the attention of torch, by ours, and with keys and values of the support kept; that is not done,
          for what little it gives
whole     an image and one support: the published form; ours in what an example costs once (`learn`), a query once (`view`), and each further
          class or support of it (`pair`)

The published form is written anew in mm_former_official.py. Weights are random numbers of the published sizes, norms those of the image; 480x480,
float32, one thread. Memory is the peak above what was there before. Times are the least of the repeats, in turns, for other work on the machine only adds to
them; the published whole runs once. Each part has a process of its own. Writes bench/mm_former_speed.json.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import mm_former_official as official
from common import BENCH, forget_peak, peak_mb, read_json, write_json
from likewise.backbones.resnet import ResNet, ResNetConfig
from likewise.layers.singular import factorise
from likewise.layers.singular import merged as multiplied
from likewise.methods.mm_former.matching import Matching, MatchingConfig, Side, _support_mean, merged, proposal_means
from likewise.methods.mm_former.model import MaskMatcher
from likewise.proposals.segmenter import Segmenter, SegmenterConfig

SIDE, GRID, FINE, WIDTH, COUNT = 480, 60, 120, 256, 100
Forms = dict[str, Callable[[], Tensor]]


def image(seed: int) -> Tensor:
    """A normalised picture (1, 3, 480, 480) of smooth noise."""
    small = torch.randn(1, 3, 30, 30, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bicubic")


def label() -> Tensor:
    """A disc (1, 480, 480) of a sixth of the picture."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return (((y - 200) ** 2 + (x - 260) ** 2) < SIDE**2 / 6 / torch.pi).float()[None]


def masks() -> Tensor:
    """Soft proposals (1, 100, 120, 120)."""
    small = 3 * torch.randn(1, COUNT, 12, 12, generator=torch.Generator().manual_seed(5))
    return nn.functional.interpolate(small, size=(FINE, FINE), mode="bilinear").sigmoid()


def maps(seed: int) -> list[Tensor]:
    """Reduced features of three levels."""
    return [torch.randn(1, WIDTH, GRID, GRID, generator=torch.Generator().manual_seed(10 * seed + level)) for level in range(3)]


def network() -> ResNet:
    """The backbone in factors, whose norms have the statistics of a picture, so that its maps are neither flat nor endless."""
    torch.manual_seed(0)
    found = ResNet(ResNetConfig(stem=(64, 64, 128), output_stride=8))
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        found.train()(image(1))
    return found.eval().requires_grad_(False)


def factors(whole: ResNet) -> ResNet:
    """The same in factors."""
    found = deepcopy(whole)
    factorise(found)
    return found.requires_grad_(False)


def matching() -> Matching:
    """The matching module."""
    torch.manual_seed(1)
    return Matching(MatchingConfig()).eval().requires_grad_(False)


def backbone() -> Forms:
    """See the top of the file; the stem's first kernel has rank 24 of 27 in factors, so that ours takes it from there."""
    whole = network()
    apart = factors(whole)
    whole.load_state_dict(multiplied(apart.state_dict()))
    return {"published": lambda: apart(image(2))[-1], "ours": lambda: whole(image(2))[-1]}


def means() -> Forms:
    """See the top of the file."""
    x, own = maps(1), masks()
    return {"published": lambda: torch.cat([official.query_means(one, own) for one in x], dim=2), "ours": lambda: proposal_means(x, own)}


def support() -> Forms:
    """See the top of the file; published both directions stand in one function, of which the support's is done here."""
    module, query, other = matching(), maps(1), maps(2)
    asked, shown = module.query_sides(query), module.support_sides(other, label())

    def published() -> Tensor:
        found = []
        for level, (one, two) in enumerate(zip(asked, shown, strict=True)):
            aligned = official._aligned(module.get_submodule(f"crossat_{level}"), two.map, two.place, one.map, one.place)
            found.append(official.masked_mean(aligned, label()))
        return torch.cat(found, dim=1)

    def ours() -> Tensor:
        parts = [
            _support_mean(module.get_submodule(f"crossat_{level}"), one, two, whole=False) for level, (one, two) in enumerate(zip(asked, shown, strict=True))
        ]
        return torch.cat(parts, dim=1)

    return {"published": published, "ours": ours}


def merge() -> Forms:
    """See the top of the file."""
    own, weights = masks(), torch.randn(1, COUNT, generator=torch.Generator().manual_seed(3))
    return {"published": lambda: official.merged(own, weights, (SIDE, SIDE)), "ours": lambda: merged(own, weights, (SIDE, SIDE))}


def decoder() -> Forms:
    """See the top of the file."""
    torch.manual_seed(2)
    module = Segmenter(SegmenterConfig()).eval().requires_grad_(False)
    scales = [torch.randn(1, WIDTH, side, side) for side in (15, 30, 60)]
    finest = torch.randn(1, WIDTH, FINE, FINE)
    return {"published": lambda: official.decoded(module, scales, finest), "ours": lambda: module.decoded(scales, finest).logits}


def keys() -> Forms:
    """See the top of the file."""
    module = matching()
    asked, shown = module.query_sides(maps(1)), module.support_sides(maps(2), label())
    kept = {}
    for level, side in enumerate(shown):
        tokens, place = (part.flatten(2).transpose(1, 2) for part in (side.small, side.small_place))
        for place_of, layer in enumerate(module.get_submodule(f"crossat_{level}").transformer_cross_attention_layers):
            own = layer.multihead_attn
            _, key, value = own.in_proj_weight.chunk(3)
            biases = own.in_proj_bias.chunk(3)
            kept[level, place_of] = (_heads((tokens + place) @ key.T + biases[1]), _heads(tokens @ value.T + biases[2]))

    def plain() -> Tensor:
        return torch.cat([_query(module, level, one, two) for level, (one, two) in enumerate(zip(asked, shown, strict=True))], dim=1)

    def with_kept() -> Tensor:
        found = []
        for level, side in enumerate(asked):
            block: Any = module.get_submodule(f"crossat_{level}")
            x, place = (part.flatten(2).transpose(1, 2) for part in (side.map, side.place))
            for index, (attend, think) in enumerate(zip(block.transformer_cross_attention_layers, block.transformer_ffn_layers, strict=True)):
                own = attend.multihead_attn
                width = x.shape[2]
                mixed = scaled_dot_product_attention(_heads((x + place) @ own.in_proj_weight[:width].T + own.in_proj_bias[:width]), *kept[level, index])
                x = think(attend.norm(x + own.out_proj(mixed.transpose(1, 2).flatten(2))))
            found.append(x)
        return torch.cat(found, dim=1)

    def by_module() -> Tensor:
        found = []
        for level, (side, other) in enumerate(zip(asked, shown, strict=True)):
            block: Any = module.get_submodule(f"crossat_{level}")
            x, place, memory, memory_place = (part.flatten(2).transpose(1, 2) for part in (side.map, side.place, other.small, other.small_place))
            for attend, think in zip(block.transformer_cross_attention_layers, block.transformer_ffn_layers, strict=True):
                mixed = attend.multihead_attn(x + place, memory + memory_place, memory, need_weights=False)[0]
                x = think(attend.norm(x + mixed))
            found.append(x)
        return torch.cat(found, dim=1)

    return {"by torch's module": by_module, "each time": plain, "kept": with_kept}


def _query(module: Matching, level: int, asked: Side, shown: Side) -> Tensor:
    tokens = [part.flatten(2).transpose(1, 2) for part in (asked.map, asked.place, shown.small, shown.small_place)]
    found: Tensor = module.get_submodule(f"crossat_{level}")(*tokens)
    return found


def _heads(x: Tensor) -> Tensor:
    return x.unflatten(2, (4, -1)).transpose(1, 2)


def whole() -> Forms:
    """See the top of the file."""
    torch.manual_seed(4)
    plain, module = network(), MaskMatcher(SegmenterConfig(), MatchingConfig()).eval().requires_grad_(False)
    apart = factors(plain)
    plain.load_state_dict(multiplied(apart.state_dict()))
    shown = module.shown(plain(image(3))[1:], label())
    view = module.viewed(plain(image(2))[1:])
    return {
        "published": lambda: official.foreground(apart, module, image(2), [(image(3), label())]),
        "learn": lambda: module.shown(plain(image(3))[1:], label())[0].map[0, 0],
        "view": lambda: module.viewed(plain(image(2))[1:]).proposals,
        "pair": lambda: module.answered(view, [shown], (SIDE, SIDE)).foreground,
    }


PARTS: dict[str, Callable[[], Forms]] = {
    "backbone": backbone,
    "means": means,
    "support": support,
    "merge": merge,
    "decoder": decoder,
    "keys": keys,
    "whole": whole,
}


def trim() -> None:
    """Give back memory that was freed, where the C library can, so that it does not hide what a form takes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def measure(part: str, repeats: int) -> dict[str, Any]:
    """CPU seconds and peak memory of the forms of a part, and how far the first two are from each other."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with torch.inference_mode():
        forms = PARTS[part]()
        answers = {}
        for name, form in forms.items():
            trim()
            forget_peak()
            before, start = peak_mb(), time.process_time()
            answers[name] = form()
            found[name] = {"seconds": time.process_time() - start, "peak_mb": round(peak_mb() - before)}
        for _ in range(repeats - 1):
            for name, form in forms.items():
                if part == "whole" and name == "published":
                    continue
                start = time.process_time()
                form()
                found[name]["seconds"] = min(found[name]["seconds"], time.process_time() - start)
    one, two = (answers["published"], answers["pair"]) if part == "whole" else list(answers.values())[:2]
    return {"part": part, "forms": found, "differ": float((one - two).abs().max()), "spread": float(one.std())}


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.repeats)))
        return
    path = BENCH / "mm_former_speed.json"
    rows = {row["part"]: row for row in (read_json(path) or {"rows": []})["rows"]}
    for part in arguments.parts:
        command = [sys.executable, str(Path(__file__)), "--repeats", str(arguments.repeats), "--one", part]
        rows[part] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(rows[part], flush=True)
        write_json(path, {"machine": platform.processor(), "rows": list(rows.values())})


if __name__ == "__main__":
    main()
