"""Starts Datasette on a store with our metadata and asks for everything that it shows.

    python datasette_pages.py STORE METADATA [EXPECTED]

EXPECTED is a file of JSON: the rows that each canned query must give, with the parameters it is asked with.
"""

import html
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

STORE, METADATA = sys.argv[1:3]
EXPECTED = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else {}
HIDDEN_SHADOWS = "message_search_"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Datasette:
    def __init__(self):
        # Its log is shown when something fails. Limits are generous: nothing is timed here.
        self.port = free_port()
        self.log = open(STORE + ".datasette.log", "w+b")
        command = [sys.executable, "-m", "datasette", "serve", STORE, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--metadata", METADATA, "--setting", "sql_time_limit_ms", "60000"]
        command += ["--setting", "facet_time_limit_ms", "60000"]
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while True:
            try:
                self.get("/-/versions.json")
                return
            except OSError:
                if self.child.poll() is not None or time.monotonic() > end:
                    self.fail("Datasette did not start")
                time.sleep(0.05)

    def fail(self, why):
        self.log.flush()
        self.log.seek(0)
        sys.exit(f"{why}\n{self.log.read().decode(errors='replace')[-4000:]}")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
            return answer.read().decode()

    def page(self, path):
        try:
            return self.get(path)
        except urllib.error.HTTPError as error:
            self.fail(f"{path}: {error.code} {error.read().decode(errors='replace')[:1000]}")

    def json(self, path, **query):
        path += ".json?" + urllib.parse.urlencode(query, doseq=True)
        found = json.loads(self.page(path))
        told = found if isinstance(found, dict) else {}
        if told.get("error") or told.get("ok") is False:
            self.fail(f"{path}: {told}")
        return found


def shown(text):
    """A text as Datasette's templates write it."""
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def assert_no_markup(datasette, path):
    """Whatever strangers wrote is shown as they wrote it, and means nothing to the browser."""
    page = datasette.page(path)
    assert "<script>alert(1)</script>" not in page, path
    assert shown("<script>alert(1)</script>") in page, f"{path} does not show the text at all"


def main():
    datasette = Datasette()
    try:
        told = yaml.safe_load(open(METADATA))["databases"]["chatloom"]
        store = sqlite3.connect(f"file:{urllib.parse.quote(STORE)}?mode=ro", uri=True)
        names = {
            name: kind
            for name, kind in store.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')")
            if not name.startswith(("sqlite_", HIDDEN_SHADOWS))
        }
        database = datasette.json("/chatloom")
        front = datasette.page("/chatloom")
        hidden = {table["name"] for table in database["tables"] if table["hidden"]}

        # Every table and view is described or put aside; nothing is described that is not there.
        left = [name for name in names if name not in told["tables"] and name not in hidden]
        assert not left, f"docs/datasette.yml says nothing of {left}: give them a title, or hide them"
        gone = [name for name in told["tables"] if name not in names]
        assert not gone, f"docs/datasette.yml describes what is not there: {gone}"
        unhidden = [name for name, said in told["tables"].items() if said.get("hidden") and name not in hidden]
        assert not unhidden, unhidden
        shadows = [table["name"] for table in database["tables"] if table["name"].startswith(HIDDEN_SHADOWS)]
        assert shadows and hidden.issuperset(shadows), shadows

        for name in [*names, *shadows]:
            said = told["tables"].get(name, {})
            rows = datasette.json(f"/chatloom/{name}", _size=5, _shape="objects")
            page = datasette.page(f"/chatloom/{name}?_size=5")
            if said.get("title"):
                assert shown(said["title"]) in page, f"{name} has no title"
            columns = {row[1] for row in store.execute("SELECT * FROM pragma_table_xinfo(?)", [name])}
            spoken_of = {*said.get("facets", []), *said.get("units", {}), *said.get("columns", {})}
            spoken_of |= {said[key] for key in ("sort", "sort_desc", "label_column", "fts_pk") if key in said}
            assert spoken_of <= columns | {"rowid"}, f"{name}: no such columns: {spoken_of - columns}"
            assert rows.get("units", {}) == said.get("units", {}), name
            facets = said.get("facets", [])
            filled = [
                facet
                for facet in facets
                if store.execute(f'SELECT 1 FROM "{name}" WHERE "{facet}" IS NOT NULL LIMIT 1').fetchone()
            ]
            found = datasette.json(f"/chatloom/{name}", _size=1, _facet=facets)["facet_results"]
            assert set(facets) <= found.keys(), f"{name}: not in time: {set(facets) - found.keys()}"
            for facet in filled:
                assert found[facet]["results"], f"{name}, {facet}: no values"

        for name, said in told["queries"].items():
            expected = EXPECTED.get(name, {})
            page = datasette.page(f"/chatloom/{name}")
            assert shown(said["title"]) in page, f"{name} has no title"
            assert shown(said["title"]) in front, f"{name} is not offered"
            found = datasette.json(f"/chatloom/{name}", _shape="objects", **expected.get("with", {}))
            assert not found.get("truncated"), name
            if EXPECTED:
                assert name in EXPECTED, f"no rows are known for {name}"
                rows = [list(row.values()) for row in found["rows"]]
                # `now` is not the same every day.
                for row, wanted in zip(rows, expected["rows"]):
                    row[:] = ["*" if want == "*" else value for value, want in zip(row, wanted)]
                assert rows == expected["rows"], f"{name}:\n{json.dumps(rows, ensure_ascii=False)}"

        if EXPECTED:
            assert not EXPECTED.keys() - told["queries"].keys()
            for place in ("messages", "v_messages"):
                assert 'name="_search"' in datasette.page(f"/chatloom/{place}"), f"{place} has no search box"
                found = datasette.json(f"/chatloom/{place}", _search="REFUNDS", _shape="objects")["rows"]
                assert [row["body_text"] for row in found] == ["Hi, are refunds possible?"], (place, found)
                assert_no_markup(datasette, f"/chatloom/{place}")
            assert_no_markup(datasette, "/chatloom/conversation?conversation_id=4")
            assert_no_markup(datasette, "/chatloom/search?words=month")
            assert_no_markup(datasette, "/chatloom/v_messages?_search=month")
            row = store.execute("SELECT id FROM messages WHERE body_text LIKE '%<script>%'").fetchone()[0]
            assert_no_markup(datasette, f"/chatloom/messages/{row}")
            # Units are for reading and for asking: 5 minutes are 300 seconds.
            slow = datasette.json("/chatloom/v_response_times", seconds__gte="5 min", _shape="objects")["rows"]
            assert sorted(row["seconds"] for row in slow) == [300, 1800, 7200], slow
            # A foreign key is shown by the name behind it, and bytes are no trouble.
            assert ">Telephone<" in datasette.page("/chatloom/conversations")
            assert datasette.json("/chatloom/erasure", _shape="objects")["rows"][0]["key"]["$base64"]
        print(f"{len(names)} tables and views, {len(told['queries'])} queries")
    finally:
        datasette.child.terminate()
        datasette.child.wait(30)
        datasette.log.close()
        os.remove(STORE + ".datasette.log")


if __name__ == "__main__":
    main()
