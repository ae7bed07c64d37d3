"""Which code made a row: a hash over the sources that a method's answers hang on.

These are the method's module, everything of `methods`, `proposals`, `layers`, `functional` and `backbones` that it imports, directly or not, what
lies beside it (fitted tables), and the way from raw answers to labels. Comments and docstrings do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from likewise.methods import available

FOLLOWED = ("likewise.methods.", "likewise.proposals.", "likewise.layers.", "likewise.functional.", "likewise.backbones.")
ALWAYS = "likewise.task.finish"  # from raw answers to labels


@cache
def code_key(method: str) -> str:
    """SHA-256 of the code of a method, the same until a line of it changes that does something."""
    total = hashlib.sha256()
    for name, path in sorted(sources(method).items()):
        total.update(f"{name}\0{_meaning(path)}\0".encode())
    for path in beside(method):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def sources(method: str) -> dict[str, Path]:
    """The modules that a method's answers hang on, by name."""
    waiting, found = [available()[method].place.partition(":")[0], ALWAYS], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        spec = importlib.util.find_spec(name)
        if name not in found and spec is not None and spec.origin is not None:
            found[name] = Path(spec.origin)
            waiting += [other for other in imported(found[name]) if other.startswith(FOLLOWED)]
    return found


def imported(path: Path) -> Iterator[str]:
    """Names of modules that a file imports, wherever in the file; of `from a import b` both a and, if it is a module, a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name))


def beside(method: str) -> list[Path]:
    """Files other than code in the method's own folder, if it has one."""
    spec = importlib.util.find_spec(available()[method].place.partition(":")[0])
    folders = spec.submodule_search_locations if spec is not None else None
    return sorted(path for folder in folders or () for path in Path(folder).iterdir() if path.is_file() and path.suffix != ".py")


def _is_module(package: str, name: str) -> bool:
    spec = importlib.util.find_spec(package) if package.startswith("likewise.") else None
    return any((Path(folder) / f"{name}.py").exists() or (Path(folder) / name).is_dir() for folder in (spec.submodule_search_locations if spec else None) or ())


def _meaning(path: Path) -> str:
    """The code of a file without comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = [ast.Pass()]
    return ast.dump(tree)
