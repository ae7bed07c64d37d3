"""What a method chose by itself while learning, in words: shown by `likewise inspect` and by the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from likewise.task.deciding import rules_of

_CALIBRATED = {"support": "the examples", "shipped": "a curve that comes with the program", "prior": "a usual curve, for want of a better"}


def chosen_rows(facts: Mapping[str, Any], classes: Mapping[int, str] | None = None) -> list[tuple[str, str]]:
    """(what, choice) for each choice among the facts of a memory; none for methods that choose nothing. classes: numbers and names, where it may decide.

    >>> chosen_rows({"choice": [{"readout": "pixel", "left_out": None, "weight": 0.25}]})
    [('read-out pixel', '25 % of the answer, left-out score unknown')]
    """
    return [
        *_settled(facts),
        *_readouts(facts),
        *_objects(facts),
        *_calibrated(facts),
        *_adapted(facts),
        *_tuned(facts),
        *_whole(facts),
        *_alarmed(facts),
        *_decided(facts, classes or {}),
    ]


def _settled(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    settled = facts.get("settled") or {}
    if settled.get("sides"):
        because = f": {settled['because']}" if settled.get("because") else ""
        yield "working sizes", ", ".join(map(str, settled["sides"])) + because


def _readouts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in facts.get("choice") or ():
        score = "unknown" if each["left_out"] is None else f"{each['left_out']:.3f}"
        yield f"read-out {each['readout']}", f"{100 * each['weight']:.0f} % of the answer, left-out score {score}"


def _objects(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by: dict[str, int] = {}
    for split in (facts.get("objects") or {}).values():
        told = "as asked for" if split["quality"] is None else f"panoptic quality {split['quality']:.3f} on the examples"
        words = f"{split['way']}, {told}"
        by[words] = by.get(words, 0) + 1
    for words, classes in by.items():
        yield "objects told apart by", words if len(by) == 1 else f"{words} ({classes} class{'es' if classes > 1 else ''})"


def _calibrated(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by: dict[str, list[str]] = {}
    for name, source in (facts.get("calibration") or {}).items():
        by.setdefault(source, []).append(name)
    for source, names in by.items():
        yield f"presence by {_CALIBRATED.get(source, source)}", ", ".join(names)


def _adapted(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    adapted = facts.get("adapted")
    if adapted:
        what = {"prior": "presence", "features": "features"}.get(adapted["by"], "features and presence")
        nothing = "" if adapted.get("shifted", True) else "; their features are like those of the examples, and stay"
        yield "adapted to unlabelled images", f"{what}, by {adapted['images']} of them{nothing}"


def _tuned(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for tuning in facts.get("tuned") or ():
        errors = dict(tuning["curve"])
        best, steps = tuning["best_step"], len(tuning["losses"])
        came = f"held-out error {errors[0]:.3g} -> {errors[best]:.3g} at step {best} of {steps}" if best else f"no help in {steps} steps, left as they were"
        yield "tuned biases", f"{came}, {tuning['seconds']:.0f} s"


def _whole(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of classes of whole images: the temperature, and the rule for none of them with what it does to the examples."""
    if "temperature" in facts:
        yield "temperature of probabilities", f"{facts['temperature']:.3g}, by {facts.get('temperature_by', 'default')}"
    none = facts.get("none")
    if none:
        parts = [f"asked for: {100 * none['rate']:.3g} % of the images of the classes refused"]
        if none["left_out"]:
            parts.append(f"{none['left_out_refused']} of {none['left_out']} left-out examples are")
        if none["strange"]:
            parts.append(f"{none['strange_refused']} of {none['strange']} examples of none of them are, as they should be")
        yield "none of these", "; ".join(parts)


def _alarmed(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of what is unlike good images: how many of these a threshold is from, and the share of them that it promises to leave alone."""
    alarm = facts.get("alarm")
    if alarm:
        short = "" if alarm["promised"] <= alarm["asked"] else f", {100 * alarm['asked']:.3g} % were asked for: more good images are needed"
        yield "false alarms", f"at most {100 * alarm['promised']:.3g} % of good images, by {alarm['images']} left-out ones{short}"


def _decided(facts: Mapping[str, Any], classes: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Where a share that may be missed was asked for: from when on an image is to be looked at for each class."""
    for name, rule in rules_of(facts, classes).items():
        yield f"{name}, to miss {100 * rule.max_miss:g} %", rule.sentence()
