"""Build the API reference as HTML from the docstrings, with pdoc.

    pip install -e ".[docs]"
    python scripts/build_api_reference.py --output build/api

Open OUTPUT/index.html. A warning, such as a reference that cannot be resolved, ends the build with an error.
"""

from __future__ import annotations

import argparse
import pkgutil
import sys
import warnings
from pathlib import Path

import hf_ntg


def build(output: Path) -> Path:
    """Write the pages of the package and of all its public modules below `output`, and return the first of them.

    Raises:
        Warning: pdoc warned of something.
    """
    import pdoc

    # Named one by one, since pdoc leaves out submodules that a face does not list as public names.
    modules = sorted(module.name for module in pkgutil.walk_packages(hf_ntg.__path__, "hf_ntg."))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "The module specification .* has already been added")  # by its package
        # pdoc looks up the field types of a NamedTuple in the wrong module; it then shows them as they are written.
        warnings.filterwarnings("ignore", "Error parsing type annotation ForwardRef")
        pdoc.render.configure(docformat="google", footer_text="hf_ntg")
        pdoc.pdoc("hf_ntg", *modules, output_directory=output)
    return output / "index.html"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/api"), help="folder for the pages")
    try:
        print(build(parser.parse_args().output))
    except ImportError as error:
        sys.exit(f"{error}; pip install -e '.[docs]'")


if __name__ == "__main__":
    main()
