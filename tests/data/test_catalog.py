"""Named sets: found in the user's folder, verified, or refused with the place where the file belongs."""

import gzip
import hashlib
import zipfile

import numpy as np
import polars as pl
import pytest
import requests

from forecheck.data import catalog, fetch
from forecheck.data.catalog import Dataset, datasets
from forecheck.data.load import load
from forecheck.data.reading.frames import from_frame
from forecheck.data.splits import parse_split
from forecheck.errors import DataError, UsageError

BUNDLED = [entry for entry in datasets() if entry.remote is None]
TEXT = "date,a\n" + "".join(f"2024-01-{day:02d},{day * day}\n" for day in range(1, 31))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FORECHECK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def offline(monkeypatch):
    asked = []

    def refuse(url, **kwargs):
        asked.append(url)
        raise ConnectionError("no route to host")

    monkeypatch.setattr("pooch.retrieve", refuse)
    return asked


@pytest.fixture
def toy(monkeypatch):
    """A small set of the catalogue."""
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    remote = fetch.Remote("who/what", "abc", "origin/toy.csv", "here/toy.csv", digest)
    entry = Dataset(
        "Toy", "squares", 30, 1, "day", "50/25/25", "none", "nobody", remote, season=3, aliases=("squares",)
    )
    monkeypatch.setitem(catalog._BY_NAME, "toy", entry)
    monkeypatch.setitem(catalog._BY_NAME, "squares", entry)
    return entry


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("place", ["origin/toy.csv", "here/toy.csv", "toy.csv"])
@pytest.mark.parametrize("packed", [False, True])
def test_found_in_the_folder_plain_or_gzipped(folder, offline, toy, place, packed):
    assert not toy.here
    put(folder / (place + ".gz" * packed), gzip.compress(TEXT.encode()) if packed else TEXT.encode())
    assert toy.here
    panel = load("TOY")
    assert (panel.name, panel.split, panel.frequency.period) == ("Toy", "50/25/25", 3)
    assert panel.fingerprint == load("squares").fingerprint
    assert not offline


def test_another_content_is_refused_with_both_digests(folder, toy):
    put(folder / "toy.csv", b"date,a\n1,2\n2,3\n")
    with pytest.raises(DataError) as caught:
        load("toy")
    assert toy.remote.sha256 in caught.value.message
    assert hashlib.sha256(b"date,a\n1,2\n2,3\n").hexdigest() in caught.value.message
    assert str(folder / "toy.csv") in caught.value.message


def test_offline_the_error_says_where_the_file_belongs(offline, toy):
    with pytest.raises(DataError, match="no route to host") as caught:
        load("toy")
    assert offline == ["https://raw.githubusercontent.com/who/what/abc/origin/toy.csv"]
    place = fetch.cache() / "toy.csv"
    assert str(place) in caught.value.remedy
    assert "FORECHECK_DATA" in caught.value.remedy
    put(place, TEXT.encode())
    assert len(load("toy").values) == 30


def test_what_requests_says_at_length_is_said_in_two_words(monkeypatch, toy):
    def retrieve(*args, **kwargs):
        raise requests.exceptions.ConnectionError("HTTPSConnectionPool(host=...): Max retries exceeded")

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(DataError, match="could not be fetched: no connection\n") as caught:
        load("toy")
    assert "HTTPS" not in caught.value.message


def test_downloads_go_to_the_cache_and_bad_ones_do_not_stay(monkeypatch, toy):
    served = [b"<html>not found</html>", TEXT.encode()]

    def retrieve(url, fname, path, **kwargs):
        put(path / fname, served.pop(0))
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(DataError, match="as catalogued"):
        load("toy")
    assert len(load("toy").values) == 30
    assert len(load("toy").values) == 30  # from the cache: nothing is left to serve


def test_a_set_inside_a_zip(folder, monkeypatch):
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    remote = fetch.Remote("who/what", "abc", "d/toy.zip", "toy/toy.csv", digest, member="in/toy.csv")
    entry = Dataset("zipped", "squares", 30, 1, "day", "70/10/20", "none", "nobody", remote)
    monkeypatch.setitem(catalog._BY_NAME, "zipped", entry)
    (folder / "d").mkdir(parents=True)
    with zipfile.ZipFile(folder / "d/toy.zip", "w") as archive:
        archive.writestr("in/toy.csv", TEXT)
    assert len(load("zipped").values) == 30
    put(folder / "d/toy.zip", b"PK\x03\x04 cut")
    with pytest.raises(DataError, match=r"damaged or does not hold in/toy\.csv"):
        load("zipped")


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_bundled_sets_load_without_network(offline, entry):
    panel = load(entry.name)
    assert panel.values.shape == (entry.rows, entry.channels)
    assert entry.here
    parse_split(panel.split, panel)
    assert not offline


def test_bundled_sets_are_what_they_say():
    co2 = load("co2")
    assert co2.fills == {"co2": 59}
    assert (str(co2.frequency), co2.frequency.period) == ("week", 52)
    assert load("co2", fill="last").fills == co2.fills
    elnino = load("elnino")
    assert (str(elnino.frequency), elnino.values[12, 0]) == ("month", 24.19)  # January 1951
    assert elnino.time[12] == np.datetime64("1951-01")
    macro = load("macrodata", target="unemp")
    assert (str(macro.frequency), macro.time[1]) == ("3 months", np.datetime64("1959-04"))
    assert macro.values[1, 0] == 5.1
    assert load("nile").time[-1] == 1970


def test_every_entry_is_complete():
    for entry in datasets():
        assert entry.origin.startswith("https://") or entry.remote is None
        assert entry.licence
        assert entry.citation
        assert entry.split
        assert isinstance(entry.here, bool)
        assert catalog.dataset(entry.name.upper()) is entry
    assert catalog.dataset("ECL").name == "electricity"


def test_load_takes_panels_frames_files_and_names(tmp_path, monkeypatch):
    frame = pl.DataFrame({"a": [1, 2, 3]})
    panel = load(frame)
    assert load(panel) is panel
    assert load(panel, name="mine").name == "mine"
    with pytest.raises(UsageError, match="a panel is ready"):
        load(panel, fill="last")
    path = tmp_path / "mine.csv"
    path.write_text(TEXT)
    assert load(path).name == load(str(path)).name == "mine.csv"
    assert load(path, name="sales").name == "sales"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nile").mkdir()  # a folder of that name does not hide the set
    assert load("nile").name == "nile"
    (tmp_path / "sunspots").write_text(TEXT)  # a file does
    assert load("sunspots").channels == ("a",)
    np.testing.assert_array_equal(load(frame, name="x").values, from_frame(frame).values)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("etth", ["neither a data set nor a file called 'etth'", "ETTh1", "Files are searched from"]),
        ("exchangerate", ["Did you mean exchange_rate?"]),
        ("sales.csv", ["there is no file sales.csv"]),
        ("some/where", ["there is no file some/where"]),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, words):
    with pytest.raises(DataError) as caught:
        load(name)
    for word in words:
        assert word in str(caught.value)
