"""Opens a store as a notebook does, reads from it, and closes it."""

import sqlite3
import sys

store = sqlite3.connect(sys.argv[1])
store.execute("SELECT count(*) FROM messages").fetchone()
store.close()
