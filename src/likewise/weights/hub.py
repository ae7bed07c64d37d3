"""Files of the model hub, by repository, revision and name."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from likewise.errors import WeightsError
from likewise.weights.cache import offline, sha256_of
from likewise.weights.registry import Place

REACH_SECONDS = 4.0  # a hub that does not answer within this is taken as out of reach
SHA256_DIGITS = 64


@dataclass(frozen=True)
class HubFile:
    """A downloaded file: where it is, its sha256, and the commit it was taken from."""

    path: Path
    sha256: str
    revision: str


def fetch_from_hub(place: Place, folder: Path, *, progress: bool = True) -> HubFile:
    """A file of the hub below `folder`, checked against the registry's sha256, else against the hub's own.

    Raises WeightsError where the network is forbidden or out of reach, the repository is gated, or the hash differs.
    """
    if offline():
        raise WeightsError("LIKEWISE_OFFLINE forbids the network", where=str(place))
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    endpoint = os.environ.get("HF_ENDPOINT") or None  # the hub's own variable for mirrors, else its built-in address
    try:
        facts = get_hf_file_metadata(hf_hub_url(place.repo, place.file, revision=place.revision, endpoint=endpoint), timeout=REACH_SECONDS)
        if progress:
            print(f"fetching {place.file} of {place.repo} from the hub", file=sys.stderr)
        path = Path(hf_hub_download(place.repo, place.file, revision=facts.commit_hash, local_dir=folder, etag_timeout=REACH_SECONDS, endpoint=endpoint))
    except GatedRepoError as error:
        raise WeightsError(
            "its licence must be accepted first", where=str(place), remedy=f"Accept it on the page of {place.repo}, then type `hf auth login`"
        ) from error
    except HfHubHTTPError as error:
        raise WeightsError(f"the hub refused: {_first_line(error)}", where=str(place)) from error
    except _network_errors() as error:
        raise WeightsError(f"the hub could not be reached: {_first_line(error)}", where=str(place)) from error
    found = sha256_of(path)
    expected = place.sha256 or (facts.etag if facts.etag and len(facts.etag) == SHA256_DIGITS else None)
    if expected is not None and found != expected:
        path.unlink()
        raise WeightsError(f"its sha256 is {found[:12]}..., expected {expected[:12]}...", where=str(place), remedy="Try again; if it stays so, do not use it")
    return HubFile(path, found, facts.commit_hash or place.revision or "")


def _network_errors() -> tuple[type[Exception], ...]:
    """What the hub client raises where there is no way through: its own kinds, and those of the HTTP library it uses."""
    import importlib

    kinds: list[type[Exception]] = [OSError, RuntimeError, ValueError]
    for module, name in (("httpx2", "HTTPError"), ("httpx", "HTTPError"), ("requests", "RequestException")):
        try:
            kinds.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(kinds)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
