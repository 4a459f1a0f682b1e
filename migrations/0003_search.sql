-- Schema version 3: full text. A released file never changes: a later version adds a file.
--
-- Readable, and searchable, by SQLite 3.40. The writer keeps the index in step within the transaction that changes a text.

-- What is indexed in place of a message's text, only where that is something else: scripts without word breaks have
-- zero-width spaces between their characters, and signs that nobody types are left out.
CREATE TABLE search_forms (
  message_id INTEGER PRIMARY KEY REFERENCES messages (id),
  form TEXT NOT NULL
) STRICT;

-- What the index is an index of.
CREATE VIEW search_texts AS
SELECT m.id AS id, coalesce(f.form, m.body_text) AS body_text
FROM messages AS m LEFT JOIN search_forms AS f ON f.message_id = m.id;

-- `rowid` is `messages.id`. Marks belong to words (M*), or words of India would fall apart at their vowels.
CREATE VIRTUAL TABLE message_search USING fts5(
  body_text,
  content = 'search_texts',
  content_rowid = 'id',
  tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
);

-- How the index grows: it buffers up to 8 MiB of words before it writes a part of itself, and merges twelve parts at a time.
INSERT INTO message_search (message_search, rank) VALUES ('hashsize', 8388608), ('automerge', 12);

-- New messages may wait for the index while very many are brought: it lacks those with greater ids than the greatest it
-- has, and no other.
--
-- One row. `rules`: by which version of its rules the index is in step with the texts; 0: it has to be built anew.
-- `merge_due`: 1 while words of erased messages may still stand in parts of the index that are not merged.
CREATE TABLE search_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  rules INTEGER NOT NULL,
  merge_due INTEGER NOT NULL DEFAULT 0 CHECK (merge_due IN (0, 1))
) STRICT;
INSERT INTO search_state (id, rules) VALUES (1, 0);

-- Messages that were voted down, newest first.
CREATE INDEX messages_negative ON messages (sent_at_ms) WHERE reaction = -1;
