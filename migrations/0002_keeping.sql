-- Schema version 2: what was erased on purpose, and must not come back. A released file never changes: a later
-- version adds a file.

-- Set where text was taken out by `forget` or by retention. The row stays, so that counts, times and keys stay true,
-- and the text does not come back with the next reading.
ALTER TABLE messages ADD COLUMN erased_at_ms INTEGER;
ALTER TABLE messages ADD COLUMN erased_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', erased_at_ms / 1000.0, 'unixepoch')) VIRTUAL;
-- Set where a channel's name was the name or address of somebody forgotten.
ALTER TABLE channels ADD COLUMN erased_at_ms INTEGER;
ALTER TABLE channels ADD COLUMN erased_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', erased_at_ms / 1000.0, 'unixepoch')) VIRTUAL;

-- One row. `key` makes pseudonyms of the external ids of forgotten participants; it also tells this store's backups
-- from those of another. Messages sent before `messages_before_ms` are kept without text (message retention).
CREATE TABLE erasure (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  key BLOB NOT NULL,
  messages_before_ms INTEGER,
  messages_before TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', messages_before_ms / 1000.0, 'unixepoch')) VIRTUAL
) STRICT;
INSERT INTO erasure (id, key) VALUES (1, randomblob(32));

-- Who was forgotten, and in which conversations. `participant_id` and `conversation_id` name the rows that stay.
CREATE TABLE forgotten (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  participant_id INTEGER UNIQUE REFERENCES participants (id),
  conversation_id INTEGER UNIQUE REFERENCES conversations (id),
  forgotten_at_ms INTEGER NOT NULL,
  forgotten_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', forgotten_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  -- 1: what they write after that is kept without text too.
  suppress INTEGER NOT NULL DEFAULT 0 CHECK (suppress IN (0, 1)),
  CHECK ((participant_id IS NULL) <> (conversation_id IS NULL))
) STRICT;
CREATE INDEX forgotten_source ON forgotten (source_id);
