"""Engines: how a frozen network is run. Torch is the reference, OpenVINO the faster one on CPUs.

Both take images as uint8 and return the asked layers after the final norm. On CPUs images are run one at a time:
a batch gains nothing there, and so an answer never depends on the images beside it.
"""

from __future__ import annotations

import copy
import hashlib
import os
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from likewise.backbones.features import FeatureSpec
from likewise.backbones.registry import Backbone
from likewise.backbones.vit import VisionTransformer
from likewise.errors import UsageError

Precision = Literal["float32", "bfloat16"]


class Engine(Protocol):
    """Runs a network: `run` takes images (B, H, W, 3) uint8 and returns layers (B, L, T, D) and, if asked, q and k."""

    name: str
    precision: Precision

    def run(self, images: NDArray[np.uint8]) -> list[Tensor]:
        """[(B, L, T, D) half precision] or with q and k of the last block, (B, A, T, D/A) each, behind."""
        ...


class FeatureGraph(nn.Module):
    """The network with its normalisation in front, perhaps zeros around the image behind that, and the chosen layers stacked behind."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: VisionTransformer, spec: FeatureSpec) -> None:
        super().__init__()
        self.network, self.layers, self.qk, self.square = network, spec.layers, spec.qk, padded_side(spec)
        self.register_buffer("mean", torch.tensor(network.config.mean))
        self.register_buffer("std", torch.tensor(network.config.std))

    def forward(self, images: Tensor, position: Tensor) -> tuple[Tensor, ...]:
        """Images (B, H, W, 3) uint8, position of their grid (see `VisionTransformer.position`) -> layers (B, L, T, D)[, q, k]."""
        normalised = ((images.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        if self.square:
            normalised = pad(normalised, (0, self.square - normalised.shape[3], 0, self.square - normalised.shape[2]))
        outputs = self.network(normalised.to(position.dtype), self.layers, position, facets=("q", "k") if self.qk else ())
        count = len(self.layers) or self.network.config.depth
        return (torch.stack(outputs[:count], dim=1), *outputs[count:])


class TorchEngine:
    """Torch on a CPU or an accelerator."""

    name = "torch"

    def __init__(self, backbone: Backbone, spec: FeatureSpec, device: torch.device, precision: Precision) -> None:
        self.precision: Precision = precision
        self.device, self.dtype = device, getattr(torch, precision)
        network = backbone.network
        if precision != "float32" or device.type != "cpu":
            network = copy.deepcopy(network).to(device, self.dtype)  # a new one would draw first weights from torch's generator
        self.graph = FeatureGraph(network, spec).to(device)
        self._position = _Positions(backbone, padded_side(spec))

    def run(self, images: NDArray[np.uint8]) -> list[Tensor]:
        """See `Engine`."""
        position = self._position(images).to(self.device, self.dtype)
        step = 1 if self.device.type == "cpu" else len(images)
        with torch.inference_mode():
            chunks = [self.graph(torch.from_numpy(images[i : i + step]).to(self.device), position) for i in range(0, len(images), step)]
            return [torch.cat(parts).to("cpu", torch.float16) for parts in zip(*chunks, strict=True)]


class OpenVinoEngine:
    """OpenVINO on the CPU. The converted graph is kept on disk, a compiled one for each image shape in memory."""

    name = "openvino"

    def __init__(self, backbone: Backbone, spec: FeatureSpec, precision: Precision, cache: Path | None) -> None:
        import openvino

        self.precision: Precision = precision
        self._core = openvino.Core()
        self._model = _converted(backbone, spec, cache, self._core)
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._position = _Positions(backbone, padded_side(spec))
        self._options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": available_cores(),
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        }

    def run(self, images: NDArray[np.uint8]) -> list[Tensor]:
        """See `Engine`."""
        position = self._position(images).numpy()
        compiled = self._for_shape(images.shape[1:], position.shape)
        chunks = []
        for image in images:
            answer = compiled([np.ascontiguousarray(image[None]), position])
            chunks.append([torch.from_numpy(np.asarray(answer[index], np.float16)) for index in range(len(answer))])
        return [torch.cat(parts) for parts in zip(*chunks, strict=True)]

    def _for_shape(self, image: tuple[int, ...], position: tuple[int, ...]) -> Any:
        if image not in self._compiled:
            fixed = self._model.clone()
            fixed.reshape({0: [1, *image], 1: list(position)})
            self._compiled[image] = self._core.compile_model(fixed, "CPU", self._options)
        return self._compiled[image]


class _Positions:
    """Position embeddings by grid, resized once each; square: the side to which images are filled up, 0: not."""

    def __init__(self, backbone: Backbone, square: int) -> None:
        self._network, self._square = backbone.network, square
        self._known: dict[tuple[int, int], Tensor] = {}

    def __call__(self, images: NDArray[np.uint8]) -> Tensor:
        patch = self._network.config.patch
        height, width = (self._square, self._square) if self._square else images.shape[1:3]
        grid = (height // patch, width // patch)
        if grid not in self._known:
            self._known[grid] = self._network.position(grid).detach().clone().contiguous()
        return self._known[grid]


def padded_side(spec: FeatureSpec) -> int:
    """The side of the square to which images are filled up, 0 where they are not."""
    return spec.side if spec.pad else 0


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware, so that half precision pays."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def instruction_set() -> str:
    """The processor's vector instructions, as torch names them, with bf16 where it multiplies in hardware."""
    return torch.backends.cpu.get_cpu_capability() + ("+BF16" if has_bfloat16() else "")


@cache
def engine_version(name: str) -> str:
    """The version of the package that an engine is; its numbers may change with it."""
    return version(name)


def pick_device(device: str) -> torch.device:
    """The device of a name; "auto" takes a CUDA device, then Apple's, then the CPU. UsageError for one that is not there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {device!r} cannot be used ({reason})", where="device", remedy='Use "auto", "cpu" or "cuda"') from error
    return chosen


def make_engine(backbone: Backbone, spec: FeatureSpec, *, engine: str, device: torch.device, precision: str, cache: Path | None) -> Engine:
    """The engine of a name; "auto": OpenVINO on CPUs, torch elsewhere; precision "auto": bfloat16 where the hardware has it."""
    if engine not in ("auto", "torch", "openvino"):
        raise UsageError(f"there is no engine {engine!r}", where="engine", remedy='Use "auto", "torch" or "openvino"')
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"there is no precision {precision!r}", where="precision", remedy='Use "auto", "float32" or "bfloat16"')
    if engine == "openvino" and device.type != "cpu":
        raise UsageError(f"openvino does not run on {device.type}", where="engine", remedy='Use engine "torch", or device "cpu"')
    chosen: Precision = "float32"
    if precision == "bfloat16" or (precision == "auto" and (device.type == "cuda" or (device.type == "cpu" and has_bfloat16()))):
        chosen = "bfloat16"
    if engine == "torch" or device.type != "cpu":
        return TorchEngine(backbone, spec, device, chosen)
    return OpenVinoEngine(backbone, spec, chosen, cache)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in the words of torch, OpenVINO or Python."""
    words = ("out of memory", "bad allocation", "bad_alloc", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words))


def _converted(backbone: Backbone, spec: FeatureSpec, cache: Path | None, core: Any) -> Any:
    """The OpenVINO graph with dynamic shapes, read from `cache` or converted (some seconds) and kept there."""
    import openvino

    key = hashlib.sha256(repr((openvino.__version__, backbone.sha256, spec.layers, spec.qk, *([spec.side] if spec.pad else []))).encode()).hexdigest()[:24]
    if cache is None:
        return _convert(backbone, spec)
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{key}.xml"
    with FileLock(cache / f"{key}.lock"):
        if not path.exists():
            model = _convert(backbone, spec)
            draft = cache / f"{key}.draft.xml"
            openvino.save_model(model, draft, compress_to_fp16=False)
            draft.with_suffix(".bin").replace(path.with_suffix(".bin"))
            draft.replace(path)
    return core.read_model(path)


def _convert(backbone: Backbone, spec: FeatureSpec) -> Any:
    import openvino

    patch = backbone.config.patch
    grid = (3, 4)
    whole = (padded_side(spec) // patch,) * 2 if spec.pad else grid
    example = (torch.zeros(1, grid[0] * patch, grid[1] * patch, 3, dtype=torch.uint8), backbone.network.position(whole).detach())
    graph = FeatureGraph(backbone.network, spec).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that are meant to be fixed
        return openvino.convert_model(graph, example_input=example)
