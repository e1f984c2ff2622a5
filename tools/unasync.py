"""Render the blocking client and its tests from the async ones.

    python tools/unasync.py           write twins that differ, remove generated files that lost their source
    python tools/unasync.py --check   write nothing; exit 1 and say what is wrong, one problem a line

Every `.py` file of a source tree has a twin of the same name in its twin tree (`TREES`). The source is cut
into tokens: `RULES` rename names, drop `async` and `await`, and translate strings and comments, docstrings
and examples included. Line breaks stay where the source has them; bytes of which no rule speaks are kept.

What no rule covers is a failure, never a guess: a word of async in a twin, an `Async...` name without a rule,
a rule that nothing uses, a file that does not parse, a twin that is not what its source renders to, a file
in a twin tree that nothing generates. Writing repairs what it can and reports the rest. It removes a file
only if it carries the banner of a source that is gone, and none at all where a source tree is missing.

The output is the same on every Python from 3.9 on. Python 3.12 and newer cut f-strings into tokens, older
ones do not; so an f-string is text here as a whole, its expressions included.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import sys
import token
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, Optional


class Rule(NamedTuple):
    """What one spelling becomes.

    keyword  dropped with the white space behind it, in code and in the examples of a text
    name     a whole identifier, in code and in text
    phrase   words on one line of text, never code; may begin with a capital as well
    line     a line of its own, dropped, in code and in text; `>>> ` may stand before it
    """

    kind: Literal["keyword", "name", "phrase", "line"]
    old: str
    new: str = ""


RULES = (
    Rule("keyword", "async"),
    Rule("keyword", "await"),
    # Python. `AsyncGenerator` has no rule, for `Generator` takes one parameter more: write `AsyncIterator`.
    Rule("name", "__aenter__", "__enter__"),
    Rule("name", "__aexit__", "__exit__"),
    Rule("name", "__aiter__", "__iter__"),
    Rule("name", "__anext__", "__next__"),
    Rule("name", "StopAsyncIteration", "StopIteration"),
    Rule("name", "AsyncIterator", "Iterator"),
    Rule("name", "AsyncExitStack", "ExitStack"),
    Rule("name", "push_async_callback", "callback"),
    # Other packages
    Rule("name", "aclose", "close"),
    Rule("name", "AsyncRetrying", "Retrying"),
    # Sekha
    Rule("name", "_async", "_sync"),
    Rule("name", "AsyncSekhaClient", "SekhaClient"),
    Rule("name", "AsyncMemoryController", "MemoryController"),
    Rule("name", "AsyncBridgeClient", "BridgeClient"),
    Rule("name", "AsyncMCPClient", "MCPClient"),
    Rule("name", "AsyncStream", "Stream"),
    Rule("name", "AsyncTextStream", "TextStream"),
    Rule("name", "AsyncPooledAnswer", "PooledAnswer"),
    Rule("name", "AsyncConnection", "Connection"),
    Rule("name", "AsyncPool", "Pool"),
    Rule("name", "AsyncInflated", "Inflated"),
    Rule("name", "AsyncConversationIterator", "ConversationIterator"),
    Rule("name", "AsyncConversations", "Conversations"),
    Rule("name", "AsyncClientOptions", "ClientOptions"),
    Rule("name", "AsyncConnectionOptions", "ConnectionOptions"),
    Rule("name", "AsyncConnections", "Connections"),
    Rule("name", "AsyncImport", "Import"),
    Rule("name", "AsyncImporting", "Importing"),
    Rule("name", "AsyncNoTransport", "NoTransport"),
    Rule("name", "AsyncServiceClient", "ServiceClient"),
    Rule("name", "AsyncTransport", "Transport"),
    Rule("name", "AsyncWorkflows", "Workflows"),
    Rule("name", "create_async_sekha_client", "create_sekha_client"),
    # Modules outside the trees, where both spellings stand side by side
    Rule("name", "AsyncCall", "Call"),
    Rule("name", "AsyncMisuseGuard", "MisuseGuard"),
    Rule("name", "AsyncHTTPAnswer", "HTTPAnswer"),
    Rule("name", "AsyncHTTPClient", "HTTPClient"),
    Rule("name", "AsyncHTTPTransport", "HTTPTransport"),
    Rule("name", "AsyncIterationGuard", "IterationGuard"),
    Rule("name", "AsyncNetwork", "Network"),
    Rule("name", "AsyncNetworkStream", "NetworkStream"),
    Rule("name", "AsyncPerLoop", "PerProcess"),
    Rule("name", "AsyncReadGuard", "ReadGuard"),
    Rule("name", "AsyncSemaphore", "Semaphore"),
    Rule("name", "AsyncWakeup", "Wakeup"),
    Rule("name", "async_holds_bytes", "holds_bytes"),
    Rule("name", "async_for_each", "for_each"),
    Rule("name", "async_gather", "gather"),
    Rule("name", "async_in_thread", "in_thread"),
    Rule("name", "check_async_client", "check_client"),
    Rule("name", "async_move_on_after", "move_on_after"),
    Rule("name", "async_sleep", "sleep"),
    Rule("name", "async_warm_up", "warm_up"),
    Rule("name", "make_async_transport", "make_transport"),
    # Prose and examples
    Rule("phrase", "async flavour", "blocking flavour"),
)

TREES = (("src/sekha/_async", "src/sekha/_sync"), ("tests/_async", "tests/_sync"))
TOOL = "tools/unasync.py"
COMMAND = f"python {TOOL}"
OLDEST_PYTHON = (3, 9)

# What may not be left in a twin. "trio" counts only as a word of its own: "patriotic" is no word of async.
ASYNC_WORD = re.compile(
    r"\w*(?i:async|await|anyio)\w*"
    r"|\w*(?:(?<![A-Za-z])trio(?![a-z])|Trio(?![a-z])|(?<![A-Z])TRIO(?![A-Z]))\w*"
    r"|\w*(?<![A-Za-z])a(?:close|enter|exit|iter|next)(?![A-Za-z])\w*",
    re.ASCII,
)

# A keyword leaves a text only where it stands as in code. "Callers await it" is for the writer to reword.
BEGIN, END = r"(?:(?<!\w)|(?<=\\[nrt]))", r"(?!\w)"  # of a word, which an escape like \n may precede
KEYWORD_IN_TEXT = {
    "async": BEGIN + r"async[ \t]+(?=(?:def|with|for)\b)",
    "await": (
        BEGIN + r"await[ \t]+(?=[A-Za-z_]\w*(?:\.\w|[\[(]))"  # await client.query, await f(x), await xs[0]
        r"|(?<=[`{\[])await[ \t]+"  # `await task`, {await task}, [await task for ...]
        r"|(?<=\()await[ \t]+(?=[\w.]+\))"  # (await task)
        r"|(?:(?<== )|(?<=>>> )|(?<=return ))await[ \t]+"
    ),
}
WHITE_SPACE = re.compile(r"(?:\s|\\\n)*")


# --- One text -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rendered:
    """A rendered text, the rules it took, and for each of its lines the number of the source line."""

    text: str
    used: frozenset[Rule]
    origins: tuple[int, ...]


def render(text: str, rules: Sequence[Rule] = RULES) -> Rendered:
    """Translate the Python source `text`, which must parse."""
    in_code = {rule.old: rule for rule in rules if rule.kind in ("keyword", "name")}
    used: set[Rule] = set()
    lines = list(_keep_lines(text, rules, used))
    numbers = [number for number, _ in lines] + [lines[-1][0] + 1 if lines else 1]
    origins = numbers[:1]
    output: list[str] = []
    row = 0
    after_keyword = False
    for kind, old in _split("".join(line for _, line in lines)):
        new = old
        rule = in_code.get(old) if kind == "NAME" else None
        if rule:
            used.add(rule)
            new = rule.new
        elif kind == "GAP" and after_keyword:
            new = WHITE_SPACE.sub("", old, count=1)
        elif kind in ("STRING", "COMMENT"):
            new = _render_text(old, rules, used)
            if kind == "COMMENT" and new != old and not new.strip("# \t"):
                new = ""
                output[-1] = output[-1].rstrip(" \t")
        after_keyword = rule is not None and rule.kind == "keyword"
        # Line ends get lost only behind a keyword, the first ones of a gap.
        row += old.count("\n")
        origins += numbers[row - new.count("\n") + 1 : row + 1]
        output.append(new)
    return Rendered("".join(output), frozenset(used), tuple(origins))


def _keep_lines(text: str, rules: Sequence[Rule], used: set[Rule]) -> Iterator[tuple[int, str]]:
    """Number the lines, without those of a rule, and without a blank line behind that would open a block."""
    dropped = {rule.old: rule for rule in rules if rule.kind == "line"}
    previous, after_dropped = "", False
    for number, line in enumerate(io.StringIO(text), start=1):
        rule = dropped.get(line.strip().removeprefix(">>> "))
        if rule:
            used.add(rule)
            after_dropped = True
            continue
        opens_block = not previous.strip() or previous.lstrip().startswith("```")
        if line.strip() or not (after_dropped and opens_block):
            yield number, line
            previous = line
        after_dropped = False


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Cut `text` into NAME, STRING and COMMENT, each with the GAP before it; an f-string is one STRING."""
    starts = [0]
    for line in io.StringIO(text):
        starts.append(starts[-1] + len(line))
    position = begin = depth = 0
    for item in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = token.tok_name[item.type]
        if depth == 0:
            begin = starts[item.start[0] - 1] + item.start[1]
        if kind == "FSTRING_START":
            depth += 1
        elif kind == "FSTRING_END":
            depth -= 1
            kind = "STRING"
        if depth == 0 and kind in ("NAME", "STRING", "COMMENT"):
            end = starts[item.end[0] - 1] + item.end[1]
            yield "GAP", text[position:begin]
            yield kind, text[begin:end]
            position = end
    yield "GAP", text[position:]


def _render_text(text: str, rules: Sequence[Rule], used: set[Rule]) -> str:
    """Translate a string or a comment in one pass, so that no rule works on what another one wrote."""
    pattern, by_group = _text_pattern(tuple(rules))

    def replace(match: re.Match[str]) -> str:
        rule = by_group[match.lastindex or 0]
        used.add(rule)
        same_case = match.group()[0] == rule.old[0] or rule.kind == "keyword"
        return rule.new if same_case else rule.new[:1].swapcase() + rule.new[1:]

    return pattern.sub(replace, text)


@cache
def _text_pattern(rules: tuple[Rule, ...]) -> tuple[re.Pattern[str], dict[int, Rule]]:
    """One group for each rule that applies to text, the longest first, and the rule of each group."""
    ordered = sorted((rule for rule in rules if rule.kind != "line"), key=lambda rule: -len(rule.old))
    alternatives = "|".join(f"({_in_text(rule)})" for rule in ordered)
    return re.compile(alternatives or r"(?!)", re.ASCII), dict(enumerate(ordered, start=1))


def _in_text(rule: Rule) -> str:
    if rule.kind == "keyword":
        return KEYWORD_IN_TEXT[rule.old]
    pattern = re.escape(rule.old)
    if rule.kind == "phrase" and rule.old[0].isalpha():
        pattern = f"[{rule.old[0]}{rule.old[0].swapcase()}]" + re.escape(rule.old[1:])
    return (BEGIN if re.match(r"\w", rule.old) else "") + pattern + (END if re.search(r"\w$", rule.old) else "")


def async_words(rendered: Rendered) -> list[tuple[int, str]]:
    """The words of async that are left, each with the number of its source line."""
    lines = enumerate(rendered.text.split("\n"), start=1)
    found = {(number, match.group()) for number, line in lines for match in ASYNC_WORD.finditer(line)}
    known = {number for number, _ in found}
    # A word may also hide in the value of a literal: "as" "ync", or behind an escape.
    for node in ast.walk(parse(rendered.text)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if known.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1)):
            found |= {(node.lineno, match.group()) for match in ASYNC_WORD.finditer(node.value)}
    return [(rendered.origins[number - 1], word) for number, word in sorted(found)]


def parse(text: str) -> ast.Module:
    """Parse with the grammar of the oldest Python, whichever is running."""
    return ast.parse(text, feature_version=OLDEST_PYTHON)


def table_problems(rules: Sequence[Rule] = RULES) -> list[str]:
    """What makes the table ambiguous, or a second rendering differ from the first."""
    problems: list[str] = []
    for index, rule in enumerate(rules):
        if rule.old in [other.old for other in rules[:index]]:
            problems.append(f"{rule.old!r} has two rules: remove one")
        if _render_text(rule.new, rules, set()) != rule.new:
            problems.append(f"the rule for {rule.old!r} writes {rule.new!r}, which another rule changes: spell it out")
    return [f"{TOOL}: {problem}, then run: {COMMAND}" for problem in problems]


# --- The trees ----------------------------------------------------------------------------------------------


class Twin(NamedTuple):
    """A file of a twin tree and its source, relative to the root; no text if it cannot be rendered."""

    name: str
    source: str
    text: Optional[str] = None


class Plan(NamedTuple):
    """What the twin trees should hold, what else they hold, and what is wrong with sources and rules."""

    twins: list[Twin]
    orphans: list[Twin]
    problems: list[str]


def banner(source: str) -> str:
    return f"# Generated from {source}: do not edit.\n# To change it, edit that file, then run: {COMMAND}\n"


def make_plan(root: Path, rules: Sequence[Rule] = RULES) -> Plan:
    """Render every source below `root` in memory."""
    plan = Plan([], [], table_problems(rules))
    if plan.problems:
        return plan
    used: set[Rule] = set()
    complete = True
    for source_tree, twin_tree in TREES:
        sources = [name for name in _files(root, source_tree) if name.endswith(".py") or (root / name).is_dir()]
        if not sources:
            problem = "holds no .py file" if (root / source_tree).is_dir() else "is missing"
            plan.problems.append(f"{source_tree}: the source tree {problem}: restore it, then run: {COMMAND}")
            complete = False
            continue
        for source in sources:
            rendered, problems = _render_file(root, source, rules)
            plan.problems.extend(f"{problem}, then run: {COMMAND}" for problem in problems)
            text = None
            if rendered:
                text = banner(source) + rendered.text
                used |= rendered.used
            complete = complete and text is not None
            plan.twins.append(Twin(twin_tree + source[len(source_tree) :], source, text))
        expected = {twin.name for twin in plan.twins}
        others = [name for name in _files(root, twin_tree) if name not in expected]
        plan.orphans.extend(Twin(name, source_tree + name[len(twin_tree) :]) for name in others)
    if complete:
        unused = [rule.old for rule in rules if rule not in used]
        plan.problems.extend(
            f"{TOOL}: nothing uses the rule for {old!r}: remove it, then run: {COMMAND}" for old in unused
        )
    return plan


def _render_file(root: Path, name: str, rules: Sequence[Rule]) -> tuple[Optional[Rendered], list[str]]:
    """Render one source, unless it or its twin does not parse, and say what is wrong with it."""
    try:
        text = _read_source(root, name)
        parse(text)
    except (OSError, SyntaxError, ValueError) as error:
        return None, [f"{name}:{_line(error)}: the source cannot be rendered ({_reason(error)}): mend it"]
    rendered = render(text, rules)
    try:
        parse(rendered.text)
    except (SyntaxError, ValueError) as error:
        line = rendered.origins[min(_line(error), len(rendered.origins)) - 1]
        return None, [f"{name}:{line}: the twin would not parse ({_reason(error)}): rewrite the source"]
    problems = [
        f"{name}:{line}: {word!r} is left in the twin: add a rule to {TOOL} or reword it"
        for line, word in async_words(rendered)
    ]
    if ASYNC_WORD.search(PurePosixPath(name).name):
        problems.append(f"{name}:1: the name of the file has a word of async, and so has its twin: rename it")
    if render(rendered.text, rules).text != rendered.text:
        problems.append(f"{name}:1: rendering the twin once more changes it: rewrite the source or the rules")
    return rendered, problems


def _read_source(root: Path, name: str) -> str:
    if _obstacle(root, name):
        raise ValueError("neither it nor a directory above it may be a symbolic link or a special file")
    data = (root / name).read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    if encoding != "utf-8":
        raise ValueError(f"it is encoded as {encoding}, not as UTF-8 without a byte order mark")
    if b"\r" in data:
        raise ValueError("it has carriage returns at its line ends")
    return data.decode()


def _line(error: Exception) -> int:
    return (isinstance(error, SyntaxError) and error.lineno) or 1


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _files(root: Path, tree: str) -> Iterator[str]:
    """The files and the links below `tree`, as names relative to `root`, in order; bytecode is left out."""
    for folder, folders, names in os.walk(root / tree):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted(names + links):
            if not name.endswith(".pyc"):
                yield Path(folder, name).relative_to(root).as_posix()
        folders[:] = sorted(set(folders) - {"__pycache__"})


def _obstacle(root: Path, name: str) -> Optional[str]:
    """The link on the way to a file, or the thing in its place that is no file."""
    path = PurePosixPath(name)
    for part in (*reversed(path.parents), path):
        here = root / part
        fits = here.is_file() if part == path else here.is_dir()
        if here.is_symlink() or (here.exists() and not fits):
            return str(part)
    return None


# --- The command --------------------------------------------------------------------------------------------


def check(root: Path, rules: Sequence[Rule] = RULES) -> list[str]:
    """Every problem below `root`, one line each; nothing is written."""
    root = root.resolve()
    plan = make_plan(root, rules)
    twins = [problem for twin in plan.twins if (problem := _twin_problem(root, twin))]
    return plan.problems + twins + [_orphan_problem(root, orphan) for orphan in plan.orphans]


def write(root: Path, rules: Sequence[Rule] = RULES) -> tuple[list[str], list[str]]:
    """Make the twin trees what they should be; return what was changed, and the problems that are left."""
    root = root.resolve()
    plan = make_plan(root, rules)
    changes: list[str] = []
    problems = list(plan.problems)
    for twin in plan.twins:
        problem = _twin_problem(root, twin)
        if problem is None or twin.text is None:
            continue
        if _obstacle(root, twin.name):
            problems.append(problem)
            continue
        path = root / twin.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(twin.text.encode())
        changes.append(f"wrote {twin.name}")
    for orphan in plan.orphans:
        if _is_generated(root, orphan):
            (root / orphan.name).unlink()
            changes.append(f"removed {orphan.name}")
        else:
            problems.append(_orphan_problem(root, orphan))
    return changes, problems


def _twin_problem(root: Path, twin: Twin) -> Optional[str]:
    if twin.text is None:
        return None
    obstacle = _obstacle(root, twin.name)
    if obstacle:
        return f"{twin.name}: {obstacle} stands in its place, run: rm -r {obstacle} && {COMMAND}"
    if not (root / twin.name).exists():
        return f"{twin.name}: the file is missing, run: {COMMAND}"
    actual, expected = (root / twin.name).read_bytes(), twin.text.encode()
    if actual == expected:
        return None
    lines = zip(actual.splitlines(keepends=True), expected.splitlines(keepends=True))
    line = 1 + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], lines))
    problem = f"is not what {twin.source} renders to (stale, or edited by hand)"
    if actual.startswith(expected):
        problem = f"goes on behind what {twin.source} renders to"
    try:
        ast.parse(actual)
    except (SyntaxError, ValueError) as error:
        line, problem = _line(error), f"does not parse ({_reason(error)})"
    return f"{twin.name}:{line}: the file {problem}, run: {COMMAND}"


def _orphan_problem(root: Path, orphan: Twin) -> str:
    if _is_generated(root, orphan):
        return f"{orphan.name}: {orphan.source} is gone, run: {COMMAND}"
    return f"{orphan.name}: nothing generates this file, keep it elsewhere or run: rm {orphan.name}"


def _is_generated(root: Path, orphan: Twin) -> bool:
    """Whether the file carries the banner of just this place, and so holds nothing that anyone wrote."""
    in_place = _obstacle(root, orphan.name) is None
    return in_place and (root / orphan.name).read_bytes().startswith(banner(orphan.source).encode())


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description="Render the blocking client and its tests from the async ones.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything is wrong")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout to work on")
    options = parser.parse_args(argv)
    changes, problems = ([], check(options.root)) if options.check else write(options.root)
    for line in (*changes, *problems):
        print(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
