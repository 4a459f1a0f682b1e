-- For DuckDB: the views of chatloom.db under their own names, with types and with the right numbers.
--
--   duckdb -init duckdb.sql          or, in Python: con.execute(open("duckdb.sql").read())
--
-- The views of the attached file (chatloom.v_daily and so on) have the same rows, but DuckDB knows no types for them: what
-- SQLite computes comes as text. Hence the types here. Through sqlite_query the work is SQLite's, with its indexes.
ATTACH IF NOT EXISTS 'chatloom.db' AS chatloom (TYPE sqlite, READ_ONLY);

CREATE OR REPLACE VIEW v_conversations AS SELECT
  source, provider, channel, CAST(conversation_id AS BIGINT) AS conversation_id, conversation_external_id, title,
  contact, CAST(started_at AS TIMESTAMP) AS started_at, CAST(first_message_at AS TIMESTAMP) AS first_message_at,
  CAST(last_message_at AS TIMESTAMP) AS last_message_at, CAST(messages AS BIGINT) AS messages,
  CAST(contact_messages AS BIGINT) AS contact_messages, CAST(bot_messages AS BIGINT) AS bot_messages,
  CAST(agent_messages AS BIGINT) AS agent_messages,
  CAST(first_response_seconds AS DOUBLE) AS first_response_seconds, first_response_by,
  CAST(first_agent_response_seconds AS DOUBLE) AS first_agent_response_seconds,
  CAST(escalated AS BIGINT) AS escalated, CAST(contained AS BIGINT) AS contained,
  CAST(answered AS BIGINT) AS answered, CAST(complete AS BIGINT) AS complete,
  CAST(first_bot_response_seconds AS DOUBLE) AS first_bot_response_seconds, CAST(reopened AS BIGINT) AS reopened,
  CAST(first_contact_at AS TIMESTAMP) AS first_contact_at, CAST(waiting_since AS TIMESTAMP) AS waiting_since
FROM sqlite_query('chatloom', 'SELECT * FROM v_conversations');

CREATE OR REPLACE VIEW v_daily AS SELECT
  source, channel, CAST(day AS DATE) AS day, CAST(conversations AS BIGINT) AS conversations,
  CAST(contact_messages AS BIGINT) AS contact_messages, CAST(bot_messages AS BIGINT) AS bot_messages,
  CAST(agent_messages AS BIGINT) AS agent_messages, CAST(contained AS BIGINT) AS contained,
  CAST(escalated AS BIGINT) AS escalated, CAST(unanswered AS BIGINT) AS unanswered
FROM sqlite_query('chatloom', 'SELECT * FROM v_daily');

CREATE OR REPLACE VIEW v_episodes AS SELECT
  source, channel, CAST(conversation_id AS BIGINT) AS conversation_id, CAST(episode AS BIGINT) AS episode,
  CAST(began_at AS TIMESTAMP) AS began_at, CAST(ended_at AS TIMESTAMP) AS ended_at,
  CAST(messages AS BIGINT) AS messages, CAST(contact_messages AS BIGINT) AS contact_messages,
  CAST(bot_messages AS BIGINT) AS bot_messages, CAST(agent_messages AS BIGINT) AS agent_messages
FROM sqlite_query('chatloom', 'SELECT * FROM v_episodes');

CREATE OR REPLACE VIEW v_hourly AS SELECT
  CAST(weekday AS BIGINT) AS weekday, CAST(hour AS BIGINT) AS hour, CAST(conversations AS BIGINT) AS conversations,
  CAST(contact_messages AS BIGINT) AS contact_messages
FROM sqlite_query('chatloom', 'SELECT * FROM v_hourly');

CREATE OR REPLACE VIEW v_messages AS SELECT
  source, provider, channel, CAST(conversation_id AS BIGINT) AS conversation_id, conversation_external_id,
  CAST(message_id AS BIGINT) AS message_id, message_external_id, CAST(sent_at AS TIMESTAMP) AS sent_at,
  CAST(sent_at_ms AS BIGINT) AS sent_at_ms, author_kind, author, body_text, CAST(reaction AS BIGINT) AS reaction,
  kind, CAST(seq AS BIGINT) AS seq, CAST(rev AS BIGINT) AS rev
FROM sqlite_query('chatloom', 'SELECT * FROM v_messages');

CREATE OR REPLACE VIEW v_people AS SELECT
  CAST(person_id AS BIGINT) AS person_id, name, CAST(conversations AS BIGINT) AS conversations, providers,
  CAST(first_contact_at AS TIMESTAMP) AS first_contact_at, CAST(last_contact_at AS TIMESTAMP) AS last_contact_at
FROM sqlite_query('chatloom', 'SELECT * FROM v_people');

CREATE OR REPLACE VIEW v_response_quantiles AS SELECT
  source, channel, "by", CAST(n AS BIGINT) AS n, CAST(median_seconds AS DOUBLE) AS median_seconds,
  CAST(p90_seconds AS DOUBLE) AS p90_seconds
FROM sqlite_query('chatloom', 'SELECT * FROM v_response_quantiles');

CREATE OR REPLACE VIEW v_response_times AS SELECT
  CAST(conversation_id AS BIGINT) AS conversation_id, CAST(asked_at AS TIMESTAMP) AS asked_at,
  CAST(replied_at AS TIMESTAMP) AS replied_at, CAST(seconds AS DOUBLE) AS seconds, "by",
  CAST("first" AS BIGINT) AS "first", source, channel, CAST(asked_message_id AS BIGINT) AS asked_message_id,
  CAST(reply_message_id AS BIGINT) AS reply_message_id
FROM sqlite_query('chatloom', 'SELECT * FROM v_response_times');

CREATE OR REPLACE VIEW v_sources AS SELECT
  source, provider, last_run_status, CAST(last_success_at AS TIMESTAMP) AS last_success_at,
  CAST(lag_seconds AS DOUBLE) AS lag_seconds, CAST(conversations AS BIGINT) AS conversations,
  CAST(messages AS BIGINT) AS messages, CAST(incomplete AS BIGINT) AS incomplete,
  CAST(dead_letters AS BIGINT) AS dead_letters
FROM sqlite_query('chatloom', 'SELECT * FROM v_sources');

CREATE OR REPLACE VIEW v_visits AS SELECT
  CAST(person_id AS BIGINT) AS person_id, source, provider, channel,
  CAST(conversation_id AS BIGINT) AS conversation_id, CAST(came_at AS TIMESTAMP) AS came_at,
  CAST(visit AS BIGINT) AS visit, CAST(seconds_since_last AS DOUBLE) AS seconds_since_last
FROM sqlite_query('chatloom', 'SELECT * FROM v_visits');
