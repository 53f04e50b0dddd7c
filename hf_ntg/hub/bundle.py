"""A metric's module and all modules of ours that it needs, as files that lie side by side and import each other.

``evaluate.load`` fetches a Space's main file and the files that it imports with a dot; so a metric published this way
computes where hf_ntg is not installed.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata, resources

import hf_ntg
from hf_ntg.errors import InputError

__all__ = ["bundle_metric", "requirements_of"]

_PREFIX = "ntg_"
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where the name to install is not the name to import


def bundle_metric(name: str, main_file: str) -> dict[str, str]:
    """The files of metric `name` (``flow_jsd``), by name: `main_file` with the metric's class, and what it needs.

    Raises:
        InputError: there is no such metric.
    """
    main = f"hf_ntg.metrics.{name}.{name}"
    if not name.isidentifier() or not (resources.files("hf_ntg.metrics") / name / f"{name}.py").is_file():
        raise InputError(f"{name}: no metric of hf_ntg; 'ntg evaluate' lists them")
    sources, waiting = {}, [main]
    while waiting:
        module = waiting.pop()
        if module in sources:
            continue
        text = _source(module)
        needed = _needed(ast.parse(text), module)
        sources[module] = _side_by_side(text, needed)
        waiting += sorted({_imported(node) for node in needed})
    body = sources.pop(main)
    # evaluate fetches only what the main file itself imports: so it imports every file, for its docstring.
    others = "".join(f"from .{_flat(module)} import __doc__ as _{_flat(module)}\n" for module in sorted(sources))
    docstring, rest = _after_docstring(body)
    files = {f"{_flat(module)}.py": text for module, text in sources.items()}
    return files | {main_file: f"{docstring}\n\n{others}{rest}"}


def requirements_of(files: dict[str, str]) -> list[str]:
    """What pip must install for `files` to run, with the bounds that hf_ntg itself has."""
    imported = set()
    for text in files.values():
        for node in ast.parse(text).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    outside = sorted(imported - set(sys.stdlib_module_names) - {"__future__"})
    known = [line for line in metadata.requires("hf-ntg") or [] if ";" not in line]
    bounds = {re.match(r"[\w-]+", line).group(): line for line in known}
    return [bounds[_DISTRIBUTIONS.get(name, name)] for name in outside]


def _source(module: str) -> str:
    if module == "hf_ntg":  # of which only the version is asked
        return f'"""The version of hf_ntg that these files are of."""\n\n__version__ = "{hf_ntg.__version__}"\n'
    package, _, name = module.rpartition(".")
    if (resources.files(package) / name).is_dir():
        return (resources.files(module) / "__init__.py").read_text(encoding="utf-8")
    return (resources.files(package) / f"{name}.py").read_text(encoding="utf-8")


def _needed(tree: ast.Module, module: str) -> list[ast.stmt]:
    """Imports of ours at the top of `module`.

    What is imported inside a function is what a metric can do without: readers of captures, a baseline on torch. A
    metric itself must not hide there what it needs, which would be our fault and no user's.
    """
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) and _is_ours(node)]
    inner = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and _is_ours(node)]
    if module.startswith("hf_ntg.metrics") and len(inner) > len(top):
        raise ValueError(f"{module}: imports from hf_ntg inside a function, which cannot be published")
    return top


def _is_ours(node: ast.Import | ast.ImportFrom) -> bool:
    return _imported(node).partition(".")[0] == "hf_ntg"


def _imported(node: ast.Import | ast.ImportFrom) -> str:
    return (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name


def _side_by_side(text: str, needed: list[ast.Import | ast.ImportFrom]) -> str:
    lines = text.splitlines(keepends=True)
    for node in needed:
        flat, line = _flat(_imported(node)), lines[node.lineno - 1]
        if isinstance(node, ast.Import):
            lines[node.lineno - 1] = f"from . import {flat} as hf_ntg\n"
        else:
            lines[node.lineno - 1] = line.replace(f"from {node.module} import", f"from .{flat} import", 1)
    return "".join(lines)


def _flat(module: str) -> str:
    """``hf_ntg.metrics.views`` as one name, ``ntg_metrics_views``."""
    return _PREFIX + (module.removeprefix("hf_ntg").strip(".").replace(".", "_") or "version")


def _after_docstring(text: str) -> tuple[str, str]:
    """The module's docstring as it is written, and everything after it."""
    end = ast.parse(text).body[0].end_lineno
    lines = text.splitlines(keepends=True)
    return "".join(lines[:end]).rstrip("\n"), "".join(lines[end:]).lstrip("\n")
