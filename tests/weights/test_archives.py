import io
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likewise.errors import WeightsError
from likewise.weights.archives import extract_member, open_member, read_members


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


KINDS = [pytest.param(zipped, "a.whl", id="wheel"), pytest.param(tarred, "a.tar.gz", id="source archive")]


@pytest.mark.parametrize(("make", "name"), KINDS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(members=st.dictionaries(st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True), st.binary(max_size=300), min_size=1, max_size=4))
def test_members_are_read_as_they_were_packed(tmp_path, make, name, members):
    assert read_members(make(tmp_path / name, members), list(members)) == members


@pytest.mark.parametrize(("make", "name"), KINDS)
def test_one_member_is_extracted_to_a_file(tmp_path, make, name):
    extract_member(make(tmp_path / name, {"p/x.pt": b"abc" * 999, "p/y": b""}), "p/x.pt", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"abc" * 999


@pytest.mark.parametrize(("make", "name"), KINDS)
def test_a_member_beyond_the_limit_is_refused_before_it_is_read(tmp_path, make, name):
    archive = make(tmp_path / name, {"big": bytes(5000)})
    with pytest.raises(WeightsError, match="5000 bytes, at most 4999"):
        read_members(archive, ["big"], limit=4999)
    with pytest.raises(WeightsError, match="5000 bytes"):
        extract_member(archive, "big", tmp_path / "out", limit=4999)


@pytest.mark.parametrize(("make", "name"), KINDS)
def test_a_missing_member_is_named(tmp_path, make, name):
    archive = make(tmp_path / name, {"a": b"1"})
    with pytest.raises(WeightsError, match="no member b"):
        read_members(archive, ["a", "b"])
    with pytest.raises(WeightsError, match="no member b"), open_member(archive, "b"):
        pass


def test_a_link_in_a_source_archive_is_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(info)
    with pytest.raises(WeightsError, match="not a plain file"):
        read_members(path, ["link"])


@pytest.mark.parametrize(("make", "name"), KINDS)
def test_a_damaged_archive_is_said(tmp_path, make, name):
    archive = make(tmp_path / name, {"a": bytes(range(256)) * 40})
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(WeightsError, match="damaged"):
        read_members(archive, ["a"])
