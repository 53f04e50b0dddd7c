"""A metric's module and all modules of ours that it needs, as files that lie side by side and import each other.

``evaluate.load`` fetches a Space's main file and the files that it imports with a dot; so a metric published this way
computes where hf_ntg is not installed.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata, resources

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
        needed = _needed(ast.parse(text))
        sources[module] = _side_by_side(text, needed)
        waiting += sorted({node.module for node in needed})
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
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    outside = sorted(imported - set(sys.stdlib_module_names) - {"__future__"})
    known = [line for line in metadata.requires("hf-ntg") or [] if ";" not in line]
    bounds = {re.match(r"[\w-]+", line).group(): line for line in known}
    return [bounds[_DISTRIBUTIONS.get(name, name)] for name in outside]


def _source(module: str) -> str:
    package, _, name = module.rpartition(".")
    folder = resources.files(module) if _is_package(module) else resources.files(package)
    return (folder / ("__init__.py" if _is_package(module) else f"{name}.py")).read_text(encoding="utf-8")


def _is_package(module: str) -> bool:
    package, _, name = module.rpartition(".")
    return bool(package) and (resources.files(package) / name).is_dir()


def _needed(tree: ast.Module) -> list[ast.ImportFrom]:
    """Imports of our own modules; ``import hf_ntg`` cannot be bundled, which is our fault and no user's."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "hf_ntg":
            found.append(node)
        elif isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "hf_ntg" for alias in node.names):
            raise ValueError(f"line {node.lineno}: a metric imports from modules of hf_ntg, not hf_ntg itself")
    return found


def _side_by_side(text: str, needed: list[ast.ImportFrom]) -> str:
    lines = text.splitlines(keepends=True)
    for node in needed:
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line.replace(f"from {node.module} import", f"from .{_flat(node.module)} import", 1)
    return "".join(lines)


def _flat(module: str) -> str:
    """``hf_ntg.metrics.views`` as one name, ``ntg_metrics_views``."""
    return _PREFIX + module.removeprefix("hf_ntg").strip(".").replace(".", "_")


def _after_docstring(text: str) -> tuple[str, str]:
    """The module's docstring as it is written, and everything after it."""
    end = ast.parse(text).body[0].end_lineno
    lines = text.splitlines(keepends=True)
    return "".join(lines[:end]).rstrip("\n"), "".join(lines[end:]).lstrip("\n")
