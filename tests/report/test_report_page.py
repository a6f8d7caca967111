"""The page: well formed, self-contained, escaped, and there whole or not at all."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import PIL.Image
import pytest
from matplotlib.figure import Figure

from factorflow import _errors
from factorflow.report import Link, Mark, Section, Table, write_report

VOID = {"meta", "img", "link", "br", "hr", "input"}
TABLE = Table("Errors <kept aside>", ["Method", "Error"], [("deep & linear", 0.5), ("mean", None)])


class Page(HTMLParser):
    """Elements with their attributes and the text, of a page whose tags close as they should."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def write(tmp_path):
    def write_and_parse(title="A run", **content):
        path = tmp_path / "report.html"
        assert write_report(path, title=title, **content) is None
        text = path.read_text(encoding="utf-8")
        return text, Page(text)

    return write_and_parse


@pytest.fixture
def full(write, figure):
    return write(
        summary=[("Input", "ratings.csv"), ("Status", "The train error reached its target.")],
        tables=[TABLE],
        figures=[("How the error fell.", figure), ("Again.", figure)],
        notes=["Nothing was dropped.", "Seed 0."],
    )


def test_everything_is_there(full):
    _, page = full
    words = {"A run", "Input", "ratings.csv", "Status", "The train error reached its target."}
    words |= {"Errors <kept aside>", "Method", "Error", "deep & linear", "0.5", "mean", "–"}
    words |= {"How the error fell.", "Again.", "Nothing was dropped.", "Seed 0."}
    assert words <= set(page.texts)
    assert len(page.all("figure")) == len(page.all("figcaption")) == 2


def test_language_and_phones(full):
    text, page = full
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert "prefers-color-scheme: dark" in text


def test_nothing_is_fetched(full):
    text, page = full
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for _, attributes in page.elements:
        assert attributes.get("src", "data:").startswith("data:")
        assert "href" not in attributes
        assert not any(name.startswith("on") for name in attributes)


def test_pictures_are_pictures(full, figure):
    _, page = full
    for image in page.all("img"):
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        picture = PIL.Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        assert np.ptp(np.asarray(picture.convert("L"))) > 100


def test_alternative_text(write, figure):
    image = Figure(figsize=(1, 1))
    image.subplots().imshow([[0, 1]])
    image.axes[0].set_title("Observed")
    bare = Figure(figsize=(1, 1))
    _, page = write(figures=[("a", figure), ("b", image), ("c", bare)])
    assert [image["alt"] for image in page.all("img")] == [
        "Plot of Error <of all> against Time.",
        "Image 'Observed'.",
        "Figure.",
    ]


def test_all_text_is_escaped(write, figure):
    evil = '"><script>alert(1)</script>'
    figure.axes[0].set_xlabel(evil)
    text, page = write(
        title=evil,
        summary=[(evil, evil)],
        tables=[Table(evil, [evil], [(evil,)])],
        figures=[(evil, figure)],
        notes=[evil],
    )
    assert "<script" not in text
    assert page.all("script") == []
    # title and heading, 2 of the summary, 3 of the table, 1 caption, 1 note
    assert page.texts.count(evil) == 9
    assert page.all("div")[0]["aria-label"] == evil


def test_headings_of_tables(full):
    text, page = full
    assert [cell["scope"] for cell in page.all("th")] == ["col", "col", "row", "row"]
    assert text.count('class="number"') == 3


def test_numbers_in_text_stay_on_one_line(write):
    long = "the error of the deepest product is the least"
    text, _ = write(
        tables=[
            Table("Checks", ["check", "numbers"], [(long, "-2.618e-05 within -1.234e-05 to 1")])
        ]
    )
    assert '<td class="unbroken">-2.618e-05 within -1.234e-05 to 1</td>' in text
    assert f'<th scope="row" class="words">{long}</th>' in text


def test_empty_parts_leave_no_headings(write):
    _, page = write()
    assert [page.all(tag) for tag in ("h2", "dl", "table", "figure")] == [[], [], [], []]
    assert page.texts.count("A run") == 2


def test_same_input_same_page(write, figure):
    assert write(figures=[("a", figure)])[0] == write(figures=[("a", figure)])[0]


def test_text_that_is_no_utf8(write):
    _, page = write(summary=[("Input", "caf\udce9.csv")])
    assert "caf?.csv" in page.texts


class Broken(Figure):
    def savefig(self, *args, **kwargs):
        raise RuntimeError("no picture")


@pytest.mark.parametrize("before", [None, "the old page"])
def test_whole_or_not_at_all(tmp_path, figure, before):
    path = tmp_path / "report.html"
    if before is not None:
        path.write_text(before)
    with pytest.raises(RuntimeError, match="no picture"):
        write_report(path, title="A run", figures=[("a", figure), ("b", Broken())])
    names = [] if before is None else ["report.html"]
    assert [file.name for file in tmp_path.iterdir()] == names
    assert before is None or path.read_text() == before


def test_no_such_folder(tmp_path):
    with pytest.raises(_errors.InputError, match="does not exist"):
        write_report(tmp_path / "none" / "report.html", title="A run")


def test_sections(write, figure):
    linked = Table(
        "Verdicts", ["Claim", "Verdict"], [(Link("a < b", "a.b"), Mark("holds", "good"))]
    )
    text, page = write(
        title="All",
        tables=[linked],
        sections=[
            Section(
                "First <one>",
                "a.b",
                mark=Mark("fails & differs", "bad"),
                lead=["What is claimed."],
                summary=[("Source", "Nobody")],
                tables=[TABLE],
                figures=[("How the error fell.", figure)],
                notes=["Nothing was dropped."],
            ),
            Section("Second", "c"),
        ],
    )
    assert page.all("a") == [{"href": "#a.b"}]
    assert [section["id"] for section in page.all("section")] == ["a.b", "c"]
    marks = [span["class"] for span in page.all("span") if "class" in span]
    assert marks == ["mark good", "mark bad"]
    words = {"a < b", "holds", "First <one> ", "fails & differs", "What is claimed.", "Nobody"}
    words |= {"How the error fell.", "Nothing was dropped.", "deep & linear", "Second"}
    assert words <= set(page.texts)
    assert text.index("First &lt;one&gt;") < text.index("What is claimed.") < text.index("<dl>")
    assert len(page.all("h2")) == 3  # of the first table and of the two sections
    assert len(page.all("h3")) == 3  # numbers, figures and notes of the first section
    assert len(page.all("figure")) == 1
