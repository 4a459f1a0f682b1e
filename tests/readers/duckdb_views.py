"""Reads a store with DuckDB, the way docs/readers.md says, and compares every view with what SQLite says itself.

    python duckdb_views.py STORE DUCKDB_SQL [while-written]

While the store is written to, the two see it at different times: then everything is read, and nothing compared.
Nothing is asked of the network: the extension comes from the package duckdb-extension-sqlite-scanner.
"""

import datetime
import pathlib
import re
import sqlite3
import sys
import urllib.parse

import duckdb
import duckdb_extension_sqlite_scanner

STORE, SQL = sys.argv[1:3]
STILL = "while-written" not in sys.argv[3:]

NUMBERS = {
    "BIGINT": int,
    "DOUBLE": float,
    "TIMESTAMP": lambda text: datetime.datetime.fromisoformat(text.removesuffix("Z")),
    "DATE": datetime.date.fromisoformat,
}


def text(row):
    """A row as words, numbers in one spelling: as a column of an attached view one is text, or a fraction."""
    words = []
    for value in row:
        try:
            words.append(repr(float(value)))
        except (TypeError, ValueError):
            words.append("" if value is None else str(value))
    return tuple(words)


def opened(folder):
    con = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    con.execute(f"SET file_search_path = '{folder}'")
    extension = pathlib.Path(duckdb_extension_sqlite_scanner.__file__).parent
    extension = extension / "extensions" / f"v{duckdb.__version__}" / "sqlite_scanner.duckdb_extension"
    con.execute(f"LOAD '{extension}'")
    return con


def columns_of(store, view):
    return [row[1] for row in store.execute(f"PRAGMA table_info({view})")]


def main():
    con = opened(pathlib.Path(STORE).parent)
    sql = pathlib.Path(SQL).read_text().replace("'chatloom.db'", f"'{STORE}'")
    con.execute(sql)
    store = sqlite3.connect(f"file:{urllib.parse.quote(STORE)}?mode=ro", uri=True)
    names = "SELECT name FROM sqlite_master WHERE type = ? AND name LIKE ? ESCAPE '\\' ORDER BY name"
    views = [name for (name,) in store.execute(names, ["view", "v\\_%"])]
    mine = re.findall(r"CREATE OR REPLACE VIEW (\w+)", sql)
    assert sorted(mine) == views, f"docs/duckdb.sql has {mine}, the store {views}"
    for view in views:
        described = [(row[0], row[1]) for row in con.execute(f"DESCRIBE {view}").fetchall()]
        columns = columns_of(store, view)
        assert [name for name, _ in described] == columns, f"{view}: {described} is not {columns}"
        wanted = []
        for row in store.execute(f"SELECT * FROM {view}"):
            typed = zip(row, described)
            wanted.append(tuple(None if value is None else NUMBERS.get(kind, str)(value) for value, (_, kind) in typed))
        found = con.execute(f"SELECT * FROM {view}").fetchall()
        # How long ago something was is not the same for the two.
        if view == "v_sources":
            at = columns.index("lag_seconds")
            found, wanted = ([(*row[:at], *row[at + 1 :]) for row in rows] for rows in (found, wanted))
        key = lambda row: tuple((value is not None, str(value)) for value in row)
        assert not STILL or sorted(found, key=key) == sorted(wanted, key=key), f"{view} differs"
        # Numbers are numbers and times are times wherever SQLite has no texts.
        for name, kind in described:
            if name.endswith("_at") or name == "waiting_since":
                assert kind == "TIMESTAMP", (view, name, kind)
            elif name.endswith("_seconds") or name == "seconds":
                assert kind == "DOUBLE", (view, name, kind)
            elif kind == "VARCHAR":
                kinds = f'SELECT count(*) FROM {view} WHERE typeof("{name}") NOT IN (\'text\', \'null\')'
                assert store.execute(kinds).fetchone()[0] == 0, f"{view}.{name} is a number"

    # Tables come with their types, but without the text times, which are computed.
    for (table,) in store.execute(names, ["table", "%"]).fetchall():
        if table.startswith(("sqlite_", "message_search")):
            continue
        rows = len(con.execute(f'SELECT * FROM chatloom."{table}"').fetchall())
        assert not STILL or rows == store.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0], table
    newest = con.execute("SELECT max(epoch_ms(sent_at_ms)) FROM chatloom.messages").fetchone()[0]
    wanted = store.execute("SELECT max(sent_at) FROM messages").fetchone()[0]
    assert not STILL or newest == NUMBERS["TIMESTAMP"](wanted), (newest, wanted)

    # Asked by the name that DuckDB gives it, a view has the same rows; only the types are missing.
    for view in views if STILL else []:
        shown = "* EXCLUDE (lag_seconds)" if view == "v_sources" else "*"
        found = con.execute(f"SELECT {shown} FROM chatloom.{view}").fetchall()
        wanted = store.execute(f"SELECT * FROM {view}").fetchall()
        if view == "v_sources":
            at = columns_of(store, view).index("lag_seconds")
            wanted = [(*row[:at], *row[at + 1 :]) for row in wanted]
        assert sorted(map(text, found)) == sorted(map(text, wanted)), f"chatloom.{view} differs"
    listed = {name for (name,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    assert set(views) <= listed, listed
    blocks = re.findall(r"```sql\n(.*?)```", (pathlib.Path(SQL).parent / "readers.md").read_text(), re.S)
    for statement in (part for block in blocks for part in block.split(";\n")):
        statement = re.sub(r"(?m)^\..*$|--.*$", "", statement).strip()
        if statement and not statement.startswith(("INSTALL", "LOAD")):
            assert con.execute(statement).fetchall(), statement
    try:
        con.execute("DELETE FROM chatloom.messages")
        sys.exit("DuckDB could write")
    except duckdb.Error as refused:
        assert "read-only" in str(refused), refused
    print(f"{len(views)} views")


if __name__ == "__main__":
    main()
