"""The house: how large a room is, what its face is, and which files may import what.

The floors themselves, and what the pure rooms may not import, are held by import-linter (`pyproject.toml`).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "boursomatic_assets"
ROOT = Path(__file__).resolve().parents[1] / PACKAGE
ROOMS = sorted(folder.parent for folder in ROOT.rglob("__init__.py"))
MODULES = sorted(ROOT.rglob("*.py"))
LARGEST = 14


def name_of(path: Path) -> str:
    return path.relative_to(ROOT.parent).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports from the package, names of modules and of what is in them alike."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_holds_fourteen_modules_at_most(room: Path) -> None:
    modules = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= LARGEST, modules


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_belongs_there(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_what_is_private_to_a_room_is_used_there_alone(module: Path) -> None:
    for dotted in imports(module):
        parts = dotted.split(".")
        private = next((place for place, part in enumerate(parts) if part.startswith("_")), None)
        if private is not None:
            room = ROOT.parent.joinpath(*parts[:private])
            assert room in (module.parent, *module.parents), f"{dotted} is private to {name_of(room)}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_what_a_module_imports_exists(module: Path) -> None:
    for dotted in imports(module):
        parent = ROOT.parent.joinpath(*dotted.split(".")[:-1])
        assert parent.is_dir() or parent.with_suffix(".py").is_file(), dotted
