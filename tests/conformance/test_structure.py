"""The walls of the house: who may import whom, file sizes, no bare asserts, and a cheap ``import imbdense``."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.conformance.source import PACKAGE, ROOT, Import, Source, imports, sources

HOSTS = ('mmengine', 'mmcv', 'mmseg', 'mmdet')
FILE_READERS = ('cv2', 'PIL', 'rasterio', 'open3d', 'laspy', 'lazrs', 'py4dgeo', 'nibabel', 'albumentations')
CORE_MAY = ('torch', 'numpy', 'scipy', 'imbdense.core')
CORE_MAY_LAZILY = ('numba', 'faiss', 'py4dgeo')  # other engines of what core computes itself
SHARED_CORE = tuple(
    f'imbdense.core.{name}' for name in ('stats', 'reduction', 'checks', 'overlaps', 'regions', 'metrics.confusion')
)
SOURCES = sources()
each = pytest.mark.parametrize('source', SOURCES, ids=[item.where for item in SOURCES])


def of_room(*rooms: str) -> list[Source]:
    return [item for item in SOURCES if item.room in rooms]


def is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f'{package}.') for package in packages)


def is_stdlib(module: str) -> bool:
    return module.split('.')[0] in sys.stdlib_module_names or module == '__future__'


def complain(source: Source, found: Import, rule: str) -> str:
    return f'{source.where}:{found.line} imports {found.module}: {rule}'


@pytest.mark.parametrize('source', of_room('core'), ids=lambda item: item.where)
def test_core_is_pure(source: Source) -> None:
    for found in imports(source):
        allowed = CORE_MAY + (CORE_MAY_LAZILY if found.lazy else ())
        assert is_stdlib(found.module) or is_in(found.module, allowed), complain(
            source, found, 'core may use the standard library, torch, numpy and scipy only'
        )


@pytest.mark.parametrize('source', of_room('core'), ids=lambda item: item.where)
def test_core_rooms_do_not_import_each_other(source: Source) -> None:
    own = '.'.join(source.module.split('.')[:3])
    for found in imports(source):
        if not is_in(found.module, ('imbdense.core',)) or found.module == 'imbdense.core':
            continue
        assert is_in(found.module, (own, *SHARED_CORE)), complain(
            source, found, f'a core room may import only {", ".join(SHARED_CORE)}'
        )


@pytest.mark.parametrize('source', of_room('nn'), ids=lambda item: item.where)
def test_nn_stands_on_core_and_torch(source: Source) -> None:
    for found in imports(source):
        allowed = ('torch', 'numpy', 'imbdense.core', 'imbdense.nn')
        assert is_stdlib(found.module) or is_in(found.module, allowed), complain(source, found, 'nn -> core, torch')


@pytest.mark.parametrize('source', of_room('data'), ids=lambda item: item.where)
def test_data_knows_no_host_and_reads_formats_lazily(source: Source) -> None:
    own = ('imbdense.core.stats', 'imbdense.core.checks', 'imbdense.core.selection', 'imbdense.core.terrain',
           'imbdense.core.points', 'imbdense.core.boxes3d', 'imbdense.core.metrics.alpine_transitions',
           'imbdense.data', 'imbdense.utils')
    root = 'imbdense'  # its version
    for found in imports(source):
        assert not is_in(found.module, HOSTS), complain(source, found, 'data knows no host')
        assert found.module == root or not is_in(found.module, (root,)) or is_in(found.module, own), complain(
            source, found, f'data -> {own}'
        )
        assert found.lazy or found.typing_only or not is_in(found.module, FILE_READERS), complain(
            source, found, 'format readers are imported inside functions'
        )


@pytest.mark.parametrize('source', of_room('mm', 'utils', 'nn', 'data', 'core'), ids=lambda item: item.where)
def test_nothing_below_imports_the_applications(source: Source) -> None:
    for found in imports(source):
        above = ('imbdense.cli', 'imbdense.report', 'imbdense.benchmark')
        if source.room == 'utils':
            above += ('imbdense.mm', 'imbdense.nn')
        assert not is_in(found.module, above), complain(source, found, 'the layers below know nothing of it')


def test_no_import_cycles() -> None:
    """Strongly connected modules, over the imports that run at import time."""
    graph: dict[str, set[str]] = defaultdict(set)
    modules = {item.module for item in SOURCES}
    for source in SOURCES:
        for found in imports(source):
            if not found.lazy and not found.typing_only and found.module in modules and found.module != source.module:
                graph[source.module].add(found.module)
    done: set[str] = set()
    for start in sorted(modules):
        path: list[str] = []

        def visit(module: str, path: list[str] = path) -> None:
            assert module not in path, 'import cycle: ' + ' -> '.join([*path[path.index(module) :], module])
            if module in done:
                return
            path.append(module)
            for other in sorted(graph[module]):
                visit(other)
            path.pop()
            done.add(module)

        visit(start)


@each
def test_file_is_at_most_400_lines(source: Source) -> None:
    assert source.lines <= 400, f'{source.where} has {source.lines} lines: it has more than one job'


@each
def test_no_bare_assert_and_no_cuda_call(source: Source) -> None:
    for node in ast.walk(source.tree):
        assert not isinstance(node, ast.Assert), f'{source.where}:{node.lineno}: raise an error that says what to do'
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr != 'cuda', f'{source.where}:{node.lineno}: use .to(device)'


@each
def test_module_says_what_it_is(source: Source) -> None:
    assert ast.get_docstring(source.tree), f'{source.where} has no docstring'


@each
def test_public_functions_are_typed_and_documented(source: Source) -> None:
    for node in source.tree.body:
        members = [node] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
        if isinstance(node, ast.ClassDef):
            members += [item for item in node.body if isinstance(item, ast.FunctionDef)]
        for item in members:
            if item.name.startswith('_') or getattr(node, 'name', '').startswith('_'):
                continue
            decorated = {ast.unparse(mark) for mark in item.decorator_list}
            assert ast.get_docstring(item) or 'overload' in decorated, f'{source.where}:{item.lineno} {item.name}'
            if isinstance(item, ast.FunctionDef):
                arguments = [*item.args.posonlyargs, *item.args.args, *item.args.kwonlyargs]
                untyped = [a.arg for a in arguments if a.annotation is None and a.arg not in ('self', 'cls')]
                assert not untyped and item.returns is not None, f'{source.where}:{item.lineno} {item.name}: {untyped}'


def run_python(code: str) -> str:
    """Output of a fresh interpreter."""
    return subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()


def test_import_of_the_package_is_cheap_and_pulls_in_nothing() -> None:
    code = (
        'import sys, torch, time\n'
        'before = set(sys.modules); start = time.process_time()\n'
        'import imbdense\n'
        'print(time.process_time() - start, *sorted(set(sys.modules) - before))'
    )
    runs = [run_python(code).split() for _ in range(3)]
    spent, *new = min(runs, key=lambda run: float(run[0]))  # a busy machine makes single runs slow
    assert float(spent) < 0.05, f'import imbdense takes {1000 * float(spent):.0f} ms beyond torch'
    assert not [name for name in new if not name.startswith('imbdense') and not is_stdlib(name)], new


@pytest.mark.parametrize('module', ['imbdense.core.losses', 'imbdense.core.stats', 'imbdense.core.metrics'])
def test_core_runs_where_no_host_is_installed(module: str) -> None:
    blocked = HOSTS + FILE_READERS + ('matplotlib', 'rich', 'numba', 'sklearn', 'pycocotools')
    code = (
        'import sys\n'
        f'sys.modules.update({{name: None for name in {blocked!r}}})\n'
        f'import {module}; print("ok")'
    )
    assert run_python(code) == 'ok'


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob('*.py')}
    assert not [str(folder) for folder in folders if not (folder / '__init__.py').exists()]


@pytest.mark.parametrize('module', [source.module for source in SOURCES if source.path.name == '__init__.py'])
def test_what_a_package_offers_is_there(module: str) -> None:
    package = pytest.importorskip(module)
    missing = [name for name in getattr(package, '__all__', ()) if not hasattr(package, name)]
    assert not missing, f'{module}.__all__ names {missing}'
