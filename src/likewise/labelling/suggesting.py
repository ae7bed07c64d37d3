"""What to label next: the images of a folder that show most of what no labelled one shows, first where a task is least sure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import torch
from torch import Tensor

from likewise.backbones import FeatureProvider, FeatureSpec
from likewise.data.images import image_digest, read_image
from likewise.errors import InputError, LikewiseError, UsageError
from likewise.functional.coverage import covered, kinds_of_patches, most_covering
from likewise.functional.even_draw import drawn_names, drawn_rows
from likewise.labelling.about import data_uri
from likewise.labelling.gallery import thumbnail

if TYPE_CHECKING:
    from likewise.formats import ImageList
    from likewise.task import Task

MOST = 2000  # images that are looked at; of more an even draw by the hash of their names
TOKENS = 256  # of each image, 0.2 MB
SAMPLE = 40_000  # tokens of all images that the kinds of patches are found in
KINDS = 128
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Suggestion:
    """An image to label. gain: what it adds to what is covered, in 0..1 of all; confidence: of the task's answer, None without a task."""

    name: str
    path: Path
    gain: float
    confidence: float | None = None


@dataclass(frozen=True)
class Suggestions:
    """Images to label, the most useful first.

    looked: how many images were compared; of: how many there are; known: left out since the task was learned from them;
    failed: {image: why it cannot be read}.
    """

    chosen: Sequence[Suggestion]
    looked: int
    of: int
    known: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        chosen = [{"image": one.name, "gain": round(one.gain, 5), "confidence": one.confidence} for one in self.chosen]
        return {"suggestions": chosen, "looked_at": self.looked, "of": self.of, "known": self.known, "failed": dict(self.failed)}


@dataclass(frozen=True)
class _Looked:
    """An image as it is compared: tokens (P, D) of length 1, half precision; doubt in 0..1 of the task's answer."""

    name: str
    tokens: Tensor
    doubt: float


def suggest(images: ImageList, count: int, provider: FeatureProvider, *, task: Task | None = None, watch: Watch | None = None) -> Suggestions:
    """The images that are worth a label next; the same for the same images, whatever their order.

    provider: gives the features, with a task the task's own. With a task images that it was learned from are left out, what they show counts as
    covered, and kinds of patches weigh as much as the task is unsure of the images that show them. Raises UsageError for a count below 1
    and InputError where no image can be read.
    """
    if count < 1:
        raise UsageError(f"{count} images are asked for", where="-n", remedy="Ask for one at least")
    names = drawn_names(images.names, MOST)
    failed: dict[str, str] = {}
    known = set() if task is None else {example.digest for example in task.support.examples}
    looked: list[_Looked] = []
    seen = 0
    for place, name in enumerate(names):
        if watch is not None:
            watch(place, len(names))
        try:
            found = _look(images.root / name, name, provider, task, known)
        except LikewiseError as error:
            failed[name] = f"{error.what}. {error.remedy}"
            continue
        seen += found is None
        looked += [] if found is None else [found]
    if watch is not None:
        watch(len(names), len(names))
    if not looked:
        told = next(iter(failed.values()), "all were learned from already")
        raise InputError(f"there is no image to suggest ({told})", where=str(images.root), remedy="Give a folder with other images")
    chosen = [
        Suggestion(looked[place].name, images.root / looked[place].name, gain, None if task is None else round(1 - looked[place].doubt, 4))
        for place, gain in _chosen(looked, count, _already(task))
    ]
    return Suggestions(chosen, len(looked), len(images.names), seen, failed)


def _wish(task: Task | None) -> FeatureSpec:
    """The features that images are compared by: the first that the task asks for of its own backbone."""
    wishes = () if task is None else task.method.wants()
    return next((spec for spec in wishes if spec.backbone == "" and spec.copy == 0), FeatureSpec())


def _look(path: Path, name: str, provider: FeatureProvider, task: Task | None, known: set[str]) -> _Looked | None:
    """What an image shows; None for one that the task was learned from."""
    if known and image_digest(path) in known:
        return None
    spec = _wish(task)
    features = provider.extract([provider.prepare(path, [spec])], spec)[0]
    doubt = 1.0 if task is None else 1.0 - task.predict(path).confidence
    return _Looked(name, _sampled(features.tokens[-1]), doubt)


def _sampled(tokens: Tensor) -> Tensor:
    """Some of the tokens (P, D), spread by a fixed draw, at length 1."""
    kept = tokens[drawn_rows(len(tokens), TOKENS)]
    return torch.nn.functional.normalize(kept.float(), dim=-1).half()


def _already(task: Task | None) -> list[Tensor]:
    """Tokens of the images that a task was learned from; none of a compact task, which keeps none."""
    if task is None or task.kept is None:
        return []
    spec = _wish(task)
    return [_sampled(each[spec].tokens[-1]) for each in task.kept if spec in each]


def _chosen(looked: Sequence[_Looked], count: int, already: Sequence[Tensor]) -> Iterator[tuple[int, float]]:
    """Places of the images that cover most, and the share of everything that each adds."""
    each = max(1, SAMPLE // len(looked))
    kinds = kinds_of_patches([one.tokens[:each] for one in looked], KINDS)
    cover, shown = (torch.stack(parts) for parts in zip(*(covered(one.tokens, kinds) for one in looked), strict=True))
    doubt = torch.tensor([one.doubt for one in looked])
    weight = (shown.float() * doubt[:, None]).mean(0)
    before = torch.stack([covered(tokens, kinds)[0] for tokens in already]).amax(0) if already else None
    total = float(weight.sum()) or 1.0
    return ((place, gain / total) for place, gain in most_covering(cover, weight, count, before))


def page(found: Suggestions) -> str:
    """Suggestions as one HTML page with the pictures inside; what comes from files is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("suggestions.html.jinja").read_text("utf-8"))
    cards = [
        {
            "name": one.name,
            "source": data_uri(thumbnail(read_image(one.path), None)),
            "gain": f"{100 * one.gain:.1f} %",
            "confidence": None if one.confidence is None else f"{one.confidence:.2f}",
        }
        for one in found.chosen
    ]
    return template.render(found=found, cards=cards)
