"""The report as a page and as figures."""

from __future__ import annotations

import datetime as dt
import json
import re
from html.parser import HTMLParser

import pytest

from syntheflow_server.domain.resources import Report
from syntheflow_server.quality import judge, render_html, render_json
from unit.quality.worlds import SHOP, shop, silent, with_column

_VOID = {"meta", "br", "img", "link", "input"}


class Checker(HTMLParser):
    """Collects tags and sees that they nest."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def as_report(found):
    return Report(
        name="reports/r1",
        create_time=dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC),
        model="models/shop",
        quality=found.quality,
        parts=found.parts,
        tables=found.tables,
        warnings=found.warnings,
    )


@pytest.fixture(scope="module")
def judged():
    """Real rows with one rare town and one name, both of which must not show."""

    def with_rare(tables):
        towns = ["Rareville", *tables["people"]["town"].to_pylist()[1:]]
        towns[1:21] = ["<script>alert('&')</script>"] * 20
        tables["people"] = with_column(tables["people"], "town", towns)
        return tables

    real, synthetic = with_rare(shop(300, 1)), with_rare(shop(300, 3))
    return real, judge(SHOP, real, shop(60, 2), synthetic, seed=5, report=silent)


@pytest.fixture(scope="module")
def html(judged):
    _, found = judged
    return render_html(as_report(found), json.loads(json.dumps(found.details)))


def test_the_page_is_well_formed_and_complete(html, judged):
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert "svg" in checker.seen
    for part in judged[1].parts:
        assert f"{part.value:.2f}" in html


def test_the_page_loads_nothing_and_runs_nothing(html):
    checker = Checker()
    checker.feed(html)
    assert not {"script", "link", "img", "iframe"} & set(checker.seen)
    assert not [name for name, _ in checker.attributes if name.startswith("on") or name == "src"]
    assert not re.search(r"https?://|@import|url\(", html)


def test_labels_are_escaped(html):
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_no_rare_value_stands_on_the_page_or_in_the_figures(html, judged):
    real, found = judged
    for text in (html, render_json(as_report(found), found.details)):
        assert "Rareville" not in text
        assert not any(name in text for name in real["people"]["name"].to_pylist())


def test_the_page_follows_light_and_dark(html):
    assert "prefers-color-scheme: dark" in html


def test_a_report_without_details_shows_its_scores(judged):
    page = render_html(as_report(judged[1]), {})
    assert f"{judged[1].quality:.2f}" in page
    assert "column shapes" in page


@pytest.mark.parametrize(
    ("name", "words"),
    [("copying", "Do not share"), ("key_integrity", "Not usable as it is")],
)
def test_a_cap_is_the_verdict(judged, name, words):
    details = json.loads(json.dumps(judged[1].details))
    for metric in details["metrics"]:
        if metric["name"] == name:
            metric["cap"] = 0.5
    assert words in render_html(as_report(judged[1]), details)


def test_json_holds_every_figure_and_comes_back(judged):
    report = as_report(judged[1])
    read = json.loads(render_json(report, judged[1].details))
    assert read.pop("details") == judged[1].details
    assert Report.model_validate(read) == report


def test_json_refuses_figures_that_are_none(judged):
    with pytest.raises(ValueError):
        render_json(as_report(judged[1]), {"figure": float("nan")})
