"""Pictures are opened by a list of formats and a bound on pixels, and what is refused is said."""

import io
import struct
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import EpsImagePlugin, Image

import pandq
from pandq.errors import InputError
from pandq.read.images import images_of
from pandq.read.pictures import MOST_PIXELS, complaint, picture, pixels

EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n"
    b"0 0 4 4 rectfill\nshowpage\n%%EOF\n"
)


def encoded(kind, size=(5, 4)):
    stored = io.BytesIO()
    Image.new("RGB", size, (250, 10, 10)).save(stored, kind)
    return stored.getvalue()


def png_header(width, height):
    """A PNG that says how large it is, and holds nothing."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_formats_of_photographs_are_opened(kind):
    found = pixels(encoded(kind), (4, 5))
    assert found.shape == (4, 5, 3)
    assert np.abs(found.reshape(-1, 3).mean(axis=0) - (250, 10, 10)).max() < 6


def test_no_program_is_started_to_open_a_picture(monkeypatch):
    def started(*_, **__):
        raise AssertionError

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    assert picture(EPS) is None
    assert complaint(EPS) == "not one of JPEG, PNG, WEBP, GIF, BMP, TIFF"


@pytest.mark.parametrize("kind", ["PPM", "PCX", "TGA", "ICO", "PDF"])
def test_other_formats_are_refused(kind):
    assert picture(encoded(kind, (16, 16))) is None


# Pillow warns of, and refuses, what is far above the bound
@pytest.mark.parametrize("size", [(8193, 8192), (13_000, 13_000), (60_000, 60_000)])
@pytest.mark.parametrize("warned", ["ignore", "error"])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(size, warned):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter(warned)
        assert picture(png_header(*size)) is None
        assert f"more than {MOST_PIXELS:,}" in complaint(png_header(*size))


def test_a_picture_at_the_bound_is_not_refused_for_its_size():
    assert complaint(png_header(8192, 8192)) == ""
    assert complaint(encoded("PNG")) == ""


def test_what_is_wrong_with_a_picture_is_said_with_its_name(tmp_path):
    broken = encoded("JPEG")[:-200]
    stored = [encoded("PNG"), EPS, png_header(8193, 8192), broken, None]
    path = tmp_path / "x.parquet"
    images = [{"bytes": x, "path": f"{i}.png"} for i, x in enumerate(stored)]
    pq.write_table(pa.table({"image": images, "label": [0, 1, 0, 1, 0]}), path)
    rows = pandq.scan_features(path, x="image", p="labels:label")
    with pytest.raises(InputError) as refused:
        list(rows.chunks())
    for words in (
        "4 pictures cannot be decoded",
        "row 1 (1.png) (not one of JPEG, PNG",
        "row 2 (2.png) (8,193 x 8,192 pixels, more than 67,108,864)",
        "row 3 (3.png) (broken)",
        "row 4 (4.png) (no bytes)",
    ):
        assert words in str(refused.value)


def test_a_page_shows_only_pictures_that_are_some(tmp_path):
    path = tmp_path / "x.parquet"
    stored = [encoded("PNG"), EPS, b"<svg onload='x'/>", png_header(13_000, 13_000)]
    columns = {"image": stored, "label": [0, 1, 0, 1], "q": [[0.5, 0.5]] * 4}
    pq.write_table(pa.table(columns), path)
    rows = pandq.scan(path, p="labels:label", q="probs:q")
    with pytest.warns(Image.DecompressionBombWarning):
        assert list(images_of(rows, range(4))) == [0]
