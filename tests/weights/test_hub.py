import hashlib
import time

import pytest
from safetensors.torch import save

from likewise.errors import WeightsError
from likewise.weights.hub import fetch_from_hub
from likewise.weights.registry import Place

COMMIT = "c" * 40


@pytest.fixture
def content(tensors):
    return save(tensors)


@pytest.fixture
def hub(server, monkeypatch, content):
    """A server that answers as the hub does for one file of one repository."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    digest = hashlib.sha256(content).hexdigest()
    headers = {"ETag": f'"{digest}"', "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content)), "X-Repo-Commit": COMMIT}
    for revision in ("main", COMMIT):
        server.answers[f"/someone/net/resolve/{revision}/model.safetensors"] = (content, headers)
    return server


def place(**facts):
    return Place(kind="hub", repo="someone/net", file="model.safetensors", layout="transformers", **facts)


def test_a_file_of_unknown_hash_is_checked_against_the_hubs_own_and_its_commit_is_known(hub, content, tmp_path):
    found = fetch_from_hub(place(), tmp_path / "here", progress=False)
    assert found.path.read_bytes() == content
    assert (found.sha256, found.revision) == (hashlib.sha256(content).hexdigest(), COMMIT)


def test_a_pinned_revision_is_what_is_asked_for(hub, tmp_path):
    fetch_from_hub(place(revision=COMMIT), tmp_path / "here", progress=False)
    assert {path.split("/")[4] for _, path, _ in hub.seen} == {COMMIT}


def test_a_file_with_another_hash_than_the_registrys_is_refused(hub, tmp_path):
    with pytest.raises(WeightsError, match="sha256"):
        fetch_from_hub(place(sha256="0" * 64, hash="computed"), tmp_path / "here", progress=False)
    assert not (tmp_path / "here" / "model.safetensors").exists()


def test_a_gated_repository_says_what_to_accept(hub, tmp_path):
    hub.answers["/someone/net/resolve/main/model.safetensors"] = {"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}
    with pytest.raises(WeightsError, match="licence must be accepted"):
        fetch_from_hub(place(), tmp_path / "here", progress=False)


def test_a_repository_that_does_not_exist_is_said(hub, tmp_path):
    hub.answers["/someone/net/resolve/main/model.safetensors"] = {"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}
    with pytest.raises(WeightsError, match="hub"):
        fetch_from_hub(place(), tmp_path / "here", progress=False)


def test_a_hub_out_of_reach_is_said_within_seconds(tmp_path):
    started = time.monotonic()
    with pytest.raises(WeightsError, match="could not be reached"):
        fetch_from_hub(place(), tmp_path / "here", progress=False)
    assert time.monotonic() - started < 10


def test_offline_the_hub_is_not_asked(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("LIKEWISE_OFFLINE", "1")
    with pytest.raises(WeightsError, match="LIKEWISE_OFFLINE"):
        fetch_from_hub(place(), tmp_path / "here")
    assert hub.seen == []
