import hashlib
import random

import pytest

from likewise.errors import WeightsError
from likewise.weights.download import download, open_url, split_credentials

CONTENT = random.Random(5).randbytes(3_000_001)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_arrives_as_it_is(server, tmp_path):
    server.answers["/f"] = (CONTENT, {})
    assert download(f"{server.url}/f", tmp_path / "out", sha256=DIGEST).read_bytes() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["out"]


def test_a_connection_that_breaks_off_is_taken_up_where_it_stopped(server, tmp_path):
    server.answers["/f"] = (CONTENT, {})
    server.cut["/f"] = 1_234_567
    assert download(f"{server.url}/f", tmp_path / "out", sha256=DIGEST).read_bytes() == CONTENT
    assert [headers.get("Range") for _, _, headers in server.seen] == [None, "bytes=1234567-"]


def test_what_an_earlier_call_left_is_continued(server, tmp_path):
    server.answers["/f"] = (CONTENT, {})
    (tmp_path / "out.part").write_bytes(CONTENT[:777])
    assert download(f"{server.url}/f", tmp_path / "out", sha256=DIGEST).read_bytes() == CONTENT
    assert server.seen[0][2]["Range"] == "bytes=777-"


def test_a_part_that_was_complete_already_is_used(server, tmp_path):
    server.answers["/f"] = (CONTENT, {})
    (tmp_path / "out.part").write_bytes(CONTENT)
    assert download(f"{server.url}/f", tmp_path / "out", sha256=DIGEST).read_bytes() == CONTENT


def test_another_file_than_expected_is_refused_and_not_kept(server, tmp_path):
    server.answers["/f"] = (CONTENT, {})
    with pytest.raises(WeightsError, match="sha256 differs"):
        download(f"{server.url}/f", tmp_path / "out", sha256="0" * 64)
    assert [entry for entry in tmp_path.iterdir() if entry.is_file()] == []


def test_a_missing_file_is_said_without_trying_again(server, tmp_path):
    with pytest.raises(WeightsError, match="404"):
        download(f"{server.url}/nowhere", tmp_path / "out", sha256=DIGEST)
    assert len(server.seen) == 1


def test_a_server_that_is_not_there_is_an_error_of_weights(tmp_path):
    with pytest.raises(WeightsError, match="goes on where it stopped"):
        download("http://127.0.0.1:9/f", tmp_path / "out", sha256=DIGEST)


def test_a_file_on_the_disk_is_copied(tmp_path):
    (tmp_path / "source").write_bytes(CONTENT)
    assert download((tmp_path / "source").as_uri(), tmp_path / "out", sha256=DIGEST).read_bytes() == CONTENT


def test_user_and_password_are_sent_and_never_shown(server, tmp_path):
    server.answers["/f"] = (CONTENT, {})
    url = server.url.replace("//", "//anna:se%40cret@") + "/f"
    with pytest.raises(WeightsError) as caught:
        download(url, tmp_path / "out", sha256="0" * 64)
    assert "cret" not in str(caught.value)
    assert server.seen[0][2]["Authorization"] == "Basic YW5uYTpzZUBjcmV0"


@pytest.mark.parametrize("url", ["ftp://host/f", "/etc/hostname", "data:,x"])
def test_other_kinds_of_addresses_are_refused(url):
    with pytest.raises(WeightsError, match="neither"):
        open_url(url)


def test_an_address_without_credentials_stays_as_it_is():
    assert split_credentials("https://host/a?b#c") == ("https://host/a?b#c", None)
