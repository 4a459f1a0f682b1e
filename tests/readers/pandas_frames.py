"""Reads a store with pandas, the way docs/readers.md says: numbers are numbers, times are times, NULL stays unknown.

    python pandas_frames.py STORE READERS_MD

STORE is called chatloom.db: what the page shows is run beside it, as it stands.
"""

import os
import re
import sqlite3
import sys
import urllib.parse

import pandas as pd

STORE, PAGE = sys.argv[1:3]


def main():
    con = sqlite3.connect(f"file:{urllib.parse.quote(STORE)}?mode=ro", uri=True)
    # One look at all of them: what one view counts, the others count.
    con.execute("BEGIN")
    conversations = pd.read_sql_query("SELECT * FROM v_conversations", con)
    for column in conversations.columns:
        if column.endswith("_at") or column == "waiting_since":
            conversations[column] = pd.to_datetime(conversations[column], utc=True)
            assert str(conversations[column].dtype).startswith("datetime64"), (column, conversations[column].dtype)
    seconds = conversations["first_response_seconds"]
    assert pd.api.types.is_float_dtype(seconds) and pd.api.types.is_integer_dtype(conversations["messages"])
    # What is not known stays out of a median.
    known = con.execute("SELECT count(*) FROM v_conversations WHERE first_response_seconds IS NOT NULL").fetchone()[0]
    assert seconds.notna().sum() == known and (known == 0 or seconds.min() > 0)
    messages = pd.read_sql_query("SELECT conversation_id, sent_at_ms FROM v_messages", con)
    counted = messages.groupby("conversation_id").size()
    stored = conversations.set_index("conversation_id")["messages"]
    assert counted.sum() == stored.sum(), "the two views count differently"
    same = pd.to_datetime(messages["sent_at_ms"], unit="ms", utc=True)
    assert same.max() == conversations["last_message_at"].max()
    try:
        con.execute("DELETE FROM messages")
        sys.exit("pandas could write")
    except sqlite3.OperationalError as refused:
        assert "readonly" in str(refused), refused
    con.rollback()
    block = re.search(r"```python\n(.*?)```", open(PAGE).read(), re.S)[1]
    os.chdir(os.path.dirname(STORE))
    exec(block, {})
    print(f"{len(conversations)} conversations, {len(messages)} messages")


if __name__ == "__main__":
    main()
