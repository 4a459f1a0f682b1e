-- Tables of schema version 1. A released file never changes: a later version adds a file.
--
-- STRICT throughout. Every `*_ms` column is milliseconds since 1970 UTC and has a generated text column
-- beside it, without the suffix. Readable by SQLite 3.37 and later. Values of columns that are written often are compared
-- one by one: for more than two in an IN, SQLite would make a table of them for every row that it checks.

-- The one counter behind every `rev`.
CREATE TABLE change_counter (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  rev INTEGER NOT NULL
) STRICT;
INSERT INTO change_counter (id, rev) VALUES (1, 0);

CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  provider TEXT NOT NULL,
  base_url TEXT NOT NULL,
  timezone TEXT,
  -- When a pass first reached the end of every stream; until then the history is still being brought.
  first_pass_at_ms INTEGER,
  first_pass_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', first_pass_at_ms / 1000.0, 'unixepoch')) VIRTUAL
) STRICT;

-- What was found out about a source's API at run time.
CREATE TABLE facts (
  source_id INTEGER NOT NULL REFERENCES sources (id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  learned_at_ms INTEGER NOT NULL,
  learned_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', learned_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  PRIMARY KEY (source_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  external_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (
    kind = 'widget' OR kind = 'whatsapp' OR kind = 'instagram'
    OR kind = 'api' OR kind = 'live_chat' OR kind = 'other'),
  name TEXT,
  -- 0: only referred to; 1: a record described it; 2: asked for in vain.
  resolved INTEGER NOT NULL DEFAULT 0,
  rev INTEGER NOT NULL,
  UNIQUE (source_id, external_id)
) STRICT;

CREATE TABLE people (
  id INTEGER PRIMARY KEY,
  name TEXT
) STRICT;

CREATE TABLE participants (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  external_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind = 'contact' OR kind = 'agent' OR kind = 'bot' OR kind = 'system' OR kind = 'unknown'),
  -- 1: a record says the kind; 0: it follows from a role in some conversation.
  kind_given INTEGER NOT NULL DEFAULT 0,
  name TEXT,
  email TEXT,
  phone TEXT,
  person_id INTEGER REFERENCES people (id),
  provider_user_id TEXT,
  -- 0: only referred to; 1: a record described it; 2: looked up in vain at `looked_up_at`.
  resolved INTEGER NOT NULL DEFAULT 0,
  looked_up_at_ms INTEGER,
  looked_up_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', looked_up_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  rev INTEGER NOT NULL,
  UNIQUE (source_id, external_id)
) STRICT;
CREATE INDEX participants_unresolved ON participants (source_id, looked_up_at_ms) WHERE resolved <> 1;
CREATE INDEX participants_person ON participants (person_id) WHERE person_id IS NOT NULL;

CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  external_id TEXT NOT NULL,
  channel_id INTEGER REFERENCES channels (id),
  contact_id INTEGER REFERENCES participants (id),
  status TEXT NOT NULL DEFAULT 'unknown' CHECK (status = 'open' OR status = 'closed' OR status = 'unknown'),
  title TEXT,
  page_url TEXT,
  started_at_ms INTEGER,
  started_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', started_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  updated_at_ms INTEGER,
  updated_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', updated_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  last_message_at_ms INTEGER,
  last_message_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', last_message_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  -- What the provider says: 1, 0, or NULL where it has no such notion.
  escalated INTEGER CHECK (escalated IN (0, 1)),
  complete INTEGER NOT NULL DEFAULT 1 CHECK (complete IN (0, 1)),
  incomplete_reason TEXT,
  deleted_at_ms INTEGER,
  deleted_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', deleted_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  -- Whose word it is: 'provider' (its flag), 'gone' (404 on the item), 'missing' (absent from complete sweeps).
  deleted_reason TEXT CHECK (deleted_reason = 'provider' OR deleted_reason = 'gone' OR deleted_reason = 'missing'),
  -- The provider's own count of messages, and its own word on when the last one was sent.
  reported_messages INTEGER,
  reported_last_at_ms INTEGER,
  reported_last_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', reported_last_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  -- The provider's modification time: an older record never overwrites a newer one.
  version INTEGER,
  -- Stale, that is, to be fetched, while these two differ.
  list_fingerprint INTEGER,
  fetched_fingerprint INTEGER,
  -- Fetches that failed since the last that did not: those that keep failing are tried last.
  fetch_failures INTEGER NOT NULL DEFAULT 0,
  -- When its messages were last fetched whole.
  fetched_at_ms INTEGER,
  fetched_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', fetched_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  rev INTEGER NOT NULL,
  UNIQUE (source_id, external_id)
) STRICT;
CREATE INDEX conversations_rev ON conversations (rev);
CREATE INDEX conversations_contact ON conversations (contact_id);
CREATE INDEX conversations_stale ON conversations (source_id) WHERE list_fingerprint IS NOT fetched_fingerprint;
CREATE INDEX conversations_incomplete ON conversations (source_id) WHERE complete = 0;
CREATE INDEX conversations_lettered ON conversations (source_id) WHERE incomplete_reason = 'dead_letter';

-- Who else has a role in a conversation, where the provider names them: the humans who answer, further contacts.
CREATE TABLE conversation_roles (
  conversation_id INTEGER NOT NULL REFERENCES conversations (id),
  participant_id INTEGER NOT NULL REFERENCES participants (id),
  role TEXT NOT NULL CHECK (role IN ('contact', 'agent')),
  PRIMARY KEY (conversation_id, participant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  conversation_id INTEGER NOT NULL REFERENCES conversations (id),
  external_id TEXT NOT NULL,
  author_id INTEGER REFERENCES participants (id),
  author_kind TEXT NOT NULL CHECK (
    author_kind = 'contact' OR author_kind = 'agent' OR author_kind = 'bot'
    OR author_kind = 'system' OR author_kind = 'unknown'),
  -- Where author_kind comes from: 0 the record, 1 the author's role in the conversation,
  -- 2 that role or else the participant's kind.
  author_rule INTEGER NOT NULL DEFAULT 0,
  kind TEXT NOT NULL CHECK (kind IN ('text', 'event')),
  event TEXT,
  -- Orders messages that share one time.
  seq INTEGER NOT NULL,
  sent_at_ms INTEGER,
  sent_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', sent_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  body_text TEXT NOT NULL,
  body_html TEXT,
  read INTEGER CHECK (read IN (0, 1)),
  reaction INTEGER NOT NULL DEFAULT 0 CHECK (reaction BETWEEN -1 AND 1),
  model TEXT,
  thread_external_id TEXT,
  edited_at_ms INTEGER,
  edited_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', edited_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  deleted_at_ms INTEGER,
  deleted_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', deleted_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  -- Whose word it is: 'provider' (its flag), 'gone' (404 on the item), 'missing' (absent from complete sweeps).
  deleted_reason TEXT CHECK (deleted_reason = 'provider' OR deleted_reason = 'gone' OR deleted_reason = 'missing'),
  version INTEGER,
  -- In how many complete readings of its conversation it was missing, one after the other.
  missed INTEGER NOT NULL DEFAULT 0,
  content_hash INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  UNIQUE (conversation_id, external_id)
) STRICT;
CREATE INDEX messages_timeline ON messages (conversation_id, sent_at_ms, seq, author_kind, deleted_at_ms);
CREATE INDEX messages_rev ON messages (rev);
CREATE INDEX messages_by_author_kind ON messages (author_id) WHERE author_rule = 2;

-- What a message said before an edit.
CREATE TABLE message_revisions (
  message_id INTEGER NOT NULL REFERENCES messages (id),
  revision INTEGER NOT NULL,
  body_text TEXT NOT NULL,
  body_html TEXT,
  observed_at_ms INTEGER NOT NULL,
  observed_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', observed_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  PRIMARY KEY (message_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE citations (
  message_id INTEGER NOT NULL REFERENCES messages (id),
  ordinal INTEGER NOT NULL,
  url TEXT,
  title TEXT,
  PRIMARY KEY (message_id, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE attachments (
  message_id INTEGER NOT NULL REFERENCES messages (id),
  ordinal INTEGER NOT NULL,
  kind TEXT NOT NULL,
  url TEXT,
  name TEXT,
  PRIMARY KEY (message_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The newest raw JSON of every record, compressed, so that it can be normalised again without asking.
CREATE TABLE raw_records (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  stream TEXT NOT NULL,
  external_id TEXT NOT NULL,
  -- The id as a number, for lists that are read along it.
  id_number INTEGER,
  -- The conversation or message that the record makes.
  row_id INTEGER,
  -- In how many complete sweeps it was missing, one after the other.
  missed INTEGER NOT NULL DEFAULT 0,
  parent TEXT,
  seq INTEGER NOT NULL,
  -- NULL makes the next reading of the record count as changed.
  hash INTEGER,
  codec TEXT NOT NULL CHECK (codec IN ('json', 'zstd')),
  body BLOB NOT NULL,
  observed_at_ms INTEGER NOT NULL,
  observed_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', observed_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  UNIQUE (source_id, stream, external_id)
) STRICT;
CREATE INDEX raw_records_number ON raw_records (source_id, stream, id_number) WHERE id_number IS NOT NULL;

-- Rows that a sweep under way did not meet where they should stand.
CREATE TABLE sweep_absent (
  source_id INTEGER NOT NULL REFERENCES sources (id),
  stream TEXT NOT NULL,
  raw_id INTEGER NOT NULL,
  PRIMARY KEY (source_id, stream, raw_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sync_runs (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  mode TEXT NOT NULL CHECK (mode IN ('backfill', 'incremental', 'sweep', 'retry')),
  status TEXT NOT NULL CHECK (status IN ('running', 'ok', 'partial', 'failed', 'interrupted')),
  started_at_ms INTEGER NOT NULL,
  started_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', started_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  finished_at_ms INTEGER,
  finished_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', finished_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  requests INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0,
  rows_in INTEGER NOT NULL DEFAULT 0,
  inserted INTEGER NOT NULL DEFAULT 0,
  updated INTEGER NOT NULL DEFAULT 0,
  deleted INTEGER NOT NULL DEFAULT 0,
  dead INTEGER NOT NULL DEFAULT 0,
  error TEXT
) STRICT;
CREATE INDEX sync_runs_source ON sync_runs (source_id, id);

CREATE TABLE cursors (
  source_id INTEGER NOT NULL REFERENCES sources (id),
  stream TEXT NOT NULL,
  scope TEXT NOT NULL,
  cursor TEXT NOT NULL CHECK (json_valid(cursor)),
  updated_at_ms INTEGER NOT NULL,
  updated_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', updated_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  PRIMARY KEY (source_id, stream, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources (id),
  stream TEXT NOT NULL,
  external_id TEXT,
  parent TEXT,
  seq INTEGER NOT NULL DEFAULT 0,
  stage TEXT NOT NULL CHECK (stage IN ('fetch', 'decode', 'normalise')),
  error TEXT NOT NULL,
  body TEXT,
  body_hash INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL,
  last_seen TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', last_seen_ms / 1000.0, 'unixepoch')) VIRTUAL,
  first_seen_ms INTEGER NOT NULL,
  first_seen TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', first_seen_ms / 1000.0, 'unixepoch')) VIRTUAL,
  resolved_at_ms INTEGER,
  resolved_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', resolved_at_ms / 1000.0, 'unixepoch')) VIRTUAL
) STRICT;
CREATE INDEX dead_letters_open ON dead_letters (source_id, stream, external_id) WHERE resolved_at_ms IS NULL;
CREATE INDEX dead_letters_parent ON dead_letters (source_id, parent) WHERE resolved_at_ms IS NULL;
