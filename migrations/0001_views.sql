-- Views of schema version 1: what analysts read. Columns may be added after these, never changed.
--
-- Turns: the first contact message after a reply (or at the start) opens one, the first later message of a bot
-- or an agent ends it. System messages never count, nor do messages without a time.

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
JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
LEFT JOIN participants AS p ON p.id = m.author_id
WHERE m.deleted_at_ms IS NULL AND c.deleted_at_ms IS NULL;

CREATE VIEW v_conversations AS
SELECT
  b.source,
  b.provider,
  b.channel,
  b.conversation_id,
  b.conversation_external_id,
  b.title,
  b.contact,
  b.started_at,
  b.first_message_at,
  b.last_message_at,
  b.messages,
  b.contact_messages,
  b.bot_messages,
  b.agent_messages,
  -- Where question and answer carry one time, how long it took is not known.
  CASE WHEN r.sent_at_ms > f.sent_at_ms THEN (r.sent_at_ms - f.sent_at_ms) / 1000.0 END AS first_response_seconds,
  r.author_kind AS first_response_by,
  CASE WHEN a.sent_at_ms > f.sent_at_ms THEN (a.sent_at_ms - f.sent_at_ms) / 1000.0 END AS first_agent_response_seconds,
  CASE WHEN b.provider <> 'brilliant_directories' THEN b.escalated_by_provider OR b.agent_messages > 0 END AS escalated,
  CASE WHEN b.provider <> 'brilliant_directories' THEN
    b.contact_messages > 0 AND b.bot_messages > 0 AND b.agent_messages = 0 AND NOT b.escalated_by_provider
  END AS contained,
  -- No turn is open: the last word is not the contact's.
  (SELECT m.author_kind FROM messages AS m
    WHERE m.conversation_id = b.conversation_id AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL
      AND m.author_kind IN ('contact', 'bot', 'agent')
    ORDER BY m.sent_at_ms DESC, m.seq DESC, m.id DESC LIMIT 1) IS NOT 'contact' AS answered,
  b.complete
FROM (
  SELECT
    s.name AS source,
    s.provider AS provider,
    ch.kind AS channel,
    c.id AS conversation_id,
    c.external_id AS conversation_external_id,
    c.title AS title,
    p.name AS contact,
    c.started_at AS started_at,
    c.complete AS complete,
    coalesce(c.escalated, 0) AS escalated_by_provider,
    (SELECT min(m.sent_at) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL) AS first_message_at,
    (SELECT max(m.sent_at) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL) AS last_message_at,
    (SELECT count(*) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL) AS messages,
    (SELECT count(*) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'contact') AS contact_messages,
    (SELECT count(*) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'bot') AS bot_messages,
    (SELECT count(*) FROM messages AS m
      WHERE m.conversation_id = c.id AND m.deleted_at_ms IS NULL AND m.author_kind = 'agent') AS agent_messages
  FROM conversations AS c
  JOIN sources AS s ON s.id = c.source_id
  LEFT JOIN channels AS ch ON ch.id = c.channel_id
  LEFT JOIN participants AS p ON p.id = c.contact_id
  WHERE c.deleted_at_ms IS NULL
) AS b
LEFT JOIN messages AS f ON f.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = b.conversation_id AND m.deleted_at_ms IS NULL AND m.sent_at_ms IS NOT NULL
    AND m.author_kind = 'contact'
  ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)
LEFT JOIN messages AS r ON r.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = b.conversation_id AND m.deleted_at_ms IS NULL
    AND m.author_kind IN ('bot', 'agent') AND (m.sent_at_ms, m.seq, m.id) > (f.sent_at_ms, f.seq, f.id)
  ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1)
LEFT JOIN messages AS a ON a.id = (
  SELECT m.id FROM messages AS m
  WHERE m.conversation_id = b.conversation_id AND m.deleted_at_ms IS NULL
    AND m.author_kind = 'agent' AND (m.sent_at_ms, m.seq, m.id) > (f.sent_at_ms, f.seq, f.id)
  ORDER BY m.sent_at_ms, m.seq, m.id LIMIT 1);

CREATE VIEW v_sources AS
SELECT
  s.name AS source,
  s.provider AS provider,
  (SELECT r.status FROM sync_runs AS r WHERE r.source_id = s.id AND r.mode <> 'retry' ORDER BY r.id DESC LIMIT 1) AS last_run_status,
  ok.finished_at AS last_success_at,
  round((julianday('now') - 2440587.5) * 86400.0 - ok.finished_at_ms / 1000.0, 3) AS lag_seconds,
  (SELECT count(*) FROM conversations AS c WHERE c.source_id = s.id AND c.deleted_at_ms IS NULL) AS conversations,
  (SELECT count(*) FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
    WHERE c.source_id = s.id AND c.deleted_at_ms IS NULL AND m.deleted_at_ms IS NULL) AS messages,
  (SELECT count(*) FROM conversations AS c
    WHERE c.source_id = s.id AND c.complete = 0 AND c.deleted_at_ms IS NULL) AS incomplete,
  (SELECT count(*) FROM dead_letters AS d WHERE d.source_id = s.id AND d.resolved_at_ms IS NULL) AS dead_letters
FROM sources AS s
LEFT JOIN sync_runs AS ok ON ok.id = (
  SELECT r.id FROM sync_runs AS r WHERE r.source_id = s.id AND r.status = 'ok' AND r.mode <> 'retry' ORDER BY r.id DESC LIMIT 1);
