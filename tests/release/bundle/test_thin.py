from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from macholib.MachO import MachO

from release.bundle import thin
from release.bundle.spec import BundleFault
from tests.release.bundle.tiny import macho

ARM, INTEL = macho("arm64", tail=b"arm" * 100), macho("x86_64", tail=b"intel" * 9000)


def fat(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(ARM)
    (tmp_path / "x").write_bytes(INTEL)
    (tmp_path / "a").chmod(0o755)
    thin.fuse([tmp_path / "a", tmp_path / "x"], tmp_path / "fat")
    return tmp_path / "fat"


def test_two_files_become_one_that_readers_understand(tmp_path: Path) -> None:
    path = fat(tmp_path)
    assert [one.arch for one in thin.slices_of(path)] == ["x86_64", "arm64"]
    assert all(one.offset % 0x4000 == 0 for one in thin.slices_of(path))
    assert path.stat().st_mode & 0o777 == 0o755
    assert {header.header.cputype for header in MachO(str(path)).headers} == {0x01000007, 0x0100000C}


@pytest.mark.parametrize(("arch", "slice_"), [("arm64", ARM), ("x86_64", INTEL)])
def test_thinning_gives_the_slice_back(tmp_path: Path, arch: str, slice_: bytes) -> None:
    path = fat(tmp_path)
    before = path.stat().st_size
    assert thin.thin_file(path, (arch,)) == before - len(slice_)
    assert path.read_bytes() == slice_
    assert path.stat().st_mode & 0o777 == 0o755
    assert thin.thin_file(path, (arch,)) == 0


def test_universal_keeps_both_and_other_files_are_left_alone(tmp_path: Path) -> None:
    path = fat(tmp_path)
    before = path.read_bytes()
    (tmp_path / "Some.class").write_bytes(
        b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(400)
    )  # Java's magic is the same
    (tmp_path / "link").symlink_to("fat")
    (tmp_path / "a").unlink()
    (tmp_path / "x").unlink()
    assert thin.thin_tree(tmp_path, ("arm64", "x86_64")) == 0
    assert path.read_bytes() == before
    assert thin.thin_tree(tmp_path, ("arm64",)) > 0
    assert (tmp_path / "link").is_symlink()


def test_a_missing_architecture_is_named(tmp_path: Path) -> None:
    (tmp_path / "lib").write_bytes(ARM)
    with pytest.raises(BundleFault, match="x86_64") as caught:
        thin.thin_tree(tmp_path, ("x86_64",))
    assert caught.value.where == str(tmp_path / "lib")


def test_only_different_thin_files_are_put_together(tmp_path: Path) -> None:
    path = fat(tmp_path)
    for sources in ([path, tmp_path / "a"], [tmp_path / "a", tmp_path / "a"]):
        with pytest.raises(BundleFault):
            thin.fuse(sources, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    data=st.one_of(
        st.binary(max_size=300), st.binary(max_size=60).map(lambda tail: b"\xca\xfe\xba\xbe" + tail)
    )
)
def test_no_bytes_upset_the_reader(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    thin.slices_of(path)
