"""Scores of targets and keypoints in words, for terminal and report alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# name of a score -> what stands before and after its number, and whether it is a share
_WORDS: dict[str, tuple[str, str, bool]] = {
    "mean": ("off by", "degrees on average", False),
    "median": ("median", "", False),
    "within_11.25": ("within 11.25 degrees", "", True),
    "within_22.5": ("within 22.5", "", True),
    "within_30": ("within 30", "", True),
    "count_error": ("counts off by", "an image", False),
    "count_relative": ("of all that is there", "", True),
    "error": ("off by", "pixels on average", False),
    "pck_0.05": ("within a twentieth of the size", "", True),
    "pck_0.1": ("within a tenth", "", True),
    "pck_0.2": ("within a fifth", "", True),
    "visible_right": ("visible or not right", "", True),
    "mae": ("mean absolute error", "", False),
    "rmse": ("RMSE", "", False),
    "abs_rel": ("absolute relative error", "", False),
    "delta_1.25": ("within a factor of 1.25", "", True),
}


def told_scores(scores: Mapping[str, float | None]) -> str:
    """The scores that are known, in words.

    >>> told_scores({"rmse": 12.34567, "abs_rel": 0.1, "delta_1.25": 0.785})
    'RMSE 12.35, absolute relative error 0.1, within a factor of 1.25 78.5 %'
    """
    known = {name: value for name, value in scores.items() if value is not None}
    if "mean" in known:  # of directions degrees say more than the size of a difference
        known.pop("rmse", None)
    parts = []
    for name, (before, after, share) in _WORDS.items():
        if name in known:
            number = f"{100 * known[name]:.1f} %" if share else f"{known[name]:.4g}"
            parts.append(" ".join(part for part in (before, number, after) if part))
    return ", ".join(parts)


def told_objects(truth: Mapping[str, Any]) -> list[str]:
    """What the scores of a truth say of objects, in sentences; none where they are not told apart.

    >>> told_objects({"objects": {"ap50": 0.5}, "objects_of": {"cat": {"ap50": 0.5, "count_error": 1.25, "count_relative": 0.1, "objects": 80}}})
    ['objects of cat: AP50 50.0 %, 80 in truth, counts off by 1.25 an image, of all that is there 10.0 %']
    """
    told = [(name, scores) for name, scores in truth.get("objects_of", {}).items() if scores["ap50"] is not None]
    lines = [f"objects of {name}: AP50 {100 * scores['ap50']:.1f} %, {scores['objects']:,} in truth, {told_scores(scores)}" for name, scores in told]
    return [*([f"objects: mean AP50 {100 * truth['objects']['ap50']:.1f} %"] if len(told) > 1 else []), *lines]


def told_classes(truth: Mapping[str, Any]) -> list[str]:
    """What the scores of a truth say of classes of whole images, in sentences; none where they say nothing of them."""
    if "right" not in truth:
        return []
    lines = []
    if truth["accuracy"] is not None:
        low, high = truth["interval"]
        refused = f"; {truth['refused']} said to be none of these" if truth["refused"] else ""
        hits, of = (sum(pair[place] for pair in truth["right"].values()) for place in (0, 1))
        lines.append(f"accuracy {100 * truth['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f}): {hits:,} of {of:,} images right{refused}")
        lines += [f"{name}: {right:,} of {of:,} right" for name, (right, of) in truth["right"].items()]
    lines += [f"{true} taken for {said}: {count:,}" for true, said, count in truth["mixed"]]
    if truth["none"][1]:
        lines.append(f"of {truth['none'][1]:,} that show none of the classes {truth['none'][0]:,} said to be so")
    return lines
