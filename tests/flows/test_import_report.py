from collections import Counter
from pathlib import Path

from hf_ntg.flows.import_report import FileReport, ImportReport


def report(*files, **more):
    return ImportReport(Path("out.parquet"), list(files), **more)


def test_counts_of_all_files_are_added():
    one = FileReport(Path("a"), 3, Counter({"too short": 2}), Counter(odd=1), classes=Counter({"web": 2, None: 1}))
    two = FileReport(Path("b"), 1, Counter({"too short": 1}), error="b: broken", classes=Counter(dns=1))
    whole = report(one, two, left_out=4, dropped_columns=("sni",), about_rules=("a rule",))
    assert (whole.flows, whole.broken) == (4, [two])
    assert whole.classes == Counter({"web": 2, "dns": 1, None: 1})
    assert whole.remarks() == [
        "skipped 3: too short",
        "noticed 1: odd",
        "left out 4: files that are of no known format",
        "a rule",
        "left out columns that not all files have: sni",
        "broken: b: broken (1 flows kept)",
    ]


def test_the_table_shows_the_largest_classes_and_no_control_characters():
    classes = Counter({f"class {k:02}": 100 - k for k in range(60)} | {"evil\x1b[31m": 1_000, "x" * 99: 900, None: 7})
    rows = report(FileReport(Path("a"), classes=classes)).class_table().rows
    assert rows[0] == ("evil\\x1b[31m", "1000")
    assert rows[1] == ("x" * 59 + "…", "900")
    assert len(rows) == 52
    assert rows[-2] == ("(12 more classes)", str(sum(range(41, 53))))
    assert rows[-1] == ("(no label)", "7")
