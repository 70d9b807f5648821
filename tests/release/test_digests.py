from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from release.digests import Digests, content_digest
from release.files import point_link, sha256, write_atomic


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file").write_text("text")
    (root / "link").symlink_to("sub/file")
    return root


def changes(root: Path):
    yield "bytes", lambda: (root / "sub" / "file").write_text("TEXT")
    yield "mode", lambda: (root / "sub" / "file").chmod(0o755)
    yield "link", lambda: point_link(root / "link", "sub")
    yield "name", lambda: (root / "sub" / "file").rename(root / "sub" / "file2")
    yield "added", lambda: (root / "sub" / "more").write_text("")
    yield "empty folder", lambda: (root / "empty").mkdir()


def test_every_kind_of_change_shows(tree: Path, tmp_path: Path) -> None:
    digests = Digests(tmp_path / "cache.json")
    seen = {digests.of(tree)}
    for name, change in changes(tree):
        change()
        digest = digests.of(tree)
        assert digest not in seen, name
        assert digest == content_digest(tree)
        seen.add(digest)


def test_time_alone_is_no_change(tree: Path, tmp_path: Path) -> None:
    digests = Digests(tmp_path / "cache.json")
    before = digests.of(tree)
    os.utime(tree / "sub" / "file", (1, 1))
    assert digests.of(tree) == before


def test_same_size_and_mtime_is_still_noticed(tree: Path, tmp_path: Path) -> None:
    digests = Digests(tmp_path / "cache.json")
    path = tree / "sub" / "file"
    info = path.stat()
    before = digests.of(tree)
    path.write_text("tEXT")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert digests.of(tree) != before


def test_cache_survives_and_a_broken_one_does_no_harm(tree: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    first = Digests(cache)
    digest = first.of(tree)
    first.save()
    assert Digests(cache).of(tree) == digest
    cache.write_text('{"x": [1]}')
    assert Digests(cache).of(tree) == digest
    assert Digests(cache).of(tmp_path / "nothing") == "absent"


@pytest.mark.parametrize("moment", ["listed", "looked at"])
def test_what_goes_meanwhile_is_not_there(tree: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """As when a file is written under a temporary name and renamed."""
    passing, real = tree / "sub" / "another", os.scandir
    passing.write_text("new")
    content = content_digest(tree)
    passing.rename(temporary := tree / "sub" / ".another.new")

    @contextmanager
    def scandir(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with real(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        if moment == "listed" and Path(folder) == temporary.parent and temporary.exists():
            temporary.rename(passing)
        yield iter(listed)

    def hashed(path: Path) -> str:
        if path == temporary:
            temporary.rename(passing)
        return sha256(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr("release.digests.sha256", hashed)
    assert content_digest(tree) == content


def test_what_is_gone_for_good_is_no_endless_search(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []

    def lost(path: Path) -> str:
        looks.append(path)
        raise FileNotFoundError(path)

    monkeypatch.setattr("release.digests.sha256", lost)
    with pytest.raises(FileNotFoundError):
        content_digest(tree)
    assert 1 < len(looks) < 10


def test_atomic_write_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"one")
    write_atomic(target, b"two", mode=0o600)
    assert target.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.stat().st_mode & 0o777 == 0o600
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError):
        write_atomic(folder, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_point_link_replaces(tmp_path: Path) -> None:
    link = tmp_path / "current"
    point_link(link, "a")
    point_link(link, "b")
    assert str(link.readlink()) == "b"
