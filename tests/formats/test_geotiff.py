"""GeoTIFF: a mask lies on the earth where its picture does, also for rasterio, which was asked once (tests/fixtures/formats/make_geo.py)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from likewise.data import ClassTable, Prediction
from likewise.errors import ImageError
from likewise.formats import open_writer, read_support
from likewise.formats.georeference import TAGS, advice, geo_tags

GEO = Path(__file__).resolve().parents[1] / "fixtures" / "formats" / "geo"
TABLE = ClassTable.of(["crack", "stain"])


@pytest.fixture
def labels():
    values = np.zeros((11, 16), np.uint8)
    values[2:5, 3:9], values[7, :] = 1, 2
    return values


def written(folder, name, labels, table=TABLE):
    prediction = Prediction(table, {}, labels, {}, {}, 1.0, image=folder / name)
    (path,) = open_writer("geotiff", folder / "out", table, {}).write(name, prediction)
    return folder / "out" / path


def test_the_mask_has_the_georeference_of_its_picture(tmp_path, labels):
    shutil.copy(GEO / "picture.tif", tmp_path / "picture.tif")
    path = written(tmp_path, "picture.tif", labels)
    with tifffile.TiffFile(path) as mask, tifffile.TiffFile(GEO / "picture.tif") as picture:
        assert np.array_equal(mask.asarray(), labels)
        assert mask.geotiff_metadata == picture.geotiff_metadata
        assert mask.geotiff_metadata["ProjectedCSTypeGeoKey"] == 32633


def test_rasterio_finds_the_mask_where_the_picture_is(tmp_path, labels):
    told = json.loads((GEO / "mask.json").read_text())
    assert told["mask"]["crs"] == told["picture"]["crs"] == "EPSG:32633"
    assert told["mask"]["transform"] == told["picture"]["transform"] == [0.5, 0, 500_000, 0, -0.5, 5_400_000]
    assert np.array_equal(told["mask"]["pixels"], labels)
    shutil.copy(GEO / "picture.tif", tmp_path / "picture.tif")
    today = written(tmp_path, "picture.tif", labels)
    with tifffile.TiffFile(today) as one, tifffile.TiffFile(GEO / "mask.tif") as kept:  # what rasterio was shown is what is written today
        assert np.array_equal(one.asarray(), kept.asarray())
        for code in TAGS:
            assert (code in one.pages.first.tags) == (code in kept.pages.first.tags)
            assert code not in one.pages.first.tags or one.pages.first.tags[code].value == kept.pages.first.tags[code].value


def test_pictures_without_a_georeference_get_a_plain_mask_that_is_read_back(tmp_path, labels):
    table = ClassTable({number: f"class {number}" for number in range(1, 400) if number != 255})
    large = np.where(labels == 2, 399, labels).astype(np.int16)
    large[0, 0] = -1
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", np.zeros((11, 16, 3), np.uint8), photometric="rgb")
    assert geo_tags(tmp_path / "images/a.tif") == geo_tags("a.png") == geo_tags(None) == []
    path = written(tmp_path / "images", "a.tif", large, table)
    (tmp_path / "masks").mkdir()
    shutil.move(path, tmp_path / "masks/a.tif")
    shutil.rmtree(tmp_path / "images/out")
    (tmp_path / "classes.json").write_text(json.dumps({str(number): table[number] for number in table}))
    assert np.array_equal(read_support(tmp_path).support.examples[0].labels.label_map, large)


def test_a_damaged_picture_is_refused_by_name(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(8))
    with pytest.raises(ImageError, match="tags cannot be read"):
        geo_tags(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "format", "words"), [("picture.tif", "geotiff", None), ("picture.tif", None, "--format geotiff"), ("picture.tif", "coco", "--format geotiff")]
)
def test_a_georeference_that_would_be_lost_is_told_of(name, format, words):
    said = advice(GEO / name, format)
    assert said is None if words is None else words in said


def test_that_a_picture_has_none_is_told_where_one_was_hoped_for(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8))
    assert "has no georeference" in advice(tmp_path / "a.tif", "geotiff")
    assert advice(tmp_path / "a.tif", "index-png") is None
    (tmp_path / "b.tif").write_bytes(b"not a tiff")
    assert advice(tmp_path / "b.tif", "geotiff") is None
