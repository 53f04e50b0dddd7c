"""The code of one metric as files in one folder that import each other, for a repository on the Hub.

``evaluate.load`` fetches the main file of a Space and the files that it imports with a dot. A metric published this way
computes where hf_ntg is not installed.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata, resources

import hf_ntg
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.registry import find_metric

__all__ = ["bundle_metric", "requirements_of"]

_PREFIX = "ntg_"
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where the name to install is not the name to import
_BASE = "hf_ntg.metrics.evaluate_module"


def bundle_metric(name: str, main_file: str) -> dict[str, str]:
    """The files of metric `name` (``flow_jsd``), by name: `main_file` with the metric's class, and all that it needs.

    Raises:
        InputError: there is no such metric.
    """
    metric = find_metric(name)
    sources: dict[str, str] = {}
    waiting = [metric.compute.__module__, _BASE]
    while waiting:
        module = waiting.pop()
        if module in sources:
            continue
        text = _source(module)
        needed = _needed(ast.parse(text), module)
        sources[module] = _side_by_side(text, needed)
        waiting += sorted({_imported(node) for node in needed})
    files = {f"{_flat(module)}.py": text for module, text in sources.items()}
    return files | {main_file: _main_file(metric, sorted(sources))}


def _main_file(metric: MetricInfo, modules: list[str]) -> str:
    """The file that ``evaluate.load`` runs. It imports every module: evaluate fetches only what this file imports."""
    class_name = "".join(word.capitalize() for word in metric.name.split("_"))
    defined_in = metric.compute.__module__
    lines = [
        f'"""{metric.title}: {metric.formula}."""',
        "",
        *(f"from .{_flat(module)} import __doc__ as _{_flat(module)}" for module in modules),
        f"from .{_flat(_BASE)} import FlowMetric",
        f"from .{_flat(defined_in)} import {metric.name.upper()}",
        "",
        "",
        f"class {class_name}(FlowMetric):",
        f'    """{metric.title}; see `{metric.compute.__name__}` in {_flat(defined_in)}.py."""',
        "",
        f"    metric = {metric.name.upper()}",
        "",
    ]
    return "\n".join(lines)


def requirements_of(files: dict[str, str]) -> list[str]:
    """The pip requirements of `files`, with the version bounds that hf_ntg itself has."""
    imported: set[str] = set()
    for text in files.values():
        for node in ast.parse(text).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add((node.module or "").partition(".")[0])
    outside = sorted(imported - set(sys.stdlib_module_names) - {"__future__"})
    known = [line for line in metadata.requires("hf-ntg") or [] if ";" not in line]
    bounds = {re.split(r"[^\w-]", line, maxsplit=1)[0]: line for line in known}
    return [bounds[_DISTRIBUTIONS.get(name, name)] for name in outside]


def _source(module: str) -> str:
    if module == "hf_ntg":  # the bundle only asks it for its version
        return f'"""The version of hf_ntg that these files are of."""\n\n__version__ = "{hf_ntg.__version__}"\n'
    package, _, name = module.rpartition(".")
    if (resources.files(package) / name).is_dir():
        return (resources.files(module) / "__init__.py").read_text(encoding="utf-8")
    return (resources.files(package) / f"{name}.py").read_text(encoding="utf-8")


Import = ast.Import | ast.ImportFrom


def _needed(tree: ast.Module, module: str) -> list[Import]:
    """The imports of hf_ntg at the top of `module`.

    What a module imports inside a function, a metric can do without: readers of captures, a baseline on torch.

    Raises:
        ValueError: a module of metrics imports from hf_ntg inside a function, which this bundle would miss.
    """
    top: list[Import] = [node for node in tree.body if isinstance(node, Import) and _is_ours(node)]
    everywhere = [node for node in ast.walk(tree) if isinstance(node, Import) and _is_ours(node)]
    if module.startswith("hf_ntg.metrics") and len(everywhere) > len(top):
        raise ValueError(f"{module}: imports from hf_ntg inside a function, which cannot be published")
    return top


def _is_ours(node: Import) -> bool:
    return _imported(node).partition(".")[0] == "hf_ntg"


def _imported(node: Import) -> str:
    return (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name


def _side_by_side(text: str, needed: list[Import]) -> str:
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
