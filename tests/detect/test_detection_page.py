"""The page of a detection."""

import re
from itertools import pairwise

import numpy as np

from detect_panels import detect, frame, seasonal


def test_the_page_shows_series_alarms_and_close_ups_and_escapes_names():
    values = seasonal(channels=2)
    values[[600, 601, 640], 0] += 9
    table = frame(values).rename(columns={"c0": "<b>a&b</b>"})
    labels = np.zeros(720, dtype=int)
    labels[[600, 601]] = 1
    page = detect(table, labels=labels).to_html()
    assert "<b>a&b</b>" not in page.replace("<b>&lt;b&gt;", "")
    assert "&lt;b&gt;a&amp;b&lt;/b&gt;" in page
    assert page.count('class="band"') >= 4
    assert page.count('class="alarm"') >= 3
    assert 'class="labelled"' in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert len(page) < 500_000
    assert "NaN" not in page
    assert " nan" not in page


def test_a_page_without_an_alarm_says_so():
    page = detect(frame(seasonal()), merge=0, least=50).to_html()
    assert "No alarm" in page


def test_close_ups_are_of_different_rows_though_a_channel_and_the_joint_stream_see_the_same():
    values = seasonal(channels=2)
    values[[600, 640, 680], 0] += 9
    found = detect(frame(values))
    rows = sorted(each["rows"] for each in found.data["close"])
    assert len(rows) >= 3
    assert all(last < first for (_, last), (first, _) in pairwise(rows))
    assert found.data["segments"]["count"] > len(rows)
