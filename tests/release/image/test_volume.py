from __future__ import annotations

import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from release.image.faults import ImageFault
from release.image.hfsplus import btree, catalog, names, records, tree
from release.image.hfsplus.volume import Volume
from release.image.reader import DiskImage
from tests.release.image import trees
from tests.release.image.trees import EPOCH

# Letters that decompose, fold, or need two UTF-16 units. No capitals beyond
# ASCII that stay one unit: dpp looks names up without folding those.
LETTERS = st.text("aAbB09-_.éÉßω한ﬁ😀ſ\u212b", min_size=1, max_size=12)
NAMES = st.builds(lambda a, b: f"{a}{b}", st.sampled_from("xyZ"), LETTERS).filter(
    lambda name: name[-1] != "."
)
SIZES = st.sampled_from((0, 1, 511, 4095, 4096, 4097, 70_000))
FILES = st.builds(
    lambda size, seed: (b"#!" * (seed % 2) + bytes([seed]) * size)[:size], SIZES, st.integers(0, 255)
)
LINKS = st.sampled_from((".", "nowhere", "../über/é", "x" * 300))


def _distinct(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out names that a volume cannot tell apart."""
    kept = {names.folded(names.encode(name)): name for name in content}
    return {name: content[name] for name in kept.values()}


TREES = st.recursive(
    FILES | LINKS,
    lambda inner: st.dictionaries(NAMES, inner, max_size=6).map(_distinct),
    max_leaves=30,
).filter(lambda made: isinstance(made, dict))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=TREES)
def test_three_readers_agree_on_any_tree(content: dict[str, Any]):
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        trees.make(scratch / "root", content)
        image = trees.image(scratch / "root", scratch / "x.dmg")
        expected = trees.on_disk(scratch / "root")
        assert trees.differences(expected, trees.by_us(image)) == []
        assert trees.differences(expected, trees.by_dpp(image)) == []
        assert trees.differences(expected, trees.by_7z(image, scratch / "7z")) == []


def test_three_readers_agree_on_a_big_tree(tmp_path: Path):
    """Thousands of files: a catalog of three levels, looked up by path through its index nodes by dpp."""
    import botocore

    root = tmp_path / "root"
    shutil.copytree(Path(botocore.__file__).parent, root)
    trees.make(root / "names", {f"{i:03}-{'Łąka é ' * 20}": bytes([i]) for i in range(250)})
    image = trees.image(root, tmp_path / "x.dmg", threads=2)
    nodes = tree.scan(root, "Volume")
    depth = int.from_bytes(Volume(nodes, created=EPOCH)._catalog(0)[14:16], "big")
    assert (len(nodes) > 3000, depth) == (True, 3)
    expected = trees.on_disk(root)
    assert trees.differences(expected, trees.by_us(image)) == []
    assert trees.differences(expected, trees.by_dpp(image)) == []
    assert trees.differences(expected, trees.by_7z(image, tmp_path / "7z")) == []


def test_extracting_gives_the_tree_back(tmp_path: Path):
    content = {"a": {"tool": b"#!/bin/sh", "data": os.urandom(3_000_000), "sealed": {}}, "l": "a/tool"}
    trees.make(tmp_path / "root", content)
    (tmp_path / "root/a/sealed").chmod(0o555)
    image = trees.image(tmp_path / "root", tmp_path / "x.dmg")
    with DiskImage.open(image) as opened:
        opened.extract(tmp_path / "out")
    assert trees.differences(trees.on_disk(tmp_path / "root"), trees.on_disk(tmp_path / "out")) == []


def test_volume_is_as_long_as_it_says_and_streams_small_pieces(tmp_path: Path):
    trees.make(tmp_path / "root", {"big": bytes(5_000_000), "small": b"x"})
    volume = Volume(tree.scan(tmp_path / "root", "V"), created=EPOCH)
    sizes = [len(piece) for piece in volume.chunks()]
    assert sum(sizes) == volume.size
    assert max(sizes) <= 1 << 20


def test_bitmap_grows_with_the_volume():
    """Beyond 128 MiB the bitmap needs a second block, and then accounts for itself."""
    from release.image.hfsplus.volume import BITS, _with_bitmap

    assert [_with_bitmap(n) for n in (1, BITS - 1, BITS, 2 * BITS - 2, 2 * BITS - 1)] == [
        2, BITS, BITS + 2, 2 * BITS, 2 * BITS + 2,
    ]  # fmt: skip


def test_headers_agree_and_count(tmp_path: Path):
    trees.make(tmp_path / "root", {"a": {"b": b"1", "c": "b"}, "d": b""})
    data = b"".join(Volume(tree.scan(tmp_path / "root", "V"), created=EPOCH).chunks())
    header = data[1024:1536]
    assert header == data[-1024:-512]
    assert struct.unpack_from(">2I", header, 32) == (3, 1)  # files with links, folders without the root
    dates = struct.unpack_from(">4I", header, 16)
    assert set(dates) == {0, EPOCH + records.MAC_EPOCH}
    assert struct.unpack_from(">I", header, 4)[0] & 0x2000 == 0  # not journaled


def test_names_that_differ_by_case_alone_are_refused(tmp_path: Path):
    trees.make(tmp_path / "root", {"a": {"Straße": b"", "STRAßE": b""}})
    with pytest.raises(ImageFault, match="same name"):
        tree.scan(tmp_path / "root", "V")


def test_what_is_no_file_is_refused(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        with pytest.raises(ImageFault, match="only files"):
            tree.scan(tmp_path, "V")


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path):
    trees.make(tmp_path / "root", {"a": b"12345", "b": b"12345"})
    for longer in (b"123456", b"1234"):
        volume = Volume(tree.scan(tmp_path / "root", "V"), created=EPOCH)
        (tmp_path / "root/b").write_bytes(longer)
        with pytest.raises(ImageFault, match="changed"):
            list(volume.chunks())
        (tmp_path / "root/b").write_bytes(b"12345")


def test_grafts_flags_and_first_numbers(tmp_path: Path):
    trees.make(tmp_path / "root", {"a": b"", "z": b""})
    trees.make(tmp_path / "elsewhere", {"in": b"side"})
    nodes = tree.scan(
        tmp_path / "root",
        "V",
        grafts={"g": tmp_path / "elsewhere"},
        flags={"": records.HAS_CUSTOM_ICON, "g/in": records.IS_INVISIBLE},
        first=("z",),
    )
    found = {names.decode(node.units): node for node in nodes}
    assert found["z"].cnid == tree.FIRST_USER
    assert found["in"].parent == found["g"].cnid
    assert (nodes[0].flags, found["in"].flags) == (records.HAS_CUSTOM_ICON, records.IS_INVISIBLE)


def test_a_file_in_more_than_eight_pieces(tmp_path: Path):
    """hdiutil's volumes may hold such files, ours never do: so one is made by hand."""
    data = os.urandom(20 * records.BLOCK - 7)
    trees.make(tmp_path / "root", {"file": data})
    volume = bytearray(b"".join(Volume(tree.scan(tmp_path / "root", "V"), created=EPOCH).chunks()))
    whole = catalog.Volume(lambda at, size: bytes(volume[at : at + size]), len(volume))
    (item,) = whole.items
    ((start, _),) = item.fork.extents
    runs = [(start + i, 1) for i in range(20)]
    place = volume.index(records.EXTENT.pack(start, 20))
    volume[place : place + 64] = b"".join(records.EXTENT.pack(*run) for run in runs[:8])
    overflow = [
        (catalog.EXTENTS_KEY.pack(10, 0, 0, item.cnid, at), _extents(runs[at : at + 8])) for at in (8, 16)
    ]
    more = btree.build(btree.EXTENTS, overflow)
    blocks = len(volume) // records.BLOCK
    volume += more
    fork = records.Fork(blocks, len(more)).pack()
    volume[1024 + 192 : 1024 + 272] = fork
    volume[1024 + 44 : 1024 + 48] = (len(volume) // records.BLOCK).to_bytes(4, "big")
    pieces = catalog.Volume(lambda at, size: bytes(volume[at : at + size]), len(volume))
    assert pieces.items[0].fork.extents == tuple(runs)
    assert b"".join(pieces.chunks(pieces.items[0].fork)) == data


def _extents(runs: list[tuple[int, int]]) -> bytes:
    return b"".join(records.EXTENT.pack(*run) for run in runs).ljust(64, b"\0")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_catalog_never_hangs_or_crashes(data: st.DataObject):
    volume = bytearray(_SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(1024, len(volume) - 1) | st.sampled_from(_HOT))
        volume[at] = data.draw(st.integers(0, 255))
    try:
        opened = catalog.Volume(_reading(volume), len(volume))
        for _, item in opened.paths():
            for _ in opened.chunks(item.fork):
                pass
    except ImageFault as fault:
        assert fault.what


def _reading(volume: bytearray) -> catalog.Read:
    def read(at: int, size: int) -> bytes:
        if not 0 <= at <= at + size <= len(volume):
            raise ImageFault("outside")
        return bytes(volume[at : at + size])

    return read


def _sample() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        trees.make(Path(folder), {"a": {f"{i}": {"x": bytes([i]) * i} for i in range(40)}, "l": "a"})
        return b"".join(Volume(tree.scan(Path(folder), "V"), created=EPOCH).chunks())


_SAMPLE = _sample()
# The volume header, the catalog's header node, the first leaf's start, and its table of offsets.
_CATALOG = int.from_bytes(_SAMPLE[1024 + 288 : 1024 + 292], "big") * records.BLOCK
_HOT = [
    *range(1024, 1536),
    *range(_CATALOG, _CATALOG + 80),
    *range(_CATALOG + 8192, _CATALOG + 9000),
    *range(_CATALOG + 2 * 8192 - 80, _CATALOG + 2 * 8192),
]
