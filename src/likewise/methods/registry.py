"""Every method by name: a table to read from top to bottom.

Methods of others join by the entry point group "likewise.methods" of an installed package, or by `register` for as long as Python runs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from likewise.errors import LikewiseError, UsageError, close_match

if TYPE_CHECKING:
    from likewise.methods.base import Method


@dataclass(frozen=True)
class Listed:
    """A row of the table: where the class is, what it does in a line, and the paper behind it."""

    name: str
    place: str
    line: str
    paper: str


TABLE = (
    Listed(
        "analogy",
        "likewise.methods.analogy:Analogy",
        "read-outs of patch tokens and of the picture, chosen by left-out prediction",
        "ours; features of Oquab et al. 2023",
    ),
    Listed("ridge", "likewise.methods.ridge:RidgeBaseline", "ridge regression on the last layer's tokens, nothing tuned", "Hoerl and Kennard 1970"),
    Listed("prototype", "likewise.methods.prototype:Prototype", "cosine to the mean token of each class", "Snell et al. 2017; Wang et al. 2019"),
    Listed("nearest", "likewise.methods.nearest:Nearest", "the class of the most similar support tokens", "Cover and Hart 1967"),
    Listed(
        "cst",
        "likewise.methods.cst:Cst",
        "a trained transformer over the correlations of tokens, masks or tags as support; needs a checkpoint",
        "Kang et al. 2023",
    ),
    Listed(
        "class-attention",
        "likewise.methods.cst.training_free:ClassAttention",
        "where a picture answers what the class token of the examples asks for; nothing is trained",
        "Caron et al. 2021 (DINO), as in Kang et al. 2023",
    ),
    Listed(
        "hsnet",
        "likewise.methods.hsnet:Hsnet",
        "a trained network that squeezes correlations of several layers by 4-D convolutions; needs a checkpoint",
        "Min et al. 2021 (HSNet)",
    ),
    Listed(
        "asnet",
        "likewise.methods.asnet:Asnet",
        "a trained network that squeezes correlations of several layers by attention; needs a checkpoint",
        "Kang and Cho 2022 (ASNet)",
    ),
    Listed(
        "panet",
        "likewise.methods.panet:Panet",
        "the class whose prototype is most alike; on the backbone's tokens nothing is trained, or with a network of its own",
        "Wang et al. 2019 (PANet)",
    ),
    Listed(
        "pfenet",
        "likewise.methods.pfenet:Pfenet",
        "a trained network that reads a prior, a vector of the class and maps at several sizes; needs a checkpoint",
        "Tian et al. 2020 (PFENet)",
    ),
    Listed(
        "emat",
        "likewise.methods.emat:Emat",
        "a trained transformer over the correlations of many tokens, small and for large pictures; needs a checkpoint",
        "EMAT 2025 (arXiv 2507.23642)",
    ),
    Listed(
        "vtm",
        "likewise.methods.vtm:VisualTokenMatching",
        "dense values and classes by matching tokens of images and labels at four levels, biases tuned on request; needs a checkpoint",
        "Kim et al. 2023 (VTM)",
    ),
    Listed(
        "label-anything",
        "likewise.methods.label_anything:LabelAnything",
        "several classes at once from masks, boxes and points by a trained network; needs a checkpoint",
        "De Marinis et al. 2024 (Label Anything)",
    ),
    Listed(
        "mm-former",
        "likewise.methods.mm_former:MmFormer",
        "masks of whatever might be a thing first, then those that match the support; needs a checkpoint",
        "Jiao et al. 2022 (MM-Former)",
    ),
    Listed(
        "proposals",
        "likewise.methods.proposals:ProposalMatching",
        "masks of the picture whose mean token is like that of a class; nothing is trained",
        "ours; after Jiao et al. 2022",
    ),
    Listed(
        "matcher",
        "likewise.methods.matcher:Matcher",
        "masks of the picture chosen by patches matched one to one, there and back; nothing is trained",
        "Liu et al. 2023 (Matcher)",
    ),
    Listed(
        "persam",
        "likewise.methods.persam:PerSam",
        "where the picture is like the mean token of a class, above a threshold; nothing is trained",
        "Zhang et al. 2023 (PerSAM)",
    ),
    Listed(
        "gf-sam",
        "likewise.methods.gf_sam:GfSam",
        "masks of the picture at likely points, clustered and gated without tunable numbers; nothing is trained",
        "Zhang et al. 2024 (GF-SAM)",
    ),
    Listed(
        "prototypical",
        "likewise.methods.classifiers.prototypical:Prototypical",
        "a class for the whole picture: the nearest class mean; nothing is trained, or a checkpoint's encoder",
        "Snell et al. 2017 (Prototypical Networks)",
    ),
    Listed(
        "matching",
        "likewise.methods.classifiers.matching:Matching",
        "a class for the whole picture: the examples weighted by how alike they are; nothing is trained, or a checkpoint's networks",
        "Vinyals et al. 2016 (Matching Networks)",
    ),
    Listed(
        "baseline", "likewise.methods.classifiers.baseline:Baseline", "a class for the whole picture: a linear head tuned on the examples", "Chen et al. 2019"
    ),
    Listed(
        "baseline++",
        "likewise.methods.classifiers.baseline:BaselinePlus",
        "a class for the whole picture: a cosine head tuned on the examples",
        "Chen et al. 2019",
    ),
    Listed(
        "relation",
        "likewise.methods.classifiers.relation:Relation",
        "a class for the whole picture: a trained network compares it with each class; needs a checkpoint",
        "Sung et al. 2018 (Relation Network)",
    ),
    Listed(
        "siamese",
        "likewise.methods.classifiers.siamese:Siamese",
        "a class for the whole drawing: a trained network compares it with each example; needs a checkpoint",
        "Koch et al. 2015 (Siamese Networks)",
    ),
    Listed(
        "maml",
        "likewise.methods.classifiers.maml:Maml",
        "a class for the whole picture: a trained network takes a few gradient steps on the examples; needs a checkpoint",
        "Finn et al. 2017 (MAML)",
    ),
    Listed(
        "hallucinator",
        "likewise.methods.classifiers.hallucinating:Hallucinating",
        "a class for the whole picture: further examples of each class are made up by a trained network; needs a checkpoint",
        "Wang et al. 2018",
    ),
    Listed(
        "zero-shot-prototypical",
        "likewise.methods.classifiers.zero_shot:ZeroShotPrototypical",
        "a class for the whole picture, of classes with a vector and no image: the nearest in a trained space; needs a checkpoint",
        "Snell et al. 2017",
    ),
    Listed(
        "zero-shot-relation",
        "likewise.methods.classifiers.zero_shot:ZeroShotRelation",
        "a class for the whole picture, of classes with a vector and no image: a trained network compares both; needs a checkpoint",
        "Sung et al. 2018",
    ),
    Listed(
        "insid3",
        "likewise.methods.insid3:Insid3",
        "INSID3's algorithm on the backbone: clusters of tokens that are like the examples' mean and reach them again; nothing is trained",
        "INSID3 2026 (arXiv 2603.28480)",
    ),
    Listed(
        "convpaint",
        "likewise.methods.convpaint:Convpaint",
        "pixel classification: a forest of trees on features of labelled patches, or of pixels by filters that need no weights",
        "convpaint 2026; after ilastik (Berg et al. 2019)",
    ),
    Listed(
        "unlike",
        "likewise.methods.unlike:Unlike",
        "what is unlike everything that good images show; they are all it needs, with no label",
        "after Roth et al. 2022 (PatchCore)",
    ),
    Listed("attention", "likewise.methods.attention:Attention", "labels of the support averaged by softmax of similarity", "Vinyals et al. 2016"),
)


_REGISTERED: dict[str, tuple[Listed, type[Method]]] = {}


def available() -> dict[str, Listed]:
    """Every method by name, ours first, then those of installed packages, then registered ones. LikewiseError if a name is claimed twice."""
    found: dict[str, Listed] = {}
    others = (
        Listed(point.name, point.value, "", f"package {point.dist.name if point.dist else point.value}") for point in entry_points(group="likewise.methods")
    )
    for row in (*TABLE, *others, *(row for row, _ in _REGISTERED.values())):
        if row.name in found and row.place != found[row.name].place:
            raise LikewiseError(
                f"two methods are called {row.name!r}", where=f"{found[row.name].place} and {row.place}", remedy="Uninstall or rename one of them"
            )
        found.setdefault(row.name, row)
    return found


def method_class(name: str) -> type[Method]:
    """The class of a method.

    Raises UsageError with the closest match for an unknown name, and for the method of a package that cannot be imported, is no
    `Method`, or is called otherwise there.
    """
    if name in _REGISTERED:
        return _REGISTERED[name][1]
    rows = available()
    if name not in rows:
        raise UsageError(f"there is no method {name!r}", where="method", remedy=close_match(name, rows))
    module, _, attribute = rows[name].place.partition(":")
    if rows[name] in TABLE:
        return getattr(importlib.import_module(module), attribute)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the method {name!r} cannot be loaded ({error})", where=f"{rows[name].place}, {rows[name].paper}", remedy="Mend or uninstall the package"
        ) from error
    return _checked(found, name)


def register(kind: type[Method], line: str = "", paper: str = "") -> type[Method]:
    """Make a method known by its name until Python ends; the class itself.

    line: what it does; paper: what is behind it. A class from the same place may be registered again, as notebooks do. Raises UsageError for
    what is no `Method` with a name, and for a name that another method has.
    """
    _checked(kind, getattr(kind, "name", ""))
    row = Listed(kind.name, f"{kind.__module__}:{kind.__qualname__}", line, paper or "registered in Python")
    other = available().get(kind.name)
    if other is not None and other.place != row.place:
        raise UsageError(f"there is already a method {kind.name!r}", where=f"{row.place} and {other.place}", remedy="Give yours another name")
    _REGISTERED[kind.name] = row, kind
    return kind


def _checked(kind: Any, name: str) -> type[Method]:
    """A class of another package, looked at before it is used."""
    from likewise.methods.base import Method

    where = f"{getattr(kind, '__module__', '')}:{getattr(kind, '__qualname__', repr(kind))}"
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise UsageError("this is no method", where=where, remedy="Derive a class from likewise.methods.base.Method")
    own = getattr(kind, "name", None)
    if not own or own != name:
        raise UsageError(f"the method is called {own!r} in its class and {name!r} where it is listed", where=where, remedy="Give both the same name")
    return kind
