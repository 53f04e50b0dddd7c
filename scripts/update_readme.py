"""Make the tables of Markdown files anew, from the results of a study and of compare_rivals.py.

    python scripts/update_readme.py README.md model_cards/study/README.md --results model_cards/study/results.jsonl \
        --rivals model_cards/study/rivals/results.jsonl

A text says where a table goes: ``<!-- table: overview-loopback-capture -->`` and, below, ``<!-- end of table -->``.
The names are those of the study's ``tables/`` folder, and ``rivals-TABLE`` for each flow table on which
compare_rivals.py measured. With --check nothing is written, and the exit code is 1 where a text differs from the
results.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rivals.tables import rivals_tables

from hf_ntg import InputError
from hf_ntg.files import write_text
from hf_ntg.study.results.overview import fill_tables
from hf_ntg.study.results.study_report import all_tables
from hf_ntg.study.results.table import as_markdown
from hf_ntg.study.store import read_results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path, help="Markdown files to fill")
    parser.add_argument("--results", type=Path, help="results.jsonl of a study")
    parser.add_argument("--rivals", type=Path, help="results.jsonl of compare_rivals.py")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where a text would change")
    arguments = parser.parse_args()
    studied = all_tables(read_results(arguments.results)) if arguments.results else []
    tables, changed = {table.name: as_markdown(table) for table in studied}, []
    if arguments.rivals:
        tables |= rivals_tables(arguments.rivals)
    for path in arguments.texts:
        old = path.read_text(encoding="utf-8")
        new = fill_tables(old, tables, str(path))
        if new != old:
            changed.append(path)
            if not arguments.check:
                write_text(path, new)
    verb = "would change" if arguments.check else "changed"
    print(f"{', '.join(map(str, changed)) or 'nothing'} {verb}", file=sys.stderr)
    return int(arguments.check and bool(changed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
