"""Questions with the passages that answer them, from the documentation of Debian: what a search is tried on.

    apt-get download perl-doc python3.11-doc debian-faq debian-handbook git-doc exim4-doc-html fortunes
    for package in *.deb; do dpkg -x $package UNPACKED; done
    python bench/faq.py UNPACKED/usr/share FAQ.json
    python bench/local.py --stores FOLDER --questions FAQ.json

The questions and answers are those of the FAQs of Perl, Python and Debian; 500 other paragraphs of these packages are
among them. The file is JSON: ``pairs`` of ``q`` and ``p``, and ``others``. The texts themselves are not kept here.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

OTHERS = 500
SHORTEST_OTHER = 80
LONGEST_ANSWER = 1500
FAQ_PAGES = "doc/debian"
_ROLE = re.compile(r":[\w:]+:`[~!]?([^`<]*?)(?: <[^`]*>)?`|``?([^`]*)``?")
_TITLED = re.compile(r'<h[23] class="title"[^>]*>(.*?)</h[23]>', re.S)

Pair = tuple[str, str]


def plain_pod(text: str) -> str:
    """Text in Perl's format without its marks."""
    return re.sub(r"[A-Z]<+\s?(.*?)\s?>+", r"\1", text)


def plain_rst(text: str) -> str:
    """Text in Python's format without its marks."""
    return _ROLE.sub(lambda match: match[1] or match[2] or "", text)


def plain_html(text: str, between: str = "") -> str:
    """Text without tags, in whose place something else stands."""
    return html.unescape(re.sub(r"<[^>]+>", between, text))


def one_line(text: str) -> str:
    """Text with single spaces."""
    return " ".join(text.split())


def read(path: Path) -> str:
    """A file, whatever is in it."""
    return path.read_text("utf-8", "replace")


def perl_pairs(root: Path) -> Iterator[Pair]:
    """Questions and answers of Perl's FAQ."""
    for pod in sorted((root / "perl").rglob("perlfaq[1-9].pod")):
        for part in re.split(r"^=head2 ", read(pod), flags=re.M)[1:]:
            question, _, answer = part.partition("\n\n")
            yield plain_pod(question), plain_pod(re.split(r"^=head1", answer, flags=re.M)[0])


def python_pairs(root: Path) -> Iterator[Pair]:
    """Questions and answers of Python's FAQ."""
    for page in sorted((root / "doc/python3.11/html/_sources/faq").glob("*.txt")):
        parts = re.split(r"^(.+\?)\n[-^~=]{6,}\n", plain_rst(read(page)), flags=re.M)
        for question, answer in zip(parts[1::2], parts[2::2]):
            yield question, re.split(r"\n[^\n]+\n[=]{6,}\n", answer)[0]


def debian_pairs(root: Path) -> Iterator[Pair]:
    """Questions and answers of Debian's FAQ."""
    for page in sorted((root / FAQ_PAGES).rglob("*.en.html")):
        parts = _TITLED.split(read(page))
        for question, answer in zip(parts[1::2], parts[2::2]):
            text = plain_html(answer.split('<div class="navfooter"')[0], " ")
            yield re.sub(r"^[\d.\s\u00a0]+", "", plain_html(question, " ")), text


def pairs(root: Path) -> list[dict[str, str]]:
    """Each question once, with an answer that does not repeat it."""
    found: dict[str, dict[str, str]] = {}
    for asked, answered in chain(perl_pairs(root), python_pairs(root), debian_pairs(root)):
        question, answer = one_line(asked), one_line(answered)[:LONGEST_ANSWER]
        if question.endswith("?") and len(answer) > 80 and question not in answer:
            found[question] = {"q": question, "p": answer}
    return list(found.values())


def paragraphs(root: Path) -> Iterator[str]:
    """Paragraphs of all packages, as they stand there."""
    for pod in sorted((root / "perl").rglob("*.pod")):
        blocks = re.split(r"\n\s*\n", read(pod))
        yield from (plain_pod(block) for block in blocks if block[:1] not in ("=", " ", "\t", ""))
    for page in sorted((root / "doc/python3.11/html/_sources").rglob("*.txt")):
        blocks = re.split(r"\n\s*\n", read(page))
        yield from (plain_rst(block) for block in blocks if not re.match(r"\s*(\.\.|>>>|[-=*~^#]{3})", block))
    for page in html_pages(root):
        yield from (plain_html(block) for block in re.findall(r"<p[ >](.*?)</p>", read(page), re.S))
    for file in sorted((root / "games/fortunes").glob("*.u8")):
        yield from read(file).split("\n%\n")


def html_pages(root: Path) -> Iterable[Path]:
    """Pages in English."""
    handbook = sorted((root / "doc/debian-handbook").rglob("en-US/*.html"))
    faq, git = sorted((root / FAQ_PAGES).rglob("*.en.html")), sorted((root / "doc/git-doc").glob("*.html"))
    return [*handbook, *faq, *git, *sorted((root / "doc/exim4-doc-html").rglob("*.html"))]


def others(root: Path, answers: str) -> list[str]:
    """Some paragraphs that are in no answer."""
    found: dict[str, None] = {}
    for text in map(one_line, paragraphs(root)):
        is_apart = text[:60] not in answers and text[-60:] not in answers
        if SHORTEST_OTHER <= len(text) <= LONGEST_ANSWER and text.count(" ") > 6 and is_apart:
            found.setdefault(text)
    return random.Random(19).sample(list(found), min(OTHERS, len(found)))


def main() -> None:
    """Write the file, and say how much is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("share", type=Path, help="the folder usr/share of the unpacked packages")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    asked = pairs(options.share)
    beside = others(options.share, "\n".join(pair["p"] for pair in asked))
    options.output.write_text(json.dumps({"pairs": asked, "others": beside}), encoding="utf-8")
    print(f"{len(asked)} questions, {len(asked) + len(beside)} passages")


if __name__ == "__main__":
    main()
