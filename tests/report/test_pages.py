import pytest

from hf_ntg.report.pages import escape_markdown, format_score, page_templates


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("web", "web"),
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("[x](javascript:y)", r"\[x\](javascript:y)"),
        ("two\nlines\t", "two lines"),
        ("$\\frac$", r"\$\\frac\$"),
        ("café \u202e", r"café \\u202e"),
    ],
)
def test_a_name_is_shown_as_it_is(name, written):
    assert escape_markdown(name) == written


def test_scores_are_short():
    assert [format_score(value) for value in (None, 0.12345, -9.9, 12.345, 1234.5)] == [
        "–",
        "0.123",
        "-9.900",
        "12.3",
        "1,234.5",
    ]


def test_templates_of_a_study_include_those_of_a_report():
    page = page_templates("hf_ntg.study.results")
    assert {"study.html.j2", "style.css.j2"} <= set(page.list_templates())
