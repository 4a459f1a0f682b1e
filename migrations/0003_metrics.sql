-- Schema version 3: support metrics. A released file never changes: a later version adds a file.
--
-- `conversation_metrics` is the definition, computed from messages. `conversation_stats` keeps its result for every
-- conversation, renewed in the transaction that changes one; the other views read that.
--
-- Turns: the first contact message after a reply (or at the start) opens one, the first later message of a bot
-- or an agent ends it. System messages never count, nor do messages without a time. Where question and answer
-- carry one time, how long it took is not known (NULL), which is not zero.
--
-- DuckDB takes the text of these views and runs it by its own rules where it can. So they keep to words that mean the
-- same to both: whole numbers are divided without a rest, no comparison of row values, no `IS NOT 'text'`, no `date()` of
-- two arguments (it leaves a `strftime` of three to SQLite).

-- Silence after which a conversation that goes on is a new episode: 24 hours.
CREATE VIEW episode_gap AS SELECT 86400000 AS ms;

-- The reporting zone and when its clocks differ from UTC by how much; written by chatloom when the configured zone
-- is another one. `from_ms` inclusive, `to_ms` exclusive.
CREATE TABLE reporting (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  timezone TEXT NOT NULL
) STRICT;
INSERT INTO reporting (id, timezone) VALUES (1, 'UTC');
CREATE TABLE reporting_offsets (
  from_ms INTEGER PRIMARY KEY,
  to_ms INTEGER NOT NULL,
  offset_seconds INTEGER NOT NULL
) STRICT;
INSERT INTO reporting_offsets (from_ms, to_ms, offset_seconds) VALUES (-62135596800000, 253402300800000, 0);

CREATE VIEW conversation_metrics AS
SELECT
  c.id AS conversation_id,
  (SELECT count(m.id) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL) AS messages,
  (SELECT count(m.id) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'contact') AS contact_messages,
  (SELECT count(m.id) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'bot') AS bot_messages,
  (SELECT count(m.id) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'agent') AS agent_messages,
  (SELECT min(m.sent_at_ms) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL) AS first_message_at_ms,
  (SELECT max(m.sent_at_ms) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL) AS last_message_at_ms,
  f.sent_at_ms AS first_contact_at_ms,
  (SELECT max(m.sent_at_ms) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'contact') AS last_contact_at_ms,
  r.author_kind AS first_response_by,
  CASE WHEN r.sent_at_ms > f.sent_at_ms THEN r.sent_at_ms - f.sent_at_ms END AS first_response_ms,
  (SELECT CASE WHEN m.sent_at_ms > f.sent_at_ms THEN m.sent_at_ms - f.sent_at_ms END FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL
      AND m.author_kind = 'bot' AND m.sent_at_ms >= f.sent_at_ms
      AND (m.sent_at_ms > f.sent_at_ms OR m.seq > f.seq OR (m.seq = f.seq AND m.id > f.id))
    ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1) AS first_bot_response_ms,
  (SELECT CASE WHEN m.sent_at_ms > f.sent_at_ms THEN m.sent_at_ms - f.sent_at_ms END FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL
      AND m.author_kind = 'agent' AND m.sent_at_ms >= f.sent_at_ms
      AND (m.sent_at_ms > f.sent_at_ms OR m.seq > f.seq OR (m.seq = f.seq AND m.id > f.id))
    ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1) AS first_agent_response_ms,
  -- No turn is open: the last word is not the contact's.
  coalesce((SELECT m.author_kind FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL
      AND m.author_kind IN ('contact', 'bot', 'agent')
    ORDER BY m.sent_at_ms DESC, m.seq DESC, m.id DESC LIMIT 1), '') <> 'contact' AS answered,
  -- Since when the contact has been waiting: the message that opened the turn that is open.
  (SELECT min(w.sent_at_ms) FROM messages AS w
    WHERE w.conversation_id = c.id AND w.deleted_at_ms IS NULL AND w.author_kind = 'contact'
      AND (l.id IS NULL OR w.sent_at_ms >= l.sent_at_ms)
      AND (l.id IS NULL OR w.sent_at_ms > l.sent_at_ms OR w.seq > l.seq OR (w.seq = l.seq AND w.id > l.id)))
    AS waiting_since_ms,
  -- How often it went on after a silence: the number of its episodes but the first.
  (SELECT count(m.id) FROM messages AS m
    WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind IN ('contact', 'bot', 'agent')
      AND m.sent_at_ms - (
        SELECT max(b.sent_at_ms) FROM messages AS b
        WHERE b.conversation_id = c.id AND b.deleted_at_ms IS NULL AND b.author_kind IN ('contact', 'bot', 'agent')
          AND b.sent_at_ms < m.sent_at_ms) > (SELECT ms FROM episode_gap)
      AND NOT EXISTS (
        SELECT 1 FROM messages AS t
        WHERE t.conversation_id = c.id AND t.deleted_at_ms IS NULL AND t.author_kind IN ('contact', 'bot', 'agent')
          AND t.sent_at_ms = m.sent_at_ms AND (t.seq < m.seq OR (t.seq = m.seq AND t.id < m.id)))) AS reopened
FROM conversations AS c
LEFT JOIN messages AS f ON f.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL
    AND m.author_kind = 'contact'
  ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)
LEFT JOIN messages AS r ON r.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL
    AND m.author_kind IN ('bot', 'agent') AND m.sent_at_ms >= f.sent_at_ms
      AND (m.sent_at_ms > f.sent_at_ms OR m.seq > f.seq OR (m.seq = f.seq AND m.id > f.id))
  ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)
LEFT JOIN messages AS l ON l.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL
    AND m.author_kind IN ('bot', 'agent')
  ORDER BY m.sent_at_ms DESC, m.seq DESC, m.id DESC LIMIT 1);

-- What `conversation_metrics` says of each conversation, kept.
CREATE TABLE conversation_stats (
  conversation_id INTEGER PRIMARY KEY REFERENCES conversations (id),
  messages INTEGER NOT NULL,
  contact_messages INTEGER NOT NULL,
  bot_messages INTEGER NOT NULL,
  agent_messages INTEGER NOT NULL,
  first_message_at_ms INTEGER,
  first_message_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', first_message_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  last_message_at_ms INTEGER,
  last_message_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', last_message_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  first_contact_at_ms INTEGER,
  first_contact_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', first_contact_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  last_contact_at_ms INTEGER,
  last_contact_at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', last_contact_at_ms / 1000.0, 'unixepoch')) VIRTUAL,
  first_response_by TEXT,
  first_response_ms INTEGER,
  first_bot_response_ms INTEGER,
  first_agent_response_ms INTEGER,
  answered INTEGER NOT NULL,
  waiting_since_ms INTEGER,
  waiting_since TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', waiting_since_ms / 1000.0, 'unixepoch')) VIRTUAL,
  reopened INTEGER NOT NULL
) STRICT;
CREATE INDEX conversation_stats_waiting ON conversation_stats (waiting_since_ms) WHERE waiting_since_ms IS NOT NULL;
INSERT INTO conversation_stats (
  conversation_id, messages, contact_messages, bot_messages, agent_messages, first_message_at_ms, last_message_at_ms,
  first_contact_at_ms, last_contact_at_ms, first_response_by, first_response_ms, first_bot_response_ms,
  first_agent_response_ms, answered, waiting_since_ms, reopened)
SELECT
  conversation_id, messages, contact_messages, bot_messages, agent_messages, first_message_at_ms, last_message_at_ms,
  first_contact_at_ms, last_contact_at_ms, first_response_by, first_response_ms, first_bot_response_ms,
  first_agent_response_ms, answered, waiting_since_ms, reopened
FROM conversation_metrics;

-- As before, but for LEFT: see v_conversations.
DROP VIEW v_messages;
CREATE VIEW v_messages AS
SELECT
  s.name AS source,
  s.provider AS provider,
  ch.kind AS channel,
  c.id AS conversation_id,
  c.external_id AS conversation_external_id,
  m.id AS message_id,
  m.external_id AS message_external_id,
  m.sent_at AS sent_at,
  m.sent_at_ms AS sent_at_ms,
  m.author_kind AS author_kind,
  p.name AS author,
  m.body_text AS body_text,
  m.reaction AS reaction,
  m.kind AS kind,
  m.seq AS seq,
  m.rev AS rev
FROM messages AS m
JOIN conversations AS c ON c.id = m.conversation_id
LEFT JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
LEFT JOIN participants AS p ON p.id = m.author_id
WHERE m.deleted_at_ms IS NULL AND c.deleted_at_ms IS NULL;

DROP VIEW v_conversations;
CREATE VIEW v_conversations AS
SELECT
  s.name AS source,
  s.provider AS provider,
  ch.kind AS channel,
  c.id AS conversation_id,
  c.external_id AS conversation_external_id,
  c.title AS title,
  p.name AS contact,
  c.started_at AS started_at,
  k.first_message_at AS first_message_at,
  k.last_message_at AS last_message_at,
  k.messages AS messages,
  k.contact_messages AS contact_messages,
  k.bot_messages AS bot_messages,
  k.agent_messages AS agent_messages,
  k.first_response_ms / 1000.0 AS first_response_seconds,
  k.first_response_by AS first_response_by,
  k.first_agent_response_ms / 1000.0 AS first_agent_response_seconds,
  CASE WHEN s.provider <> 'brilliant_directories' THEN coalesce(c.escalated, 0) OR k.agent_messages > 0 END AS escalated,
  CASE WHEN s.provider <> 'brilliant_directories' THEN
    k.contact_messages > 0 AND k.bot_messages > 0 AND k.agent_messages = 0 AND NOT coalesce(c.escalated, 0)
  END AS contained,
  k.answered AS answered,
  c.complete AS complete,
  k.first_bot_response_ms / 1000.0 AS first_bot_response_seconds,
  k.reopened AS reopened,
  k.first_contact_at AS first_contact_at,
  k.waiting_since AS waiting_since
FROM conversations AS c
JOIN conversation_stats AS k ON k.conversation_id = c.id
-- Every conversation has a source. LEFT keeps SQLite from reading by source and sorting everything for the newest fifty.
LEFT JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
LEFT JOIN participants AS p ON p.id = c.contact_id
WHERE c.deleted_at_ms IS NULL;

CREATE VIEW v_response_times AS
SELECT
  q.conversation_id AS conversation_id,
  q.sent_at AS asked_at,
  a.sent_at AS replied_at,
  CASE WHEN a.sent_at_ms > q.sent_at_ms THEN (a.sent_at_ms - q.sent_at_ms) / 1000.0 END AS seconds,
  a.author_kind AS "by",
  q.id = (
    SELECT m.id FROM messages AS m
    WHERE m.conversation_id = q.conversation_id AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL
      AND m.author_kind = 'contact'
    ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1) AS first,
  s.name AS source,
  ch.kind AS channel,
  q.id AS asked_message_id,
  a.id AS reply_message_id
FROM messages AS q
JOIN conversations AS c ON c.id = q.conversation_id
JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
LEFT JOIN messages AS a ON a.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = q.conversation_id AND m.deleted_at_ms IS NULL
    AND m.author_kind IN ('bot', 'agent') AND m.sent_at_ms >= q.sent_at_ms
      AND (m.sent_at_ms > q.sent_at_ms OR m.seq > q.seq OR (m.seq = q.seq AND m.id > q.id))
  ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)
WHERE q.author_kind = 'contact' AND q.deleted_at_ms IS NULL AND q.sent_at_ms IS NOT NULL AND c.deleted_at_ms IS NULL
  -- The word before it was not the contact's.
  AND coalesce((SELECT m.author_kind FROM messages AS m
    WHERE m.conversation_id = q.conversation_id AND m.deleted_at_ms IS NULL
      AND m.author_kind IN ('contact', 'bot', 'agent') AND m.sent_at_ms <= q.sent_at_ms
      AND (m.sent_at_ms < q.sent_at_ms OR m.seq < q.seq OR (m.seq = q.seq AND m.id < q.id))
    ORDER BY m.sent_at_ms DESC, m.seq DESC, m.id DESC LIMIT 1), '') <> 'contact';

-- Median and 90th percentile of the turns that were answered, and how many those are. `by` NULL stands for all.
CREATE VIEW v_response_quantiles AS
WITH answered AS (
  -- To DuckDB what comes from another view is text.
  SELECT source, channel, "by", CAST(seconds AS DOUBLE) AS seconds FROM v_response_times WHERE seconds IS NOT NULL
  UNION ALL
  SELECT source, channel, NULL, CAST(seconds AS DOUBLE) AS seconds FROM v_response_times WHERE seconds IS NOT NULL
), ranked AS (
  SELECT source, channel, "by", seconds,
    row_number() OVER (PARTITION BY source, channel, "by" ORDER BY seconds) AS place,
    count(seconds) OVER (PARTITION BY source, channel, "by") AS n
  FROM answered
)
SELECT source, channel, "by", n,
  avg(CASE WHEN 2 * place BETWEEN n AND n + 2 THEN seconds END) AS median_seconds,
  min(CASE WHEN place * 10 >= n * 9 THEN seconds END) AS p90_seconds
FROM ranked GROUP BY source, channel, "by", n;

CREATE VIEW v_daily AS
SELECT
  s.name AS source,
  ch.kind AS channel,
  strftime('%Y-%m-%d', k.first_contact_at_ms / 1000, 'unixepoch') AS day,
  count(c.id) AS conversations,
  sum(k.contact_messages) AS contact_messages,
  sum(k.bot_messages) AS bot_messages,
  sum(k.agent_messages) AS agent_messages,
  sum(CASE WHEN s.provider <> 'brilliant_directories' THEN
    k.bot_messages > 0 AND k.agent_messages = 0 AND NOT coalesce(c.escalated, 0) END) AS contained,
  sum(CASE WHEN s.provider <> 'brilliant_directories' THEN
    coalesce(c.escalated, 0) OR k.agent_messages > 0 END) AS escalated,
  sum(NOT k.answered) AS unanswered
FROM conversation_stats AS k
JOIN conversations AS c ON c.id = k.conversation_id
JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
WHERE c.deleted_at_ms IS NULL AND k.first_contact_at_ms IS NOT NULL
GROUP BY s.name, ch.kind, day;

-- Weekday (0 = Sunday) and hour on the clocks of the reporting zone.
CREATE VIEW v_hourly AS
SELECT
  weekday,
  hour,
  count(DISTINCT conversation_id) AS conversations,
  count(message_id) AS contact_messages
FROM (
  SELECT message_id, conversation_id, (((local - of_day) / 86400 + 4) % 7 + 7) % 7 AS weekday, (of_day - of_day % 3600) / 3600 AS hour
  FROM (
    SELECT message_id, conversation_id, local, (local % 86400 + 86400) % 86400 AS of_day
    FROM (
      SELECT m.id AS message_id, m.conversation_id AS conversation_id, (m.sent_at_ms - (m.sent_at_ms % 1000 + 1000) % 1000) / 1000 + z.offset_seconds AS local
      FROM messages AS m
      JOIN conversations AS c ON c.id = m.conversation_id
      JOIN reporting_offsets AS z ON z.from_ms = (
        SELECT max(o.from_ms) FROM reporting_offsets AS o WHERE o.from_ms <= m.sent_at_ms)
      WHERE m.author_kind = 'contact' AND m.deleted_at_ms IS NULL AND c.deleted_at_ms IS NULL)))
GROUP BY weekday, hour;

-- Episodes: what is said without a silence of more than `episode_gap`. Endless threads (WhatsApp) are counted by them.
CREATE VIEW v_episodes AS
WITH said AS (
  SELECT m.conversation_id, m.id, m.sent_at, m.sent_at_ms, m.seq, m.author_kind,
    m.sent_at_ms - lag(m.sent_at_ms) OVER (PARTITION BY m.conversation_id ORDER BY m.sent_at_ms, m.seq, m.id) AS silence
  FROM messages AS m
  WHERE m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL AND m.author_kind IN ('contact', 'bot', 'agent')
), numbered AS (
  SELECT *, 1 + sum(silence > (SELECT ms FROM episode_gap))
    OVER (PARTITION BY conversation_id ORDER BY sent_at_ms, seq, id) AS episode
  FROM said
)
SELECT
  s.name AS source,
  ch.kind AS channel,
  n.conversation_id AS conversation_id,
  coalesce(n.episode, 1) AS episode,
  min(n.sent_at) AS began_at,
  max(n.sent_at) AS ended_at,
  count(n.id) AS messages,
  sum(n.author_kind = 'contact') AS contact_messages,
  sum(n.author_kind = 'bot') AS bot_messages,
  sum(n.author_kind = 'agent') AS agent_messages
FROM numbered AS n
JOIN conversations AS c ON c.id = n.conversation_id
JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
WHERE c.deleted_at_ms IS NULL
GROUP BY s.name, ch.kind, n.conversation_id, coalesce(n.episode, 1);

-- As before, in words that DuckDB takes in the same sense.
DROP VIEW v_sources;
CREATE VIEW v_sources AS
SELECT
  s.name AS source,
  s.provider AS provider,
  (SELECT r.status FROM sync_runs AS r WHERE r.source_id = s.id AND r.mode <> 'retry' ORDER BY r.id DESC LIMIT 1) AS last_run_status,
  ok.finished_at AS last_success_at,
  round((julianday('now') - 2440587.5) * 86400.0 - ok.finished_at_ms / 1000.0, 3) AS lag_seconds,
  (SELECT count(c.id) FROM conversations AS c WHERE c.source_id = s.id AND c.deleted_at_ms IS NULL) AS conversations,
  (SELECT count(m.id) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
    WHERE c.source_id = s.id AND c.deleted_at_ms IS NULL AND m.deleted_at_ms IS NULL) AS messages,
  (SELECT count(c.id) FROM conversations AS c
    WHERE c.source_id = s.id AND c.complete = 0 AND c.deleted_at_ms IS NULL) AS incomplete,
  (SELECT count(d.id) FROM dead_letters AS d WHERE d.source_id = s.id AND d.resolved_at_ms IS NULL) AS dead_letters
FROM sources AS s
LEFT JOIN sync_runs AS ok ON ok.id = (
  SELECT r.id FROM sync_runs AS r WHERE r.source_id = s.id AND r.status = 'ok' AND r.mode <> 'retry' ORDER BY r.id DESC LIMIT 1);
