"""MovieLens: read from files, downloaded from a server of the test's own, kept in a cache."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sk_entity_embed.datasets import fetch_movielens, movielens
from sk_entity_embed.exceptions import InvalidFileError

FILES = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n7,2,4.0,851868750\n",
    "movies.csv": 'movieId,title,genres\n31,"NA",Drama\n2,"Big, The (1995)",Comedy|Drama\n',
    "README.txt": "Terms of use",
}
NAME = "ml-latest-small.zip"


def make_zip(files=FILES, folder="ml-latest-small/"):
    """Bytes of an archive."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(folder, "") if folder else None
        for name, text in files.items():
            archive.writestr(folder + name, text)
    return memory.getvalue()


def publish(content):
    """The line that GroupLens puts beside an archive."""
    return f"MD5 ({NAME}) = {hashlib.md5(content).hexdigest()}\n".encode()


def check(data):
    assert data.X.to_numpy().tolist() == [["1", "31"], ["7", "2"]]
    assert data.X.columns.tolist() == ["user", "movie"]
    assert data.y.tolist() == [2.5, 4.0]
    assert data.timestamp.tolist() == [1260759144, 851868750]
    assert data.movies.loc["2"].tolist() == ["Big, The (1995)", "Comedy|Drama"]
    assert data.movies.loc["31", "title"] == "NA"
    assert data.movies.index.name == "movie"


class Server:
    """Files by name, the requests so far, and whether answers are cut short."""

    def __init__(self) -> None:
        archive = make_zip()
        self.files = {NAME: archive, f"{NAME}.md5": publish(archive)}
        self.requests: list[str] = []
        self.cut = False


@pytest.fixture
def server(monkeypatch, tmp_path) -> Iterator[Server]:
    """A server on this machine in place of GroupLens's, and an empty cache."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2]
            state.requests.append(name)
            content = state.files.get(name)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"") + 10 * state.cut))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("SK_ENTITY_EMBED_CACHE", str(tmp_path / "deep" / "cache"))
        monkeypatch.setattr(movielens, "_URL", f"http://127.0.0.1:{http.server_port}/d/{NAME}")
        yield state
        http.shutdown()
        thread.join()


def kept(tmp_path):
    """Names of the files in the cache."""
    return sorted(p.name for p in (tmp_path / "deep" / "cache").glob("*"))


@pytest.mark.parametrize("folder", ["", "a/b/"])
def test_archives_and_folders_are_read(tmp_path, folder):
    (tmp_path / "any.zip").write_bytes(make_zip(folder=folder))
    check(fetch_movielens(tmp_path / "any.zip"))
    check(fetch_movielens(str(tmp_path / "any.zip")))
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    check(fetch_movielens(path=tmp_path))


def test_missing_files_and_other_tables_are_named(tmp_path):
    archive = tmp_path / "any.zip"
    for missing in ("ratings.csv", "movies.csv"):
        files = {name: text for name, text in FILES.items() if name != missing}
        folder = tmp_path / missing[:3]
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        archive.write_bytes(make_zip(files))
        for path in (folder, archive):
            with pytest.raises(InvalidFileError, match=f"There is no {missing} in .*{path.name}"):
                fetch_movielens(path)
    for text in ("a,b\n1,2\n", "", "userId,movieId,rating,timestamp\n1,2,x,3\n"):
        archive.write_bytes(make_zip({**FILES, "ratings.csv": text}))
        with pytest.raises(InvalidFileError, match=r"ratings.csv in .* the columns userId, m"):
            fetch_movielens(archive)


def test_damaged_archives_are_refused(tmp_path):
    whole = make_zip()
    start = whole.index(b"ratings.csv") + len("ratings.csv")
    for content in (b"no zip", whole[:-30], whole[:start] + b"\xff" * 9 + whole[start + 9 :]):
        (tmp_path / "any.zip").write_bytes(content)
        with pytest.raises(InvalidFileError, match="is not a readable zip archive"):
            fetch_movielens(tmp_path / "any.zip")
    with pytest.raises(FileNotFoundError):
        fetch_movielens(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="'path'"):
        fetch_movielens(3)


@pytest.mark.parametrize("style", ["md5", "md5sum"])
def test_a_download_is_checked_and_kept(server, tmp_path, style):
    if style == "md5sum":
        digest = hashlib.md5(server.files[NAME]).hexdigest().upper()
        server.files[f"{NAME}.md5"] = f"{digest}  {NAME}\n".encode()
    check(fetch_movielens())
    assert sorted(server.requests) == [NAME, f"{NAME}.md5"]
    assert kept(tmp_path) == [NAME]
    cached = tmp_path / "deep" / "cache" / NAME
    cached.write_bytes(cached.read_bytes()[:-30])  # damaged: downloaded again
    check(fetch_movielens())
    assert len(server.requests) == 4
    server.files.clear()
    check(fetch_movielens())
    assert len(server.requests) == 4


def test_a_wrong_checksum_keeps_nothing(server, tmp_path):
    for published in (publish(b"other"), b"<html>no checksum</html>"):
        server.files[f"{NAME}.md5"] = published
        with pytest.raises(InvalidFileError, match=r"MD5 checksum .* Nothing was kept"):
            fetch_movielens()
        assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("missing", "told"), [(NAME, "404"), (f"{NAME}.md5", "404"), (None, "IncompleteRead")]
)
def test_what_is_not_there_or_breaks_off_is_told(server, tmp_path, missing, told):
    server.files.pop(missing, None)
    server.cut = missing is None
    with pytest.raises(ConnectionError, match=rf"{told}.*fetch_movielens\(path=.*make_ratings"):
        fetch_movielens()
    assert kept(tmp_path) == []


def test_where_the_cache_is(server, monkeypatch, tmp_path):
    monkeypatch.delenv("SK_ENTITY_EMBED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    fetch_movielens()
    assert (tmp_path / "xdg" / "sk_entity_embed" / NAME).is_file()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    fetch_movielens()
    assert (tmp_path / "home" / ".cache" / "sk_entity_embed" / NAME).is_file()


def test_the_real_table():
    folder = Path(os.environ.get("SK_ENTITY_EMBED_DATA", "")) / "movielens_small_2016"
    if not folder.is_dir():
        pytest.skip("MovieLens is not there")
    data = fetch_movielens(folder)
    assert len(data.X) == len(data.y) == 100_004
    assert data.X["user"].nunique() == 671
    assert data.X["movie"].isin(data.movies.index).all()
    assert data.y.between(0.5, 5).all()
