"""What becomes of the marks in ChatGPT's answers: the words that people see stay, citations go."""

from __future__ import annotations

import json
import time
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha.exports._chatgpt_marks import remove_citations, replace_marks
from unit.exports.chats import answer, line, node, read, said

B, S, E = "\ue200", "\ue202", "\ue201"


def mark(kind: str, *parts: str) -> str:
    return B + S.join((kind, *parts)) + E


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("entity", '["city","Lisbon","capital"]'), "Lisbon"),
        (("entity", '["city","Lisbon"]'), "Lisbon"),
        (("entity", '["Lisbon"]'), "Lisbon"),
        (("entity", '["people","René \\"Descartes\\"","x"]'), 'René "Descartes"'),
        (("entity", '["software", "uv", 0]'), "uv"),
        (("entity", '{"name": "Lisbon"}'), "Lisbon"),
        (("entity", "Lisbon"), "Lisbon"),
        (("entity", '["city","Lisbon","cap'), "Lisbon"),
        (("entity", '["city", 7]'), ""),
        (("entity", ""), ""),
        (("product_entity", '["turn0product1","Model X2"]'), "Model X2"),
        (("place_entity", '["turn0place1","Café"]'), "Café"),
        (("url", "the timetable", "https://example.org/t"), "the timetable"),
        (("url", "the result", "turn0search0"), "the result"),
        (("url", "turn0search0"), ""),
        (("link_title", "Open Site", "turn0search1"), "Open Site"),
        (("video", "How to fold it", "turn0video1"), "How to fold it"),
        (("products", '{"selections":[["turn0product1","Charger"],["turn0product2","Cable"]]}'), "Charger, Cable"),
        (("products", '{"selections":[]}'), ""),
        (("cite", "turn0search0", "turn0news3"), ""),
        (("filecite", "turn0file0", "L10-L20"), ""),
        (("memcite",), ""),
        (("i", "turn0image1"), ""),
        (("image_group", '{"layout":"grid","query":["a","b"]}'), ""),
        (("navlist", "More news", "turn0news1"), ""),
        (("genui", '{"chart":{"content":{}}}'), ""),
        (("genui", '{"math_block_widget_common":{"content":"a^2 + b^2"}}'), "\\(a^2 + b^2\\)"),
        (("newthing", "Lisbon", "turn0x1"), "Lisbon"),
        (("newthing", '["turn0x1","Lisbon"]'), "Lisbon"),
    ],
)
def test_words_of_marks(parts: Any, words: str) -> None:
    unknown: List[str] = []
    assert replace_marks(f"Go to {mark(*parts)}!", note=unknown.append) == (f"Go to {words}!" if words else "Go to!")
    assert unknown == []


def test_what_no_words_are_found_for_is_counted() -> None:
    found = read(line(node("q", None, "?"), answer("a", None, f"Look: {mark('newthing', 'turn0x1')} there")))
    assert [message["content"] for message in found["messages"]] == ["?", "Look: there"]
    assert found.left_out == {"unknown: mark newthing": 1}


def test_the_message_itself_says_what_a_mark_is() -> None:
    known, source = mark("newthing", "turn0x1"), mark("newsource", "turn0x2")
    references = [
        {"matched_text": known, "type": "place", "name": "Lisbon", "alt": "[Lisbon](https://example.org)"},
        {"matched_text": source, "type": "grouped_webpages", "alt": "([A](https://example.org))"},
        {"matched_text": " ", "type": "sources_footnote"},
        {"matched_text": 7},
        None,
    ]
    unknown: List[str] = []
    assert replace_marks(f"To {known} {source}.", references, unknown.append) == "To Lisbon."
    assert unknown == []


def test_a_citation_that_lost_its_controls_is_known_by_its_reference() -> None:
    references = [{"matched_text": "citeturn4view0turn0search2", "type": "grouped_webpages"}]
    assert replace_marks("It is so. citeturn4view0turn0search2", references) == "It is so."
    assert replace_marks("It is so. citeturn4view0turn0search2") == "It is so. citeturn4view0turn0search2"
    lost = 'entity["city","Lisbon"]'
    references = [
        {"matched_text": lost, "type": "entity", "name": "Lisbon"},
        {"matched_text": "is", "type": "followup"},
    ]
    assert replace_marks(f"It is {lost}, {lost}.", references) == "It is Lisbon, Lisbon."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Port 9100【11†source】.", "Port 9100."),
        ("Port 9100 【11†source】【12†L1-L9】.", "Port 9100."),
        ("Page 3【6:13†notes on tents.pdf】 says so", "Page 3 says so"),
        ("So it is :contentReference[oaicite:3]{index=3}.", "So it is."),
        ("So it is【oaicite:0】", "So it is"),
        ('See :chatgpt-content-reference{index="1"} it', "See it"),
        ("【重要】请看【一】", "【重要】请看【一】"),
        (f"Cut off {B}cite{S}turn0search0", "Cut off"),
        (f"Cut off {B}cite{S}turn0search0 and on", "Cut off and on"),
        (f'{B}entity{S}["city","Lisbon"', "Lisbon"),
        (f"keep{B}broken prose", "keepbroken prose"),
        (f"loose {S}turn0search0.", "loose."),
        ("\ue203Madrid had no power.\ue204\ue206", "Madrid had no power."),
        ("  indented\n  code", "  indented\n  code"),
    ],
)
def test_citations_of_all_generations_go_from_answers(text: str, expected: str) -> None:
    assert remove_citations(text) == expected


def test_blanks_that_belong_to_words_stay() -> None:
    cite, city = mark("cite", "turn0search0"), mark("entity", '["city","Lisbon"]')
    assert replace_marks(f"In {cite}{city}") == "In Lisbon"
    assert replace_marks(f"In {city}{cite}{cite}, today {cite}{cite}.\n- one {cite}\n- two") == (
        "In Lisbon, today.\n- one\n- two"
    )


def test_what_users_write_is_theirs() -> None:
    icons = "my prompt \ue200 main \ue201 and 【11†source】"
    assert said(line(node("q", None, icons))) == [f"user: {icons}"]


def test_marks_take_little_time() -> None:
    texts = [B * 50_000, f"{B}cite{S}" * 20_000, "【†" * 20_000, f'{B}entity{S}["' + '\\"' * 20_000 + E]
    texts += [f"{B}a" * 20_000, f"{B}entity{S}{'[' * 20_000}{E}"]
    begin = time.process_time()
    for text in texts:
        remove_citations(replace_marks(text))
    assert time.process_time() - begin < 10


@given(st.text(alphabet=st.sampled_from(f'{B}{S}{E}abcite["]{{}},: 【†】0')))
def test_any_text_is_read(text: str) -> None:
    unknown: List[str] = []
    assert not set(remove_citations(replace_marks(text, note=unknown.append))) & {B, S, E}


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_payload_is_read(payload: Any) -> None:
    for kind in ("entity", "products", "genui", "url", "other"):
        replace_marks(mark(kind, json.dumps(payload)), [payload, {"matched_text": payload}])
