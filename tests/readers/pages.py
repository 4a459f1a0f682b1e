"""Parses every page of an export as a browser would, and compares what it says with the store.

pages.py STORE FOLDER
"""
import html.parser
import os
import re
import sqlite3
import sys

store, folder = sys.argv[1:]
db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)

TAGS = set(
    "html head meta title style body h1 p dl dt dd bdi table tr th td a article header b i time div del details summary ul li small footer".split()
)
ATTRIBUTES = {
    "html": {"lang"}, "meta": {"charset", "http-equiv", "content", "name"}, "a": {"href", "rel"}, "p": {"class"},
    "article": {"class"}, "div": {"class", "dir"}, "time": {"datetime"},
}


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.path, self.texts, self.links, self.open, self.metas, self.deleted = path, [], [], [], [], 0
        with open(path, encoding="utf-8") as file:
            self.raw = file.read()
        self.feed(self.raw)
        self.close()
        assert self.raw.startswith("<!doctype html>") and self.raw.endswith("</html>\n"), path

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, f"{self.path}: <{tag}>"
        for name, value in attributes:
            assert name in ATTRIBUTES.get(tag, set()), f"{self.path}: <{tag} {name}>"
        attributes = dict(attributes)
        self.open.append((tag, attributes.get("class")))
        self.deleted += tag == "del"
        if tag == "a":
            self.links.append(attributes)
        if tag == "meta":
            self.metas.append(attributes)
        if tag == "div":
            self.texts.append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if ("div", "text") in self.open:
            self.texts[-1] += data

    def handle_comment(self, data):
        raise AssertionError(f"{self.path}: a comment")


def plain(text):
    """The characters of a text that are shown as they are."""
    return re.sub(r"[^\w\s<>&\"'=/;:.,!?()-]", "", text)


seen = 0
for root, _, files in os.walk(folder):
    for name in files:
        path = os.path.join(root, name)
        if not name.endswith(".html"):
            assert name == "export.json", path
            continue
        page = Page(path)
        policy = [meta["content"] for meta in page.metas if meta.get("http-equiv") == "Content-Security-Policy"]
        assert policy and policy[0].startswith("default-src 'none'"), path
        for link in page.links:
            address = link["href"]
            if address.startswith(("http://", "https://")):
                assert {"noopener", "noreferrer"} <= set(link["rel"].split()), path
            else:
                assert re.fullmatch(r"(\.\./\.\./)?(index(-\d+)?|conversations/\d+/\d+)\.html", address), f"{path}: {address}"
                assert os.path.exists(os.path.join(root, address)), f"{path}: {address}"
        assert "chatloom" in page.raw.rsplit("<footer>", 1)[1], path
        if name.startswith("index"):
            continue
        seen += 1
        conversation = int(name[:-5])
        rows = db.execute(
            """SELECT m.body_text, m.deleted_at IS NOT NULL,
                      (SELECT group_concat(body_text, char(1)) FROM
                        (SELECT body_text FROM message_revisions AS r WHERE r.message_id = m.id ORDER BY revision))
               FROM messages AS m WHERE m.conversation_id = ? ORDER BY m.sent_at_ms, m.seq, m.id""",
            [conversation],
        ).fetchall()
        want, deleted = [], 0
        for text, is_deleted, before in rows:
            if text.strip():
                want.append(text)
                deleted += is_deleted
            want.extend(before.split("\x01") if before is not None else [])
        got, want = [plain(text) for text in page.texts], [plain(text) for text in want]
        assert len(got) == len(want), f"{path}: {len(got)} texts, not {len(want)}"
        for one, other in zip(got, want):
            # Line ends of other kinds than \n are shown as replacement characters.
            clean = lambda text: re.sub(r"[\r\t\x0b\x0c\x1c-\x1f\x85\u2028\u2029]", "", text)
            assert clean(one) == clean(other), f"{path}:\n got {one[:300]!r}\nwant {other[:300]!r}"
        assert page.deleted == deleted, path
        (complete,) = db.execute("SELECT complete FROM conversations WHERE id = ?", [conversation]).fetchone()
        assert ("may be more at the provider" in page.raw) == (not complete), path

(count,) = db.execute("SELECT count(*) FROM conversations").fetchone()
assert seen == count, f"{seen} of {count} conversations"
print("held")
