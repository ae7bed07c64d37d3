"""What each row of a published table needs to be repeated here: a recipe with its switches, or why it cannot be.

The rows of an ablation differ in how the method was trained, so each stands beside a checkpoint that was trained with the same switches.
What a checkpoint was trained with is read from `recipe.json`, which `likewise train` writes beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likewise.episodes.published import Published, every_row
from likewise.errors import InputError

TITLES: Mapping[str, str] = {
    "1": "image-level labels, Pascal-5i",
    "2": "image-level labels, COCO-20i",
    "3": "masks for a few percent of the images",
    "4": "masks, Pascal-5i",
    "6": "what pseudo masks are made of",
    "7": "coupled and decoupled heads",
    "8": "segmentation alone (FS-S), COCO-20i",
    "a.3": "a class-supervised backbone",
    "a.4": "from ASNet to CST: backbone and heads",
    "a.5": "other learners on the same backbone",
    "a.7": "one correlation head or many",
    "a.8": "the weight of the classification in the loss",
    "a.9": "image-level labels, COCO-20i, by fold",
    "a.10": "image-level labels, five shots, Pascal-5i",
    "a.11": "image-level labels, five shots, COCO-20i",
    "a.12": "masks, COCO-20i, by fold",
    "a.13": "segmentation alone (FS-S), COCO-20i, by fold",
    "a.14": "masks, one to five ways",
}
ABLATIONS = frozenset({"3", "6", "7", "a.3", "a.4", "a.5", "a.7", "a.8"})  # whose rows differ in training
USUAL: Mapping[str, Any] = {
    "supervision": "auto",  # of the method: masks where there are any
    "masks": 100.0,  # percent of the images
    "enhancer": False,
    "coupled": False,
    "many_heads": True,
    "class_weight": 0.1,
    "pseudo_backbone": "",  # that of the learner
    "class_supervised": False,  # the backbone
    "empty": True,  # episodes whose query shows nothing of the class; none in segmentation alone
}
_METHOD = "cst"
_FREE, _FREE_BACKBONE = "class-attention", "dino-small-8"  # the pseudo masks themselves, the row DINO
_IMAGE = ("method.supervision=classes", "optimiser.rate=1e-4", "validation.support=tag", "validation.metric=exact_ratio")  # over a recipe with masks
_PEERS: Mapping[str, str] = {"HSNet": "hsnet", "ASNet": "asnet", "PFENet": "pfenet", "PANet": "panet"}


@dataclass(frozen=True)
class Need:
    """What repeats a row: a checkpoint of `method` trained by `recipe` with `overrides`, which say the same as `switches`.

    recipe: "" of a method that is not trained; switches: what `trained_with` must say, or the settings of such a method;
    obstacle: why nothing here repeats it, "" where something does; true_support: the support shows its masks, though training had few.
    """

    method: str = ""
    recipe: str = ""
    overrides: tuple[str, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    obstacle: str = ""
    true_support: bool = False

    @property
    def told(self) -> str:
        """In a clause: the command that trains it, or the obstacle."""
        if self.obstacle:
            return self.obstacle
        if not self.recipe:
            return f"needs {self.method} with --backbone {_FREE_BACKBONE}, in which nothing is trained"
        return f"needs {self.method}:CHECKPOINT of `{' '.join(['likewise train', f'recipes/{self.method}/{self.recipe}.toml', *self.overrides])}`"

    def met_by(self, trained: Mapping[str, Any] | None) -> bool:
        """Whether a checkpoint trained with these values, or a method with these settings, repeats the row."""
        return not self.obstacle and trained is not None and all(trained.get(name) == value for name, value in self.switches.items())


def need_of(row: Published) -> Need:
    """What repeats a row of the paper."""
    if row.table == "a.7":
        many = row.method.startswith("multi")
        return _cst(row, {"many_heads": many}, () if many else ("method.many_heads=false",))
    if row.method in _PEERS:
        return _peer(row, _PEERS[row.method])
    if row.method == "DINO":
        return Need(_FREE, switches={"pseudo": "attention", "threshold": 0.4})
    if not row.method.startswith("CST"):
        return Need(obstacle="not in this program")
    if row.variant.get("backbone") == "ResNet-50":
        return Need(obstacle="the learner on a ResNet, which is not in this program")
    if row.table == "3":
        return _mixed(row)
    if row.table == "6":
        return _extractor(row)
    coupled = "coupled heads" in row.method.replace("decoupled", "") or row.variant.get("heads") == "coupled"
    if coupled:
        return _cst(row, {"coupled": True}, ("method.coupled=true",))
    if "class-supervised" in row.method:
        return _cst(row, {"class_supervised": True}, ("backbone.name=vit-small-16",))
    if "loss_weight" in row.variant:
        weight = float(row.variant["loss_weight"])
        return _cst(row, {"class_weight": weight}, () if weight == USUAL["class_weight"] else (f"method.class_weight={weight}",))
    if row.frame == "fss":
        return Need(_METHOD, f"{_benchmark(row)}-fss", (), {**USUAL, "empty": False})
    if row.variant.get("pseudo_masks") is False:
        return _cst(row, {"supervision": "classes"}, ("method.supervision=classes",))
    return _cst(row, {}, ())


def trained_with(checkpoint: str | Path | None) -> dict[str, Any] | None:
    """The switches that a checkpoint was trained with, by the names of `USUAL`, and "pseudo"; None where nothing says so.

    Of a peer of CST "supervision", "masks", "empty", and "own_network": whether it has one beside its learner.

    Raises InputError for a `recipe.json` beside it that is none.
    """
    if checkpoint is None or str(checkpoint) == "random":
        return None
    path = Path(checkpoint)
    recipe = (path if path.is_dir() else path.parent) / "recipe.json"
    if not recipe.is_file():
        return None
    try:
        told = json.loads(recipe.read_text("utf-8"))
        method, shares = told["method"], {float(source["masks"]) for source in told["source"]}
        empty = any(source.get("empty", True) for source in told["source"])
        if method["name"] in _PEERS.values():
            network = method.get("start") is not None  # they begin from nothing but a network
            return {"supervision": method.get("supervision", "masks"), "masks": min(shares), "empty": empty, "own_network": network}
        backbone = str(told["backbone"]["name"])
        found = {name: method.get(name, usual) for name, usual in {**USUAL, "pseudo": "attention"}.items()}
        enhanced = method.get("start") is not None and found["pseudo"] != "pooled"  # which begins from a ResNet
        known = {"masks": min(shares), "empty": empty, "enhancer": enhanced, "class_supervised": backbone.startswith("vit-")}
        return {**found, **known}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is no recipe of a training ({type(error).__name__}: {error})", where=str(recipe), remedy="Move it away") from error


def overview() -> str:
    """Every table with its settings and, row by row, what it needs; for `--table list`."""
    lines = ["Tables of the paper. Methods stand beside rows of the same setting; in an ablation a checkpoint only beside rows of its own training.", ""]
    for table, title in TITLES.items():
        rows = [row for row in every_row() if row.table == table]
        settings = dict.fromkeys(f"{row.way}-way {row.shot}-shot" for row in rows)
        benchmarks = "/".join(dict.fromkeys(row.benchmark for row in rows))
        lines.append(f"{table:<5} {title} ({benchmarks}; {', '.join(settings)})" + ("; ablation" if table in ABLATIONS else ""))
        told: dict[str, list[str]] = {}
        for row in rows:
            named = row.title if table not in ABLATIONS else f"{row.title}, {row.supervision}"
            told.setdefault(need_of(row).told, []).append(named)
        lines += [f"        {'; '.join(dict.fromkeys(names))}: {need}" for need, names in told.items()]
    lines += ["", "ENHANCER is last.safetensors of recipes/cst/pascal-enhancer.toml with the same masks. A recipe of this kind trains one fold: add fold=N."]
    lines += ["EXTRACTOR is the file that `likewise weights convert cst RESNET OUT` makes of a ResNet-50, for this row one that DINO trained."]
    lines += ["For data of your own put the same words behind a recipe for them, such as recipes/cst/small-pixel.toml or small-image.toml."]
    return "\n".join(lines) + "\n"


def _cst(row: Published, switches: Mapping[str, Any], overrides: tuple[str, ...]) -> Need:
    level = "pixel" if row.supervision == "pixel" else "image"
    base = dict(USUAL) | ({"supervision": "pseudo"} if level == "image" else {})
    return Need(_METHOD, f"{_benchmark(row)}-{level}", overrides, {**base, **switches})


def _peer(row: Published, method: str) -> Need:
    """Of the methods beside CST: what their recipes train."""
    if method == "panet":
        return Need(obstacle="its ResNet is trained with the statistics of batches, which `likewise train` does not do; one trained elsewhere is converted")
    if row.frame == "fss":
        return Need(method, f"{_benchmark(row)}-fss", (), {**_peer_switches(pixel=True, own_network=True), "empty": False})
    benchmark, pixel, tokens = _benchmark(row), row.supervision == "pixel", row.variant.get("backbone") == "DINO ViT-S/8"
    if tokens:
        return Need(method, f"{benchmark}-tokens", () if pixel else _IMAGE, _peer_switches(pixel, own_network=False))
    return Need(method, f"{benchmark}-{'pixel' if pixel else 'image'}", (), _peer_switches(pixel, own_network=True))


def _benchmark(row: Published) -> str:
    """The first word of its name, by which recipes are called."""
    return row.benchmark.partition("-")[0]


def _peer_switches(pixel: bool, *, own_network: bool) -> dict[str, Any]:
    return {"supervision": "masks" if pixel else "classes", "masks": 100.0, "empty": True, "own_network": own_network}


def _mixed(row: Published) -> Need:
    percent = float(row.variant["percent_true_masks"])
    enhanced, shown = "enhancer" in row.method, "test time" in row.method
    if percent == 0:
        return _cst(row, {}, ())
    switches = {**USUAL, "masks": percent, "enhancer": enhanced and percent < 100}
    if percent == 100:
        return Need(_METHOD, "pascal-pixel", (), switches, true_support=True)
    overrides = (f"source.0.masks={percent:g}", *(("method.start=ENHANCER",) if enhanced else ()))
    return Need(_METHOD, "pascal-mixed", overrides, switches, true_support=shown)


def _extractor(row: Published) -> Need:
    if "output tokens" in row.method:
        return _cst(row, {"pseudo": "tokens"}, ("method.pseudo=tokens",))
    if "last attention" in row.method:
        return _cst(row, {"pseudo": "attention"}, ())
    if "CNN" in row.method:
        return _cst(row, {"pseudo": "pooled"}, ("method.pseudo=pooled", "method.start=EXTRACTOR"))
    return _cst(row, {"pseudo_backbone": "vit-small-16"}, ("method.pseudo_backbone=vit-small-16",))
