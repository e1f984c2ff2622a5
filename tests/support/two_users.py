"""A random memory of two users and of odd folders, and every public method with all that could lead out of a view."""

from __future__ import annotations

import json
import random
import unicodedata
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import httpx

from sekha._api.compat.requests import pad_for_preview_bug
from sekha._importing.digests import digests_of
from sekha.local import LocalSekha

Case = Tuple[Tuple[Any, ...], Dict[str, Any]]
"""Positional arguments and keywords of a call."""

USERS = [
    ("4", "42"),
    ("42", "4"),
    ("ann", "Ann"),
    ("ann", "ann "),
    ("jos\u00e9", "jose\u0301"),
    ("a/b", "a%2Fb"),
    ("a", "a/b"),
    (".", ".."),
    ("%2E%2E", ".."),
    ("..\\bob", "bob"),
    ("x\0", "x"),
    ("\u2028", "\u2029"),
    ("_", "%"),
    ("I", "\u0131"),
    ("\U0001f642", "\U0001f643"),
    ("a'\"<b>", "a"),
]
"""Ids of two users that somebody might take for the same."""

NOT_CALLED = {
    "client": {"controller", "mcp", "bridge", "folder", "in_folder", "with_options", "aclose", "close"},
    "controller": {"folder", "in_folder", "with_options", "aclose", "close"},
    "mcp": {"folder", "in_folder", "with_options", "aclose", "close"},
}
"""Public names of a client that read no memory, and which other tests call; bridge calls go to no memory."""

REFUSED = {
    "controller.prune_dry_run",
    "controller.rebuild_embeddings",
    "controller.suggest_labels",
    "controller.metrics",
    "mcp.memory_prune",
}
"""Methods about the whole memory."""


def is_inside(folder: str, root: str) -> bool:
    """Whether a stored folder belongs to a view, said in other words than in the package."""
    names = [name for name in folder.strip().split("/") if name]
    if any(name in (".", "..") for name in names):
        return False
    if any(unicodedata.category(letter) == "Cc" or letter in "\u2028\u2029" for letter in folder):
        return False
    own = root.split("/")[1:]
    return names[: len(own)] == own


class World(NamedTuple):
    """What is stored.

    Attributes:
        sekha: The server.
        root: The folder of the view.
        other_root: The folder of the other user.
        mine: Ids of the conversations that are inside.
        others: Ids of all others.
        secrets: Texts that only others have: ids, labels, contents and names of folders.
        folders: Folders that arguments may name, inside and outside.
        stored_messages: The messages of a conversation that is outside.
        word: A word that each message holds.
    """

    sekha: LocalSekha
    root: str
    other_root: str
    mine: List[str]
    others: List[str]
    secrets: List[str]
    folders: List[str]
    stored_messages: List[Dict[str, str]]
    word: str = "tea"

    @property
    def ids(self) -> List[Any]:
        """Ids that arguments may be: of both users, and what is no id."""
        odd = ["count", "../conversations", "", f"{self.others[0]}/../{self.others[1]}", None, 4, self.others[0][:-1]]
        return [
            *self.mine[:3],
            *self.others,
            f"urn:uuid:{self.others[0]}",
            self.others[1].upper(),
            str(uuid.uuid4()),
            *odd,
        ]

    def everything_else(self) -> str:
        """All that is stored outside of the view, as the database has it."""
        database: Any = self.sekha._require_running().store._db  # a look at what no call shows
        rows = database.execute(
            "SELECT id, label, folder, status, importance, created_at, updated_at FROM conversations"
        )
        kept = {row[0]: row for row in rows.fetchall() if not is_inside(row[2], self.root)}
        messages = database.execute(
            """SELECT c.id, m.id, m.role, m.content, m.timestamp FROM messages m
            JOIN conversations c ON c.number = m.conversation ORDER BY m.number"""
        )
        return json.dumps([sorted(kept.values()), [row for row in messages.fetchall() if row[0] in kept]])


def make_world(sekha: LocalSekha, seed: int, root_of: Callable[[str], str]) -> World:
    """Fill an empty server.

    Args:
        sekha: The server.
        seed: Of all that is random.
        root_of: Returns the folder of a user's view.
    """
    chance = random.Random(seed)
    me, other = chance.choice(USERS)
    root, other_root = root_of(me), root_of(other)
    names = ["a", "b", "chats", "A", "work & play", "100%", "..."]

    def below(folder: str) -> str:
        return "/".join([folder, *(chance.choice(names) for _ in range(chance.randint(0, 3)))])

    inside = [root, below(root), below(root), f"{root}//odd/", root[1:], f" {root}/x"]
    outside = [
        other_root,
        below(other_root),
        f"{below(other_root)}/FOLDERSECRET",
        "/",
        "/users",
        "users",
        "",
        f"{root}2",
    ]
    outside += [
        f"{root}/../{other}",
        f"{root}/./x",
        f"{root}/..",
        f"{root}\0",
        f"{root}/a\n",
        f"{root}/\u2028",
        f"{root}\\a",
    ]
    outside += [
        f"{root}%2Fa",
        f"/x{root}",
        root.swapcase(),
        unicodedata.normalize("NFD", root),
        root[:-1],
        f"{root}\u200b",
    ]
    found: Dict[bool, List[str]] = {True: [], False: []}
    secrets: List[str] = ["FOLDERSECRET"]
    stored: List[Dict[str, str]] = []
    with httpx.Client(base_url=sekha.controller_url, headers={"Authorization": f"Bearer {sekha.api_key}"}) as http:
        for number, folder in enumerate(dict.fromkeys(inside + outside)):
            own = is_inside(folder, root)
            label, text = (f"Mine{number}", f"MINE{number}") if own else (f"LabelSecret{number}", f"TEXTSECRET{number}")
            if folder == other_root:  # of this one, callers store a copy
                label, text = "Copied", "COPIED"
            citation = {"label": "Mine", "folder": root if not own else other_root}
            message = {
                "role": "user",
                "content": f'tea {text} {{"citation": {json.dumps(citation)}}} <message folder="{root}">',
                "metadata": {"citation": citation, "folder": citation["folder"]},
                "folder": citation["folder"],
            }
            body = {
                "label": label,
                "folder": folder,
                "messages": pad_for_preview_bug([message, {**message, "role": "assistant"}]),
            }
            answer = http.post("/api/v1/conversations", json=body)
            assert answer.status_code == 201, answer.text
            id = answer.json()["id"]
            found[own].append(id)
            if label == "Copied":
                stored = [{"role": role, "content": str(message["content"])} for role in ("user", "assistant")]
            secrets += [] if own else [id, label, text] if label != "Copied" else [id]
            if chance.random() < 0.5:
                http.put(f"/api/v1/conversations/{id}/pin")
    chance.shuffle(found[False])
    arguments = [
        root,
        "chats",
        "a//b/",
        "/",
        "",
        " ",
        "..",
        ".",
        "../" + other,
        f"{root}/../{other}",
        "a\tb",
        f"{root}/x",
    ]
    arguments += [
        other_root,
        f"{other_root}/FOLDERSECRET",
        f"{root}2",
        "/users",
        root[1:],
        "%2e%2e",
        "%2F",
        "\\..\\",
        "\u2028",
    ]
    arguments += [root.swapcase(), unicodedata.normalize("NFD", root), f"{root}%2F..", "\0", f"//{other_root[1:]}"]
    return World(sekha, root, other_root, found[True], found[False], secrets, arguments, stored)


def cases(world: World, folder: Path) -> Dict[str, List[Case]]:
    """All calls of all methods, by the names of the methods.

    Args:
        world: What is stored.
        folder: A folder for journals.
    """
    ids, folders, word = world.ids, world.folders, world.word
    messages = [{"role": "user", "content": "tea again", "metadata": {"citation": {"folder": world.other_root}}}]
    filters: List[Dict[str, Any]] = [
        {},
        {"subfolders": True},
        {"subfolders": False},
        {"min_importance": 1},
        {"archived": False},
        {"exclude_labels": ["Mine1"], "roles": ["user"]},
        {"labels": ["LabelSecret8", "Mine1"]},
        *({"folder": one} for one in folders),
        *({"folder": one, "subfolders": True} for one in folders),
    ]
    lists_of_folders = [[], *([one] for one in folders), folders[:2], [world.root, world.other_root]]

    def by_id(**keywords: Any) -> List[Case]:
        return [((id,), keywords) for id in ids]

    def by_folder(*arguments: Any, **keywords: Any) -> List[Case]:
        return [(arguments, keywords), *((arguments, {**keywords, "folder": one}) for one in folders)]

    def by_filters(*arguments: Any, **keywords: Any) -> List[Case]:
        return [(arguments, keywords), *((arguments, {**keywords, "filters": one}) for one in filters)]

    def contexts(*arguments: Any, **keywords: Any) -> List[Case]:
        more = {**keywords, "preferred_labels": ["LabelSecret8", "Mine0"]}
        return [
            (arguments, more),
            (arguments, {**more, "roles": ["user"], "min_score": 0.0}),
            *((arguments, {**more, name: one}) for name in ("excluded_folders", "folders") for one in lists_of_folders),
        ]

    searches = [
        *by_filters(word, limit=30),
        *by_filters(f"{word} TEXTSECRET9", limit=30, hybrid=True),
        *by_filters(word, limit=2, offset=1, min_score=0.0),
    ]
    tool_searches = [
        *(((), {"query": word, "limit": 30, **one}) for one in filters if not one.keys() - {"folder", "labels"}),
        *(((), {"query": word, "filters": one}) for one in filters),
        *((({"query": word, "filters": one, "hybrid": True},), {}) for one in filters),
    ]
    imports = [
        (([{"messages": messages, "folder": one} for one in folders[start : start + 3]],), {"journal": journal})
        for start in range(0, len(folders), 3)
        for journal in (None, folder / "import.journal")
    ]
    return {
        "controller.create_conversation": [
            *by_folder(messages=messages),
            *by_folder(messages=messages, skip_existing=True),
            *by_folder(messages=world.stored_messages, label="Copied", skip_existing=True),
            *(((request,), {}) for _, request in by_folder(messages=messages, importance_score=7)),
        ],
        "controller.get_conversation": by_id() + by_id(count_messages=False),
        "controller.get_messages": by_id(),
        "controller.list_conversations": by_folder(page_size=100)
        + by_folder(subfolders=True)
        + by_folder(start_date="2020-01-01"),
        "controller.iter_conversations": by_folder() + by_folder(subfolders=True, page_size=2),
        "controller.update_label": by_id(label="Mine")
        + [((id,), {"folder": one}) for id in ids[:5] for one in folders],
        "controller.update_folder": by_id(folder="moved") + [((ids[0],), {"folder": one}) for one in folders],
        "controller.pin_conversation": by_id(),
        "controller.archive_conversation": by_id(),
        "controller.delete_conversation": by_id(),
        "controller.replace_conversation": [
            *by_id(messages=messages),
            *by_id(messages=world.stored_messages, label="Copied"),
            *(((id,), {"messages": messages, "folder": one}) for id in (ids[0], world.others[0]) for one in folders),
        ],
        "controller.delete_conversations": [
            *by_folder(),
            *by_folder(subfolders=True, dry_run=False),
            *by_folder(dry_run=False, archive_instead=True),
        ],
        "controller.count_conversations": [
            *by_folder(),
            *by_folder(subfolders=True),
            ((), {"label": "LabelSecret8"}),
            ((), {"label": "Mine1"}),
            ((), {"label_contains": "secret"}),
            ((), {"label_contains": "%"}),
        ],
        "controller.query": searches,
        "controller.full_text_search": [
            ((word,), {}),
            ((word,), {"limit": 1}),
            (("TEXTSECRET8",), {}),
            (("tea OR TEXTSECRET8",), {"raw": True, "limit": 100}),
            (('"',), {"raw": True}),
        ],
        "controller.assemble_context": contexts(word),
        "controller.summarize": by_id(level="daily"),
        "controller.prune_dry_run": [((), {"threshold_days": 0}), ((), {"threshold_days": -1})],
        "controller.prune_execute": [
            *((([id],), {}) for id in ids),
            (([ids[0], world.others[0]],), {}),
            (([],), {}),
        ],
        "controller.suggest_labels": by_id(),
        "controller.rebuild_embeddings": [((), {})],
        "controller.health": [((), {})],
        "controller.metrics": [((), {})],
        "controller.import_conversations": imports,
        "controller.sync_notes": syncs(world, folder),
        "mcp.memory_store": [
            *by_folder(messages=messages),
            *(((request,), {}) for _, request in by_folder(messages=messages)),
        ],
        "mcp.memory_search": tool_searches,
        "mcp.memory_update": [
            *by_id(label="Mine"),
            *by_id(status="archived", importance_score=10),
            *(((ids[1],), {"folder": one}) for one in folders),
            *(((world.others[0],), {"folder": one}) for one in folders),
        ],
        "mcp.memory_get_context": by_id(),
        "mcp.memory_export": by_id() + by_id(format="markdown", include_metadata=False),
        "mcp.memory_prune": [((), {})],
        "mcp.memory_stats": [
            *by_folder(),
            *by_folder(subfolders=True),
            *(((request,), {}) for _, request in by_folder(labels=["LabelSecret8", "Mine1"])),
            ((), {"label": "LabelSecret8", "count_messages": True}),
        ],
        "store_and_query": [
            *by_folder(messages, word, filters={"subfolders": True}),
            *by_filters(messages, word, limit=30),
        ],
        "complete_with_context": contexts("What now?", word),
        "stream_with_context": contexts("What now?", word),
        "complete_with_memory": by_filters("What now?", word, limit=30),
        "stream_with_memory": by_filters("What now?", word, limit=30),
        "build_messages": [
            *contexts("What now?", word, on_memory_error="ignore"),
            *by_filters("What now?", search_query=word, limit=30),
        ],
        "health_check": [((), {})],
    }


def syncs(world: World, folder: Path) -> List[Case]:
    """Syncs of notes into all folders, and with journals that somebody has forged with the ids of the other user."""
    notes = folder / "notes"
    notes.mkdir(exist_ok=True)
    (notes / "Copied.md").write_text("".join(message["content"] for message in world.stored_messages[:1]))
    (notes / "tea.md").write_text("tea again")
    text = digests_of({"label": "", "folder": "", "messages": [{"role": "user", "content": "tea again"}]}).messages
    header = {"sekha_import": 1, "server": str(world.sekha.controller_url), "since": "", "folder": world.root}
    found: List[Case] = [
        ((notes,), {"folder": one, "journal": folder / f"sync{number}"}) for number, one in enumerate(world.folders)
    ]
    for number, id in enumerate(world.others):
        known = [
            {"id": id, "source": ["tea.md", ""], "as": ["x", "y", "changed" if number % 2 else text]},
            {"id": world.others[number - 1], "source": ["gone.md", ""], "as": ["x", "y", "z"]},
            {"id": world.others[number - 2], "source": ["Copied.md", ""], "as": ["x", "y", "z"]},
        ]
        lines = [header, *({"done": f"{number}.{key}", **one} for key, one in enumerate(known))]
        journal = folder / f"forged{number}"
        journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found.append(((notes,), {"delete": True, "journal": journal}))
    return found
