import pytest

from hf_ntg.flows.capture_out.folder_names import FolderNames

LABELS = [
    "HTTP/2", "HTTP_2", "HTTP:2", "C++", "C#", "CON", "con", "Con", "nul.txt", "COM1", "aux", ".", "..", "...", "",
    " ", "a ", "a", "A", "a.", "unlabelled", "Unlabelled", "x" * 300, "x" * 301, "é" * 300, "é", "e\u0301", "日本",
    "Web Attack – XSS", "a\nb", "%", "%25", "a/../b", "ﬁ", "fi", "straße", "STRASSE", None,
]  # fmt: skip


def test_every_label_has_one_folder_and_no_other_has_it():
    names = FolderNames()
    found = [names.name(label) for label in LABELS]
    assert [names.name(label) for label in LABELS] == found
    assert len({name.casefold() for name in found}) == len(LABELS)
    for name in found:
        assert len(name.encode()) <= 130
        assert not set(name) & set('/\\:*?"<>|\n')
        assert not {name[0], name[-1]} & set(". ")
        assert name.split(".")[0].lower() not in {"con", "nul", "com1", "aux"}


@pytest.mark.parametrize("label", ["web", "日本", "Web Attack – XSS", "C++"])
def test_plain_labels_stay_as_they_are(label):
    assert FolderNames().name(label) == label


def test_labels_that_need_escaping():
    assert FolderNames().name("a/b") == "a%2Fb"
    assert FolderNames().name(None) == "unlabelled"
