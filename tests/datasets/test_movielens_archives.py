import functools
import hashlib
import io
import re
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from factorflow._errors import InputError
from factorflow.datasets import _archives, _movielens_archives, movielens

RATINGS = "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n2,10,4.0,835355493\n"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        self.server.requests.append(self.path)


@pytest.fixture
def server(tmp_path):
    """A loopback server of an empty folder; ``requests`` lists the paths that were asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.folder, http.requests = folder, []
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
def publish(server, tmp_path, monkeypatch):
    """Put bytes on the server in the place of the latest-small archive, with an empty cache."""
    monkeypatch.setattr(_archives, "cache_folder", lambda: tmp_path / "cache")

    def publish(content, sha256=None):
        (server.folder / "ml-latest-small.zip").write_bytes(content)
        archive = _movielens_archives.ARCHIVES["latest-small"]._replace(
            url=f"http://127.0.0.1:{server.server_port}/ml-latest-small.zip",
            sha256=sha256 or hashlib.sha256(content).hexdigest(),
        )
        monkeypatch.setitem(_movielens_archives.ARCHIVES, "latest-small", archive)

    return publish


def zipped(name="ml-latest-small/ratings.csv", text=RATINGS):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-latest-small/README.txt", "terms")
        archive.writestr(name, text)
    return buffer.getvalue()


def test_downloads_once_and_shows_the_terms_first(publish, server, capsys):
    publish(zipped())
    first = movielens(download=True)
    assert first.to_numpy().tolist() == [[1, 31, 2.5, 1260759144], [2, 10, 4.0, 835355493]]
    shown = capsys.readouterr()
    assert "ask GroupLens before any commercial use" in shown.err
    assert shown.out == ""
    assert first.equals(movielens(download=True))
    assert first.equals(movielens())
    assert server.requests == ["/ml-latest-small.zip"]
    assert "commercial" not in capsys.readouterr().err


def test_nothing_is_downloaded_unasked(publish, server):
    publish(zipped())
    with pytest.raises(InputError, match=r"latest-small is not in the cache .* download=True"):
        movielens()
    assert server.requests == []


def test_a_changed_archive_is_refused_and_taken_by_its_hash(publish, server, tmp_path):
    content = zipped()
    publish(content, sha256="0" * 64)
    with pytest.raises(InputError, match=r"has not the SHA-256 0{64}.*give its hash as sha256="):
        movielens(download=True)
    assert not (tmp_path / "cache" / "ml-latest-small.zip").exists()
    frame = movielens(download=True, sha256=hashlib.sha256(content).hexdigest().upper())
    assert len(frame) == 2


def test_a_damaged_cache_is_not_read(publish, tmp_path):
    publish(zipped())
    movielens(download=True)
    (tmp_path / "cache" / "ml-latest-small.zip").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is not in the cache"):
        movielens()


def test_not_an_archive(publish):
    publish(b"<html>moved</html>")
    with pytest.raises(InputError, match=r"is no zip archive\. Download .* by hand"):
        movielens(download=True)


def test_an_archive_of_something_else(publish):
    publish(zipped(name="ml-latest-small/movies.csv"))
    with pytest.raises(InputError, match=r"holds no file ml-latest-small/ratings\.csv"):
        movielens(download=True)


def test_absent_on_the_server(publish, server):
    publish(zipped())
    (server.folder / "ml-latest-small.zip").unlink()
    with pytest.raises(InputError, match=r"could not be downloaded \(404.*by hand"):
        movielens(download=True)


def test_unknown_version():
    with pytest.raises(InputError, match=r"version must be one of '100k', '1m', 'latest-small'"):
        movielens(version="20m", download=True)


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, 12])
def test_bad_hash(sha256):
    with pytest.raises(InputError, match="sha256 must be 64 hexadecimal digits"):
        movielens(download=True, sha256=sha256)


def test_path_and_download_exclude_each_other(tmp_path):
    with pytest.raises(InputError, match="give one of the two"):
        movielens(tmp_path, download=True)


@pytest.mark.parametrize("archive", _movielens_archives.ARCHIVES.values())
def test_every_archive_on_record_is_checked(archive):
    assert re.fullmatch(r"https://files\.grouplens\.org/.*\.zip", archive.url)
    assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
