"""napari-convpaint itself on the draws of the arena, through its Python API. Needs an environment of its own (README.md beside) and nothing of this package.

    python benchmarks/peers/convpaint.py [--alias gaussian vgg dinov2 ...] [--dinov2 FILE] [--sets NAME ...] [--shots 1 5 split] [--draws 1]

Rows stand where `arena.py` reads them: bench/arena/napari-convpaint-ALIAS/SHOTS/SET/DRAW.json; a row that is there is not made again. Labels: of each example
at most so many pixels a class, evenly spread over what is labelled so, in all 8,192, as many as our `convpaint` learns from; every other pixel is left
unlabelled. The program's own classifier (CatBoost) and settings. The score is that of `../shared/tools/score.py`, written anew here, since that file imports
likewise: pooled intersections over pooled unions, the mean over classes that occur.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parents[2]
SHARED, OUT = ROOT.parent / "shared", ROOT / "bench" / "arena"
BUDGET, IGNORE = 8192, 255
SHOTS = ("1", "2", "5", "10", "split")


def pixels(folder: Path, name: str) -> NDArray[np.uint8]:
    """An image (3, H, W), channels first, as the program wants it."""
    with Image.open(next((folder / "images").glob(f"{name}.*"))) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def labels(folder: Path, name: str) -> NDArray[np.uint8]:
    """(H, W): 0 background, 255 ignore."""
    return np.asarray(Image.open(folder / "masks" / f"{name}.png"))


def strokes(truth: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """What the program is told of an example: 0 not labelled, 1 background, 2.. classes; evenly many of at most `most` pixels of each."""
    told = np.zeros(truth.shape, np.uint8)
    for value in np.unique(truth[truth != IGNORE]):
        places = np.flatnonzero(truth == value)
        told.flat[places[np.linspace(0, len(places) - 1, min(most, len(places))).astype(np.int64)]] = value + 1
    return told


def measure(alias: str, folder: Path, classes: list[int], draw: dict[str, list[str]]) -> dict[str, Any]:
    """A row: learned from the support, asked about the queries."""
    from napari_convpaint.convpaint_model import ConvpaintModel

    truths = [labels(folder, name) for name in draw["support"]]
    most = max(1, BUDGET // (len(classes) + 1) // len(truths))
    model = ConvpaintModel(alias)
    model.set_params(channel_mode="rgb", ignore_warnings=True)
    began = time.process_time()
    model.train([pixels(folder, name) for name in draw["support"]], [strokes(truth, most) for truth in truths])
    learned = time.process_time() - began
    began = time.process_time()
    counts = {name: compared(np.asarray(model.segment(pixels(folder, name))).squeeze() - 1, labels(folder, name), classes) for name in draw["query"]}
    spent = (time.process_time() - began) / len(draw["query"])
    return {"miou": miou(counts, classes), "per_query": counts, "learn_s": learned, "query_s": spent, "code": version("napari-convpaint")}


def run_dinov2_from(path: Path) -> str:
    """Let the program's DINOv2 features come from a file; its sha256, shortened as in the arena."""
    import timm
    import torch
    from napari_convpaint.feature_extractors.dino import Dinov2Features
    from safetensors.torch import load_file
    from timm.models.vision_transformer import checkpoint_filter_fn

    network = timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=0, dynamic_img_size=True)
    network.load_state_dict(checkpoint_filter_fn(load_file(path), network))

    class Tokens(torch.nn.Module):
        """The network with the one call that the program makes."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network.eval()

        def forward_features(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            """Images (B, 3, H, W) -> the tokens of patches (B, P, D), normalised."""
            return {"x_norm_patchtokens": self.network.forward_features(images)[:, self.network.num_prefix_tokens :]}

    Dinov2Features.create_model = staticmethod(lambda model_name: Tokens())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compared(found: NDArray[Any], truth: NDArray[np.uint8], classes: list[int]) -> dict[str, list[int]]:
    """Intersection and union of every class that occurs in the answer or the truth."""
    valid = truth != IGNORE
    pairs = {number: ((found == number) & valid, (truth == number) & valid) for number in classes}
    return {str(number): [int((a & b).sum()), int((a | b).sum())] for number, (a, b) in pairs.items() if a.any() or b.any()}


def miou(counts: dict[str, dict[str, list[int]]], classes: list[int]) -> float:
    """In percent, over the classes that occur anywhere."""
    pooled = {number: np.sum([pair[str(number)] for pair in counts.values() if str(number) in pair], axis=0) for number in classes}
    return float(100 * np.mean([pair[0] / pair[1] for pair in pooled.values() if np.ndim(pair) and pair[1]]))


def main() -> None:
    """Make the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alias", nargs="+", default=["gaussian", "vgg", "dinov2"], help="models of the program, by its own names")
    parser.add_argument("--dinov2", type=Path, metavar="FILE", help="weights of DINOv2 ViT-S/14 with registers for the alias dinov2")
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--shots", nargs="+", default=["1", "5", "split"], choices=SHOTS)
    parser.add_argument("--draws", type=int, default=1)
    told = parser.parse_args()
    try:
        print(f"napari-convpaint {version('napari-convpaint')}", flush=True)
    except PackageNotFoundError:
        sys.exit("napari-convpaint is not installed in this environment: see benchmarks/peers/README.md")
    if not SHARED.exists():
        sys.exit("../shared is not here: nothing to measure on")
    files = {"dinov2": {"sha256": run_dinov2_from(told.dinov2), "name": told.dinov2.stem}} if told.dinov2 else {}
    fixed = json.loads((SHARED / "tools" / "draws.json").read_text())
    for folder in sorted(path.parent for path in (SHARED / "data").glob("*/dataset.json")):
        meta = json.loads((folder / "dataset.json").read_text())
        if (told.sets and folder.name not in told.sets) or not (folder / "masks").exists() or not isinstance(meta.get("split", {}).get("support"), list):
            continue
        draws = {"split": [meta["split"]], **fixed.get(folder.name, {})}
        for alias in told.alias:
            for shots in told.shots:
                for index, draw in enumerate(draws.get(shots, [])[: told.draws]):
                    path = OUT / f"napari-convpaint-{alias}" / shots / folder.name / f"{index}.json"
                    if path.exists():
                        continue
                    weights = {"backbone": files[alias]} if alias in files else {}
                    row = {**measure(alias, folder, [int(number) for number in meta["classes"]], draw), "weights": weights}
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.with_suffix(".part").write_text(json.dumps(row))
                    path.with_suffix(".part").replace(path)
                    print(f"{alias} {shots} {folder.name} {index}: {row['miou']:.1f}, {row['query_s']:.2f} s a query", flush=True)


if __name__ == "__main__":
    main()
