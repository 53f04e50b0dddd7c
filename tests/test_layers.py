"""The package's rooms import downward only, and no modules import each other in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hf_ntg"
# From the bottom up: a room may import from itself and from those before it.
LAYERS = (
    (
        "constants",
        "errors",
        "files",
        "output_places",
        "json_files",
        "launch",
        "printable",
        "progress",
        "ranges",
        "remote",
        "text_tables",
        "threads",
        "trouble",
        "workers",
    ),
    ("flows",),
    ("codecs",),
    ("privacy",),
    ("model_files",),
    ("models",),
    ("training",),
    ("generation",),
    ("metrics",),
    ("augmentation",),
    ("report",),
    ("study",),
    ("hub",),
    ("jobs",),
    ("space",),
    ("commands",),
    ("cli", "train"),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
MODULES = {
    ".".join(("hf_ntg", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imports_of(name: str) -> set[str]:
    """Modules of the package that module `name` imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= below & MODULES.keys() or {node.module}
    return {module for module in found if module in MODULES and module not in (name, "hf_ntg")}


def room_of(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"hf_ntg"}))
def test_a_module_imports_downward(name):
    upward = {other for other in imports_of(name) if RANK[room_of(other)] > RANK[room_of(name)]}
    assert not upward


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: imports_of(name) for name in MODULES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
