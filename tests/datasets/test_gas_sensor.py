"""Gas sensor files: what is read, which line is wrong, and when something is downloaded."""

import functools
import hashlib
import io
import re
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from factorflow._errors import InputError
from factorflow.datasets import _archives, _gas_sensor, _gas_sensor_archive, gas_sensor


def line(gas, concentration, values):
    pairs = " ".join(f"{place}:{value!r}" for place, value in enumerate(values, 1))
    return f"{gas};{concentration!r} {pairs}"


def rows(gases, seed):
    rng = np.random.default_rng(seed)
    return [(gas, float(rng.uniform(5, 600)), rng.normal(size=128).tolist()) for gas in gases]


BATCHES = {1: rows([1, 2, 1], 1), 2: rows([6, 1], 2), 10: rows([1, 5, 5], 10)}


def text(batch):
    return "".join(line(*row) + " \n" for row in batch)


@pytest.fixture
def folder(tmp_path):
    for number, batch in BATCHES.items():
        (tmp_path / f"batch{number}.dat").write_text(text(batch))
    (tmp_path / "README.txt").write_text("no measurements")
    return tmp_path


def wanted(gas):
    return [row for number in (1, 2, 10) for row in BATCHES[number] if row[0] == gas]


@pytest.mark.parametrize(("label", "gas"), [(1, "ethanol"), (5, "acetone"), (6, "toluene")])
def test_a_folder_is_read_in_the_order_of_its_batches(folder, label, gas):
    for path in (folder, str(folder)):
        found = gas_sensor(path, gas)
        np.testing.assert_array_equal(found.features, [row[2] for row in wanted(label)])
        np.testing.assert_array_equal(found.concentration, [row[1] for row in wanted(label)])
        assert found.gas == gas
    if gas == "ethanol":
        assert found.batch.tolist() == [1, 1, 2, 10]


def test_a_file_alone_and_under_another_name(folder):
    assert len(gas_sensor(folder / "batch1.dat").concentration) == 2
    other = (folder / "batch2.dat").rename(folder / "mine.txt")
    found = gas_sensor(other)
    assert found.batch.tolist() == [0]
    assert gas_sensor(folder).batch.tolist() == [1, 1, 10]


def test_windows_line_ends_and_blank_lines(tmp_path):
    file = tmp_path / "batch3.dat"
    file.write_bytes(("\n" + text(BATCHES[1])).replace("\n", "\r\n").encode("utf-8-sig"))
    assert gas_sensor(tmp_path).batch.tolist() == [3, 3]


def test_labels_are_numbered_from_one():
    assert len(set(_gas_sensor.GASES)) == 6
    assert _gas_sensor.GASES[0] == "ethanol"


BAD = [
    "1;10.0 1:2.0 2:3.0",
    line(7, 10.0, range(128)),
    line(0, 10.0, range(128)),
    line(1, 10.0, range(129)),
    line(1, "x", range(128)),
    line(1, float("nan"), range(128)),
    line(1, 10.0, [float("inf"), *range(127)]),
    line(1, 10.0, range(128)).replace(" 2:", " 3:"),
    line(1, 10.0, range(128)).replace(";", ","),
    line(1, 10.0, range(128)).replace(" 2:1", " 2"),
    "1;10.0",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_named_by_file_and_number(folder, bad):
    file = folder / "batch2.dat"
    file.write_text(text(BATCHES[2]) + bad + "\n")
    with pytest.raises(InputError, match=r"Line 3 of '.*batch2\.dat' is .* expected <gas>;"):
        gas_sensor(folder, "toluene")


def test_no_text(folder):
    (folder / "batch1.dat").write_bytes(b"PK\x03\x04\xff\xfe\x80")
    with pytest.raises(InputError, match=r"batch1\.dat' cannot be read as text"):
        gas_sensor(folder)


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(InputError, match="There is no file or folder"):
        gas_sensor(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no file batch1\.dat"):
        gas_sensor(empty)
    with pytest.raises(InputError, match=r"There is no measurement of ammonia in .*batch1"):
        gas_sensor(folder, "ammonia")
    with pytest.raises(InputError, match="gas must be one of 'ethanol', 'ethylene'"):
        gas_sensor(folder, "methane")
    with pytest.raises(InputError, match="give one of the two"):
        gas_sensor(folder, download=True)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        self.server.requests.append(self.path)


@pytest.fixture
def server(tmp_path):
    """A loopback server of an empty folder; ``requests`` lists the paths that were asked for."""
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(QuietHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.folder, http.requests = served, []
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
def publish(server, tmp_path, monkeypatch):
    """Put bytes on the server in the place of the archive, with an empty cache."""
    monkeypatch.setattr(_archives, "cache_folder", lambda: tmp_path / "cache")

    def publish(content, sha256=None):
        (server.folder / "gas.zip").write_bytes(content)
        archive = _gas_sensor_archive.ARCHIVE._replace(
            url=f"http://127.0.0.1:{server.server_port}/gas.zip",
            sha256=sha256 or hashlib.sha256(content).hexdigest(),
        )
        monkeypatch.setattr(_gas_sensor_archive, "ARCHIVE", archive)

    return publish


def zipped(place=""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, batch in BATCHES.items():
            archive.writestr(f"{place}batch{number}.dat", text(batch))
            archive.writestr(f"__MACOSX/{place}batch{number}.dat", "no measurement")
    return buffer.getvalue()


@pytest.mark.parametrize("place", ["", "Dataset/"])
def test_downloads_once_and_shows_the_terms_first(publish, server, capsys, place):
    publish(zipped(place))
    first = gas_sensor(download=True)
    np.testing.assert_array_equal(first.concentration, [row[1] for row in wanted(1)])
    shown = capsys.readouterr()
    assert "excludes commercial purposes" in shown.err
    assert shown.out == ""
    for again in (gas_sensor(download=True), gas_sensor()):
        np.testing.assert_array_equal(again.features, first.features)
    assert server.requests == ["/gas.zip"]
    assert "commercial" not in capsys.readouterr().err


def test_nothing_is_downloaded_unasked(publish, server):
    publish(zipped())
    with pytest.raises(InputError, match=r"are not in the cache folder .* download=True"):
        gas_sensor()
    assert server.requests == []


def test_a_changed_archive_is_refused_and_taken_by_its_hash(publish, tmp_path):
    content = zipped()
    publish(content, sha256="0" * 64)
    with pytest.raises(InputError, match=r"has not the SHA-256 0{64}.*hash as sha256="):
        gas_sensor(download=True)
    assert not (tmp_path / "cache" / _gas_sensor_archive.ARCHIVE.file_name).exists()
    found = gas_sensor(download=True, sha256=hashlib.sha256(content).hexdigest().upper())
    assert len(found.concentration) == 4


def test_archives_of_no_use(publish, server):
    publish(b"<html>moved</html>")
    with pytest.raises(InputError, match=r"is no zip archive\. Download .* by hand"):
        gas_sensor(download=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    publish(buffer.getvalue())
    with pytest.raises(InputError, match=r"holds no file batch1\.dat"):
        gas_sensor(download=True)
    (server.folder / "gas.zip").unlink()
    publish(zipped())
    (server.folder / "gas.zip").unlink()
    with pytest.raises(InputError, match=r"could not be downloaded \(404.*by hand"):
        gas_sensor(download=True)


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, 12])
def test_bad_hash(publish, sha256):
    publish(zipped())
    with pytest.raises(InputError, match="sha256 must be 64 hexadecimal digits"):
        gas_sensor(download=True, sha256=sha256)


def test_the_archive_on_record():
    archive = _gas_sensor_archive.ARCHIVE
    assert re.fullmatch(r"https://archive\.ics\.uci\.edu/.*/270/.*\.zip", archive.url)
    assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
