"""The words of HTML."""

from __future__ import annotations

import pytest

from sekha.exports._html_text import html_to_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Port 9100.</p>", "Port 9100."),
        ("<p>One\n  <b>two</b> <i>three</i></p><p>Four</p>", "One two three\n\nFour"),
        ("One<br>two<br/>three", "One\ntwo\nthree"),
        ("<h2>Plan</h2><p>Go.</p>", "Plan\n\nGo."),
        (
            "<p>Take:</p><ul><li>a tent</li><li><p>a stove</p></li></ul><p>Go.</p>",
            "Take:\n\n- a tent\n- a stove\n\nGo.",
        ),
        ("<ol><li>One</li><li>Two<ul><li>Three</li></ul></li><li>Four</li></ol>", "1. One\n2. Two\n  - Three\n3. Four"),
        (
            "<p>Run <code>ls</code></p><pre><code>a\n  b &lt; c\n</code></pre><p>x</p>",
            "Run `ls`\n\n```\na\n  b < c\n```\n\nx",
        ),
        ("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>", "A | B\n1 | 2"),
        ('A <img src="x.png"> and <img src="y" alt="a cat"/>.', "A [image] and [a cat]."),
        ('See <a href="https://example.org">the timetable</a>.', "See the timetable."),
        ("<style>p {}</style><script>alert(1)</script>Words<!-- none -->", "Words"),
        ("Tea &amp; milk&nbsp;&#8364;3", "Tea & milk \u20ac3"),
        ("2 < 3 and 5 > 4", "2 < 3 and 5 > 4"),
        ("<p>Not <b>closed", "Not closed"),
        ("</p></ul></pre></code>Words", "Words"),
        ("<![if x]>Words<![endif]>", "Words"),
        ("", ""),
    ],
)
def test_the_words_of_html(source: str, text: str) -> None:
    assert html_to_text(source) == text
