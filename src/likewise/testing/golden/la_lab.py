"""Golden files of what surrounds Label Anything: losses, pictures and prompts, episodes, scores (`la_*`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import InputError
from likewise.testing.golden.case import Case
from likewise.testing.golden.la import given, on_canvas

if TYPE_CHECKING:
    from likewise.episodes.prompted.annotations import Annotated
    from likewise.methods.label_anything.prompts import Prompts


def losses(case: Case) -> Mapping[str, Any]:
    """The focal loss with weights of classes, its gradient, and dice."""
    import torch

    from likewise.methods.label_anything import objective

    logits, gamma = given(case, "logits").requires_grad_(), case.config["gamma"]
    found: dict[str, Any] = {}
    for prefix, name in (("plain", "target"), ("ignore", "target_ignore")):
        target = given(case, name)
        weights = objective.class_weights(target, logits.shape[1], official=True)
        weighted = objective.focal_loss(logits, target, weights, gamma=gamma, official=True)
        (gradient,) = torch.autograd.grad(weighted, logits)
        found |= {
            f"{prefix}.class_weights": weights,
            f"{prefix}.weights": objective.pixel_weights(target, weights),
            f"{prefix}.focal_weighted": weighted.detach(),
            f"{prefix}.focal": objective.focal_loss(logits, target, None, gamma=gamma, official=True).detach(),
            f"{prefix}.focal_weight_half": weighted.detach() * objective.component_weight(0.5, official=True),
            f"{prefix}.grad": gradient[..., ::4, ::4],
            f"{prefix}.dice": objective.dice_loss(logits, target).detach(),
            f"{prefix}.dice_weighted": objective.dice_loss(logits, target, weights).detach(),
        }
    absent = logits.detach().clone()
    absent[0, 3] = -torch.inf
    target = given(case, "target_ignore")
    found["minus_inf.focal_weighted"] = objective.focal_loss(
        absent, target, objective.class_weights(target, logits.shape[1], official=True), gamma=gamma, official=True
    )
    return found


def preprocess(case: Case) -> Mapping[str, Any]:
    """Pictures, points, boxes and masks in the square of the network; or logits back at the size of pictures."""
    from likewise.methods.label_anything.pictures import Frame

    if "low" in case.meta["inputs"]:
        low, dims = given(case, "low"), case.stored["dims"]
        side = case.config["image_size"]
        return {name: on_canvas(low, Frame(side, padded=name == "padded"), dims)[..., ::2, ::2] for name in ("padded", "square")}
    found: dict[str, Any] = {}
    for name in case.meta["inputs"]:
        found |= {f"{name}.{what}": value for what, value in _picture(case, name).items()}
    return found | _noise(case)


def _picture(case: Case, name: str) -> dict[str, Any]:
    from likewise.data.image_prompts import ImagePrompts
    from likewise.methods.label_anything.pictures import Frame
    from likewise.methods.label_anything.prompts import prompts_from

    picture, config = given(case, name).numpy(), case.config
    size = (picture.shape[0], picture.shape[1])
    found: dict[str, Any] = {}
    for what, padded in (("padded", True), ("square", False)):
        frame = Frame(config["long_side"], padded=padded)
        found[what] = frame.normalised(picture, tuple(config["mean"]), tuple(config["std"]))[:, ::2, ::2]
    for what, side in (("shape", config["long_side"]), ("shape1024", 1024), ("shape480", 480)):
        found[what] = np.array(Frame(side, padded=True).inner(size))
    points, boxes, masks = (case.stored[f"{name}.{what}"] for what in ("points", "boxes", "masks"))
    given_here = ImagePrompts(size, positive={1: points + 0.5}, boxes={1: boxes}, masks={1: np.asarray(masks.any(axis=0))})
    for what, frame in (("pad1024", Frame(1024, padded=True)), ("sq480", Frame(480, padded=False))):
        asked = prompts_from([given_here], [1], frame)
        found |= {f"{what}.{kind}": getattr(asked, kind)[0, 0, 1] for kind in ("points", "boxes", "masks")}
        found[f"{what}.mask"] = found.pop(f"{what}.masks")
    return found


def _noise(case: Case) -> dict[str, Any]:
    """Boxes moved and points drawn by NumPy's generator from the case's seed; sizes stand in the file's notes."""
    from likewise.episodes.prompted.annotations import Annotation
    from likewise.episodes.prompted.simulation import box_of, sampled

    def box(x: float, y: float, width: float, height: float) -> Annotation:
        return Annotation(0, 0, (x, y, width, height), width * height, [])

    random = np.random.RandomState(case.seed)
    moved = np.stack([box_of(box(2, 20.25, 110, 75), (100, 120), random) for _ in range(len(case.expected["bbox_noise"]))])
    random = np.random.RandomState(case.seed)
    drawn = np.stack([sampled(case.stored["image0.masks"][0] > 0, random) for _ in range(len(case.expected["sampled_points"]))])
    corners = box_of(box(10.5, 20.25, 30, 15.5), (100, 120), None)
    return {"bbox_xyxy": corners, "bbox_noise": moved, "sampled_points": np.floor(drawn).astype(np.int64)}


def from_masks(case: Case) -> Mapping[str, Any]:
    """Prompts simulated from annotations, item by item."""
    from likewise.episodes.prompted.annotations import SMALL, annotated, held_out
    from likewise.episodes.prompted.simulation import Chance, simulated
    from likewise.methods.label_anything.pictures import Frame
    from likewise.methods.label_anything.prompts import prompts_from

    config, content = case.config, _content(case)
    every = [each["id"] for each in content["categories"]]
    out = held_out(every, config["val_fold_idx"])
    allowed = [number for number in every if (number in out) == (config["split"] == "val")]
    data = annotated(content, allowed, smallest=SMALL if config["remove_small_annotations"] else 0)
    frame = Frame(config["image_size"], padded=config["custom_preprocess"])
    found: dict[str, Any] = {}
    for index, item in enumerate(config["items"]):
        chance, numbers = Chance.seeded(item["seed"]), item["category_ids"][1:]
        images = [
            simulated(
                data.annotations[image], numbers, data.sizes[image], item["types"], chance, noisy=config["add_box_noise"], most=config["max_points_annotations"]
            )
            for image in item["image_ids"]
        ]
        found |= {f"{index}.{name}": value for name, value in _as_stored(prompts_from(images, numbers, frame)).items()}
        found[f"{index}.gt0"] = data.labels(item["image_ids"][0], numbers)
    return found


def _as_stored(asked: Prompts) -> dict[str, NDArray[Any]]:
    names = {"boxes": "boxes", "flag_boxes": "box_flags", "masks": "masks", "flag_masks": "mask_flags", "points": "points", "flag_points": "point_flags"}
    found = {theirs: getattr(asked, ours)[0].numpy() for theirs, ours in names.items()}
    return found | {"flag_examples": asked.some()[0].numpy().astype(np.uint8)}


def _content(case: Case) -> Mapping[str, Any]:
    """The COCO file that a case names, beside the golden files."""
    path = case.folders.data.parent / "golden" / case.config["instances"]
    if not path.is_file():
        raise InputError(f"{path.name} is not beside the golden files", where=case.name, remedy="Fetch it again")
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def episodes(case: Case) -> Mapping[str, Any]:
    """The document of episodes: validation by ways, shots and fold, training with given numbers of classes and shots."""
    expected = json.loads(str(case.expected["json"]))
    return {"json": {"val": [_tested(case, block) for block in expected["val"]], "train": [_trained(case, each) for each in expected["train"]]}}


def _tested(case: Case, block: Mapping[str, Any]) -> dict[str, Any]:
    """A block of validation episodes of the same form as another, of whose episodes the seeds count alone."""
    from likewise.episodes.prompted.annotations import annotated, held_out
    from likewise.episodes.prompted.sampling import validation_episode
    from likewise.episodes.prompted.simulation import Chance

    content = _content(case)
    categories = held_out([each["id"] for each in content["categories"]], block["fold"])
    data = annotated(content, categories)
    found: list[dict[str, Any]] = []
    for each in block["episodes"]:
        try:
            episode = validation_episode(data, block["n_ways"], block["n_shots"], Chance.seeded(each.get("seed", case.seed)).python)
        except InputError:
            found.append({"error": "Sample larger than population or is negative"})  # in the words of the generator
            continue
        drawn = [episode.asked, *episode.drawn_for]
        numbers = sorted(set(episode.drawn_for))
        classes, sizes = [_shown(data, image, numbers) for image in episode.images], [data.sizes[image] for image in episode.images]
        canvas = np.zeros((max(size[0] for size in sizes), max(size[1] for size in sizes)), np.uint8)
        truth = data.labels(episode.query, numbers)
        canvas[: truth.shape[0], : truth.shape[1]] = truth
        found.append(
            {
                "seed": each["seed"],
                "image_ids": list(episode.images),
                "classes": classes,
                "intended": [[number] for number in drawn],
                "flag_examples": _flags(data, episode.images, numbers, ("mask",), each["seed"])[0],
                "gt_shape": [len(episode.images), *canvas.shape],
                "gt_counts": np.bincount(canvas.ravel(), minlength=1 + len(numbers)).tolist(),
            }
        )
    return {"n_ways": block["n_ways"], "n_shots": block["n_shots"], "fold": block["fold"], "categories": list(categories), "episodes": found}


def _trained(case: Case, each: Mapping[str, Any]) -> dict[str, Any]:
    """A training episode with the seed, classes and shots of another; fold 0 is held out, the kind of prompts is drawn of four lists."""
    import torch

    from likewise.episodes.prompted.annotations import annotated, held_out
    from likewise.episodes.prompted.sampling import training_episode

    content = _content(case)
    every = [entry["id"] for entry in content["categories"]]
    data = annotated(content, [number for number in every if number not in held_out(every, 0)])
    episode = training_episode(data, each["num_classes"], each["num_examples"], torch.Generator().manual_seed(each["seed"]))
    numbers = sorted(set(episode.drawn_for))
    kinds = (("mask",), ("bbox",), ("point",), ("mask", "bbox"))
    flags, counts = _flags(data, episode.images, numbers, kinds, each["seed"])
    return {
        "seed": each["seed"],
        "num_classes": each["num_classes"],
        "num_examples": each["num_examples"],
        "image_ids": list(episode.images),
        "classes": [_shown(data, image, numbers) for image in episode.images],
        "channels": 1 + len(numbers),
        **counts,
        "flag_examples": flags,
    }


def _shown(data: Annotated, image: int, numbers: list[int]) -> list[int]:
    return [number for number in numbers if number in data.of(image)]


def _flags(data: Annotated, images: tuple[int, ...], numbers: list[int], kinds: Any, seed: int) -> tuple[list[list[int]], dict[str, int]]:
    """Which pairs of image and class have prompts, and how many there are of each type."""
    from likewise.episodes.prompted.simulation import Chance, simulated
    from likewise.methods.label_anything.pictures import Frame
    from likewise.methods.label_anything.prompts import prompts_from

    chance = Chance.seeded(seed)
    allowed = chance.python.choice(kinds) if isinstance(kinds[0], tuple) else kinds
    noisy = isinstance(kinds[0], tuple)
    prompts = [simulated(data.annotations[image], numbers, data.sizes[image], allowed, chance, noisy=noisy) for image in images]
    asked = prompts_from(prompts, numbers, Frame(480, padded=False))
    used = {name: int((getattr(asked, flags) != 0).sum()) for name, flags in (("masks", "mask_flags"), ("points", "point_flags"), ("boxes", "box_flags"))}
    return asked.some()[0].int().tolist(), {f"{name}_used": count for name, count in used.items()}


def metrics(case: Case) -> Mapping[str, Any]:
    """Labels of episodes as labels of the fold, and scores over all of them, as coded and correct."""
    from likewise.functional import nway_metrics as scores

    places = {number: place for place, number in enumerate(case.config["category_ids"], start=1)}
    count, ignored = case.config["num_classes"], case.config["ignore_index"]
    found: dict[str, Any] = {}
    for prefix, official in (("official", True), ("sane", False)):
        maps: dict[str, list[NDArray[Any]]] = {"pred": [], "gt": []}
        for index, (classes,) in enumerate(case.config["classes"]):
            shown = sorted({number for image in classes for number in image})
            for name, listed in maps.items():
                listed.append(scores.benchmark_labels(case.stored[name][index], [places[number] for number in shown], official=official))
        predicted, truth = (np.stack(maps[name]) for name in ("pred", "gt"))
        counts = scores.confusion(predicted, truth, count, ignored=ignored)
        found |= {f"{prefix}.pred": predicted, f"{prefix}.gt": truth}
        if official:
            own = scores.official_scores(counts)
            found |= {"official.StrictMeanIoU": own["miou"], "official.MeanIoU": own["bmiou"], "official.FBIoU": own["fb_iou"]}
        else:
            mean = scores.nway_scores(counts)
            found |= {"sane.miou": mean["miou"], "sane.miou_with_background": mean["bmiou"], "sane.fg_iou": mean["foreground"], "sane.fbiou": mean["fb_iou"]}
            found["sane.class_iou"] = scores.class_iou(counts)
    return {name: np.asarray(value, case.expected[name].dtype) for name, value in found.items()}
