"""How py2app is run; that it runs is test_real's affair."""

from __future__ import annotations

import dis
import json
import sys
from pathlib import Path

import pytest

from commands import Result
from errors import Exit
from release.bundle import options, runtime, tree
from release.bundle.child import names_used
from release.bundle.job import Answer, Job
from release.bundle.spec import BundleFault
from tests.release.bundle import tiny
from tests.standins.commands import Recorder

LIBRARY = f"Contents/Resources/lib/python{tiny.PYTHON}"


class Py2app:
    """Stands in for the building process: reads the job, leaves an app, answers."""

    def __init__(self, *, missing: tuple[str, ...] = (), status: int = 0, stderr: bytes = b"") -> None:
        self.missing, self.status, self.stderr = missing, status, stderr
        self.job: Job | None = None
        self.needs = ""

    def __call__(self, argv: tuple[str, ...]) -> Result:
        path = Path(argv[-1])
        self.job = Job.read(path)
        self.needs = Path(self.job.needs).read_text()
        app = Path(self.job.dist, f"{self.job.name}.app")
        app.parent.mkdir(parents=True)
        tiny.runtime(app.parent).rename(app)
        extra: dict[str, str | bytes] = {
            f"{LIBRARY}/certifi/core.py": "x = 1\n",
            f"{LIBRARY}/certifi/py.typed": "",
            f"{LIBRARY}/certifi/tests/test_x.py": "x = 1\n",
            "Contents/Resources/include/python3.11/pyconfig.h": "//\n",
            "Contents/Frameworks/libused.dylib": tiny.macho(identity="u"),
            "Contents/Frameworks/libunused.dylib": tiny.macho(
                identity="v", loads=["@loader_path/libafter.dylib"]
            ),
            "Contents/Frameworks/libafter.dylib": tiny.macho(identity="w"),
            f"{LIBRARY}/lib-dynload/x.so": tiny.macho(loads=["@executable_path/../Frameworks/libused.dylib"]),
        }
        tiny.write(app, extra)
        Answer(str(app), self.missing, {}).write(path.with_name("answer.json"))
        return Result(argv, self.status, b"", self.stderr)


def build(tmp_path: Path, child: Py2app, *, portable: bool = True) -> tuple[Path, Recorder]:
    runner = Recorder(child)
    dst = tmp_path / "out" / "Runtime.app"
    source = tiny.source(tmp_path / "repository")
    for name in ("prefix", "packages"):
        (tmp_path / name).mkdir(exist_ok=True)
    runtime.build_runtime(
        tiny.spec(source),
        dst,
        prefix=tmp_path / "prefix",
        site_packages=tmp_path / "packages",
        runner=runner,
        portable=portable,
    )
    return dst, runner


@pytest.mark.parametrize(
    ("portable", "module"), [(True, "release.bundle.cross"), (False, "release.bundle.native")]
)
def test_runs_in_a_clean_interpreter_of_its_own(tmp_path: Path, portable: bool, module: str) -> None:
    child = Py2app()
    _, runner = build(tmp_path, child, portable=portable)
    assert len(runner.calls) == 1
    assert runner.calls[0][:-1] == (sys.executable, "-s", "-B", "-m", module)
    environment = runner.environments[0]
    assert environment is not None
    assert environment["PYTHONHASHSEED"] == "0"
    assert (Path(environment["PYTHONPATH"]) / "release/bundle/cross.py").is_file()
    assert set(environment) <= {
        *("PATH", "HOME", "TMPDIR", "DEVELOPER_DIR", "PYTHONHASHSEED", "PYTHONPATH", "LC_ALL"),
    }


def test_tells_it_what_the_app_needs_and_not_the_app(tmp_path: Path) -> None:
    child = Py2app()
    build(tmp_path, child)
    assert child.job is not None
    assert child.needs == "import json\n"
    assert set(child.job.required) == {"json", *options.DYNAMIC_IMPORTS}
    assert str(tmp_path / "repository") not in json.dumps([child.job.launcher, child.job.needs])


def test_tidies_up_afterwards(tmp_path: Path) -> None:
    app, _ = build(tmp_path, Py2app())
    library = app / LIBRARY
    assert [path.name for path in (library / "certifi").rglob("*")] == ["core.pyc"]
    assert not (app / "Contents/Resources/include").exists()
    assert [path.name for path in (app / "Contents/Frameworks").glob("*.dylib")] == ["libused.dylib"]
    assert {int(path.lstat().st_mtime) for path in app.rglob("*")} == {tiny.EPOCH}
    assert [path.name for path in app.parent.iterdir()] == ["Runtime.app"]


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleFault) as caught:
        build(tmp_path, Py2app(missing=("httpx", "trio")))
    assert caught.value.details == ("httpx", "trio")
    assert caught.value.status == Exit.BUNDLE
    assert "requirements" in str(caught.value.cure)
    assert not any((tmp_path / "out").iterdir())


def test_py2apps_last_lines_are_shown(tmp_path: Path) -> None:
    with pytest.raises(BundleFault) as caught:
        build(tmp_path, Py2app(status=1, stderr=b"\n".join([b"noise"] * 50 + [b"ValueError: no stub"])))
    assert caught.value.details[-1] == "ValueError: no stub"
    assert len(caught.value.details) <= 12


def test_a_full_disk_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(BundleFault) as caught:
        build(tmp_path, Py2app(status=1, stderr=b"OSError: [Errno 28] No space left on device: 'x'"))
    assert caught.value.status == Exit.DISK


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    app, _ = build(tmp_path, Py2app())
    with pytest.raises(BundleFault):
        build(tmp_path, Py2app(status=1))
    assert (app / "Contents/Info.plist").is_file()


def test_depends_on_imports_and_not_on_code(tmp_path: Path) -> None:
    spec = tiny.spec(tiny.source(tmp_path))
    before = runtime.runtime_inputs(spec)
    json.dumps(before)
    main = tmp_path / "app/__main__.py"
    main.write_text(main.read_text().replace("return len", "return 1 + len"))
    assert runtime.runtime_inputs(spec) == before
    main.write_text(main.read_text() + "\nimport csv\n")
    assert runtime.runtime_inputs(spec) != before


def test_version_and_feed_are_no_part_of_it(tmp_path: Path) -> None:
    source = tiny.source(tmp_path)
    other = tiny.spec(source, version="9", build="9", feed_url="https://example.net/", public_ed_key="B")
    assert runtime.runtime_inputs(tiny.spec(source)) == runtime.runtime_inputs(other)
    assert runtime.runtime_inputs(tiny.spec(source)) != runtime.runtime_inputs(
        tiny.spec(source, arch="x86_64")
    )


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleFault, match="universal2"):
        tiny.spec(tmp_path, arch="ppc")


# -- reading names from byte code ------------------------------------------------------------------------

STORES = {dis.opmap["STORE_NAME"]: 0, dis.opmap["STORE_GLOBAL"]: 0}
LOADS = {dis.opmap["LOAD_NAME"]: 0, dis.opmap["LOAD_GLOBAL"]: 1}


def by_dis(code: object, names: set[str]) -> set[str]:
    """What modulegraph does, an object an instruction."""
    found: set[str] = set()
    for one in dis.get_instructions(code):  # type: ignore[arg-type]
        if one.opname in names:
            found.add(str(one.argval))
    for constant in code.co_consts:  # type: ignore[attr-defined]
        if hasattr(constant, "co_code"):
            found |= by_dis(constant, names)
    return found


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LOAD_GLOBAL's flag is new in 3.11")
@pytest.mark.parametrize("module", ["argparse", "asyncio.base_events", "typing", "email.message", "inspect"])
def test_names_are_those_that_dis_finds(module: str) -> None:
    __import__(module)
    path = sys.modules[module].__file__
    assert path
    code = compile(Path(path).read_text(), path, "exec")
    assert names_used(code, STORES) == by_dis(code, {"STORE_NAME", "STORE_GLOBAL"})
    assert names_used(code, LOADS) == by_dis(code, {"LOAD_NAME", "LOAD_GLOBAL"})


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1000, 65_536, 66_000])
def test_names_far_down_the_list_too(count: int) -> None:
    """More than 255 names need EXTENDED_ARG, more than 65,535 two of them."""
    code = compile("".join(f"n{number} = 0\n" for number in range(count)), "x", "exec")
    assert names_used(code, STORES) == {f"n{number}" for number in range(count)}


# -- trees -----------------------------------------------------------------------------------------------


def test_empty_folders_go_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").write_text("x")
    (tmp_path / "a/link").symlink_to("nowhere")
    tree.prune(tmp_path)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["file", "link"]


def test_useless_files_are_told_apart() -> None:
    useless = [
        "x/y.pyi",
        "x/py.typed",
        "x-1.dist-info/RECORD",
        "x-1.dist-info/direct_url.json",
        "x/tests/a.pyc",
    ]
    useful = [
        "x/y.pyc",
        "x/RECORD",
        "x-1.dist-info/METADATA",
        "x-1.dist-info/licenses/LICENSE",
        "tests/a.pyc",
    ]
    assert [name for name in useless if options.useful(Path(name))] == []
    assert [name for name in useful if not options.useful(Path(name))] == []
