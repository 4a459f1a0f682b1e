"""Reads an export as people would and compares it with the views of the store, row by row and value by value.

export.py STORE CSV JSONL PARQUET: folders of exports of every view, made with no filter.
"""
import datetime
import json
import re
import sqlite3
import sys

import duckdb
import pandas
import pyarrow.parquet

store, csv, jsonl, parquet = sys.argv[1:]
db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
duck = duckdb.connect()
duck.sql("SET TimeZone = 'UTC'")

DUCK = {
    "text": "VARCHAR", "integer": "BIGINT", "seconds": "DOUBLE", "flag": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE", "day": "DATE",
}
ARROW = {
    "text": "string", "integer": "int64", "seconds": "double", "flag": "bool",
    "time": "timestamp[ms, tz=UTC]", "day": "date32[day]",
}
GUARD = re.compile("^'('*[=+\\-@\t\r\n＝＋－＠])")


def wanted(value, kind):
    if value is None:
        return None
    if kind == "time":
        return datetime.datetime.fromisoformat(value)
    if kind == "day":
        return datetime.date.fromisoformat(value)
    if kind == "flag":
        return bool(value)
    if kind == "seconds":
        return float(value)
    return value


def same(told, got, want):
    def key(row):
        return json.dumps(row, default=str)

    got, want = sorted(got, key=key), sorted(want, key=key)
    assert len(got) == len(want), f"{told}: {len(got)} rows, not {len(want)}"
    for one, other in zip(got, want):
        assert one == other, f"{told}:\n got {str(one)[:600]}\nwant {str(other)[:600]}"


def unguarded(rows, kinds):
    return [
        tuple(GUARD.sub(r"\1", v) if k == "text" and isinstance(v, str) else v for v, k in zip(row, kinds)) for row in rows
    ]


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def fetched(relation, columns, kinds):
    """The rows of a relation; times by way of milliseconds, since DuckDB needs one library more to give them whole."""
    picked = [f'epoch_ms("{c}")' if k == "time" else f'"{c}"' for c, k in zip(columns, kinds)]
    return [
        tuple(EPOCH + datetime.timedelta(milliseconds=v) if k == "time" and v is not None else v for v, k in zip(row, kinds))
        for row in relation.select(", ".join(picked)).fetchall()
    ]


def manifest(folder):
    with open(f"{folder}/export.json", encoding="utf-8") as file:
        return json.load(file)


for folder in (csv, jsonl, parquet):
    told = manifest(folder)
    assert told["chatloom"] and told["times"] == "UTC" and told["exported_at"].endswith("Z"), told
    assert told["filter"] == {"since": None, "until": None, "sources": []}, told

for view in manifest(parquet)["views"]:
    name = view["name"]
    columns = [column["name"] for column in view["columns"]]
    kinds = [column["type"] for column in view["columns"]]
    there = [row[1] for row in db.execute(f"PRAGMA table_info({view['view']})")]
    assert columns == there, f"{name}: {columns} are not the view's {there}"
    # How long ago a source was read changes while one looks.
    told = [c for c in columns if c != "lag_seconds"]
    kinds = [k for c, k in zip(columns, kinds) if c != "lag_seconds"]
    listed = ", ".join(f'"{c}"' for c in told)
    want = [
        tuple(wanted(v, k) for v, k in zip(row, kinds)) for row in db.execute(f"SELECT {listed} FROM {view['view']}")
    ]
    assert view["rows"] == len(want) == sum(file["rows"] for file in view["files"]), view

    # Parquet, by DuckDB and by pyarrow.
    parted = bool(view["parted_by"])
    files = f"{parquet}/{name}/**/*.parquet" if parted else f"{parquet}/{name}.parquet"
    relation = duck.sql(f"SELECT * FROM read_parquet('{files}', hive_partitioning = {str(parted).lower()})")
    types = dict(zip(relation.columns, map(str, relation.types)))
    for column, kind in zip(told, kinds):
        assert types[column] == DUCK[kind], f"{name}.{column} is {types[column]} in DuckDB"
    same(f"{name}, Parquet, DuckDB", fetched(relation, told, kinds), want)
    first = pyarrow.parquet.read_schema(f"{parquet}/{view['files'][0]['path']}")
    for column, kind in zip(told, kinds):
        if not (parted and column == "source"):
            assert str(first.field(column).type) == ARROW[kind], f"{name}.{column} is {first.field(column).type}"
    for key in ("version", "exported_at", "reporting_timezone", "filter"):
        assert f"chatloom.{key}".encode() in first.metadata, first.metadata
    path = f"{parquet}/{name}" if parted else f"{parquet}/{name}.parquet"
    frame = pandas.read_parquet(path)
    assert len(frame) == len(want), name
    for column, kind in zip(told, kinds):
        if kind == "time":
            assert str(frame[column].dtype) == "datetime64[ms, UTC]", f"{name}.{column}: {frame[column].dtype}"
    if parted and len(want):
        months = {str(month) for month in frame["month"].dropna().unique()}
        assert all(re.fullmatch(r"\d{4}-\d\d|unknown", month) for month in months), months

    # JSONL, by json itself and by DuckDB.
    with open(f"{jsonl}/{name}.jsonl", encoding="utf-8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    assert all(list(row) == columns for row in rows), name
    same(f"{name}, JSONL", [tuple(wanted(row[c], k) if k != "flag" else row[c] for c, k in zip(told, kinds)) for row in rows], want)
    if rows:
        size = 64 * 1024 * 1024
        counted = duck.sql(f"SELECT count(*) FROM read_json('{jsonl}/{name}.jsonl', maximum_object_size = {size})").fetchone()
        assert counted == (len(want),), f"{name}: {counted}"

    # CSV, by DuckDB with types, and by pandas as text.
    given = {c["name"]: DUCK[c["type"]] for c in view["columns"]}
    relation = duck.sql(
        f"SELECT * FROM read_csv('{csv}/{name}.csv', header = true, columns = {given}, quote = '\"', escape = '\"', "
        "delim = ',', new_line = '\\r\\n', allow_quoted_nulls = false, max_line_size = 40000000, buffer_size = 80000000, parallel = false)"
    )
    same(f"{name}, CSV, DuckDB", unguarded(fetched(relation, told, kinds), kinds), want)
    frame = pandas.read_csv(f"{csv}/{name}.csv", dtype=str, keep_default_na=False, na_values=[], encoding="utf-8")
    assert list(frame.columns) == columns and len(frame) == len(want), f"{name}: {len(frame)}"
    # Nothing in a text column begins a formula.
    for column, kind in zip(told, kinds):
        if kind == "text":
            evil = frame[column].str.match("[=+\\-@\t\r\n＝＋－＠]")
            assert not evil.any(), f"{name}.{column}: {frame[column][evil].tolist()[:3]}"

print("held")
