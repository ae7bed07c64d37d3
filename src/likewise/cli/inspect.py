"""`likewise inspect`: what is in a task file, or in labelled examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.options import ChannelList, MaxPixels, parsed_channels
from likewise.cli.printing import printable, say

if TYPE_CHECKING:
    from likewise.formats import ReadSupport

ENDING = ".task"


def inspect(
    path: Annotated[Path, typer.Argument(metavar="TASK|EXAMPLES", help="A .task file, or labelled examples.")],
    as_format: Annotated[str | None, typer.Option("--as", metavar="FORMAT", help="Read the examples in this format instead of the recognised one.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of the examples. [default: support]")] = None,
    channels: ChannelList = None,
    max_pixels: MaxPixels = 200_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a task file or labelled examples hold.

    Of a task: method, settings, what it chose by itself, weights with their hashes, classes, examples, left-out scores,
    versions. Of examples: what format they were recognised as, the classes, and what each example shows.
    """
    if path.suffix == ENDING:
        from likewise import task

        facts = task.load(path).describe()
        lines = _task_lines(facts)
    else:
        from likewise import formats
        from likewise.data.limits import set_pixel_limit

        set_pixel_limit(max_pixels)
        read = formats.read_support(path, format=as_format, split=split, channels=parsed_channels(channels))
        say(read.sentence, aside=True)
        facts = _support_facts(read)
        lines = _support_lines(facts)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for line in lines:
        print(printable(line))


def left_out_lines(left_out: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each class or target: how well it was predicted on examples that were left out of learning."""
    for name, score in left_out.items():
        numbers = ", ".join(f"{key} {value:.3f}" for key, value in score.items() if isinstance(value, float))
        others = ", ".join(f"{key} {value}" for key, value in score.items() if isinstance(value, (str, int)) and not isinstance(value, bool))
        yield f"left out, {name}: {numbers or 'unknown'}{f' ({others})' if others else ''}"


def _task_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    from likewise.labelling.chosen import chosen_rows

    settings = ", ".join(f"{name}={value}" for name, value in facts["settings"].items())
    yield f"method: {facts['method']}, preset {facts['preset']}{f' ({settings})' if settings else ''}"
    for what, choice in chosen_rows(facts["facts"], {int(number): name for number, name in facts["classes"].items()}):
        yield f"{what}: {choice}"
    for role, weights in facts["weights"].items():
        yield f"{role}: {weights['name']}, sha256 {weights['sha256']}"
    yield from _class_lines(facts["classes"], facts["targets"])
    if facts.get("class_vectors"):
        yield f"class vectors: {len(facts['class_vectors'])}"
    yield f"examples: {len(facts['examples'])}{', without their features (compact)' if facts['compact'] else ''}"
    for example in facts["examples"]:
        yield f"    {example['name']}  {example['size'][1]}x{example['size'][0]}  {', '.join(example['kinds'])}  sha256 {example['digest'][:12]}"
    yield from left_out_lines(facts["left_out"])
    yield f"digest: {facts['digest']}"
    yield "made with: " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())


def _support_facts(read: ReadSupport) -> dict[str, Any]:
    support = read.support
    examples = [
        {
            "name": example.name,
            "digest": example.digest,
            "size": list(example.labels.size),
            "kinds": sorted(example.labels.kinds()),
            "present": [support.classes[number] for number in support.classes if example.labels.present(number)],
            "unlabelled": example.labels.unlabelled,
        }
        for example in support.examples
    ]
    return {
        "format": read.format,
        "split": read.split,
        "classes": {str(number): name for number, name in support.classes.names.items()},
        "targets": {name: {"unit": target.unit, "kind": target.kind} for name, target in support.targets.items()},
        "shown_by": {support.classes[number]: len(support.showing(number)) for number in support.classes},
        "examples": examples,
        "digest": support.digest(),
    }


def _support_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from _class_lines(facts["classes"], facts["targets"], facts["shown_by"])
    if facts.get("class_vectors"):
        yield f"class vectors: {len(facts['class_vectors'])}"
    yield f"examples: {len(facts['examples'])}"
    for example in facts["examples"]:
        shown = ", ".join(example["present"]) or ("no class" if facts["classes"] else "")
        unknown = "  (unlabelled pixels are unknown)" if example["unlabelled"] == "unknown" else ""
        yield f"    {example['name']}  {example['size'][1]}x{example['size'][0]}  {', '.join(example['kinds'])}  {shown}".rstrip() + unknown
    yield f"digest: {facts['digest']}"


def _class_lines(classes: Mapping[str, str], targets: Mapping[str, Mapping[str, Any]], shown_by: Mapping[str, int] | None = None) -> Iterator[str]:
    for number, name in classes.items():
        count = "" if shown_by is None else f"  in {shown_by[name]} examples"
        yield f"class {number}: {name}{count}"
    for name, target in targets.items():
        unit = f" in {target['unit']}" if target["unit"] else ""
        yield f"target {name}: {target['kind']}{unit}"
