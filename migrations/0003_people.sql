-- Schema version 3: people across providers. A released file never changes: a later version adds a file.
--
-- Participants of any source that share a normalised e-mail address or phone number are one person; a name links
-- nobody. What links stands in `participant_keys`, so a link goes when its address does.

CREATE INDEX participants_rev ON participants (rev);

-- `e:` and an address in small letters, or `p:` and a number as E.164 writes it.
CREATE TABLE participant_keys (
  participant_id INTEGER NOT NULL REFERENCES participants (id),
  key TEXT NOT NULL,
  PRIMARY KEY (participant_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX participant_keys_key ON participant_keys (key);
-- No key outlives the address that it comes from, whoever takes that away; what is there then is put in by the writer.
CREATE TRIGGER participant_keys_follow AFTER UPDATE OF email, phone ON participants
WHEN OLD.email IS NOT NEW.email OR OLD.phone IS NOT NEW.phone
BEGIN
  DELETE FROM participant_keys WHERE participant_id = NEW.id;
END;

-- One row per person: who came, how often, through which providers.
CREATE VIEW v_people AS
SELECT
  h.id AS person_id,
  h.name AS name,
  count(DISTINCT c.id) AS conversations,
  -- In the order of the alphabet, with commas.
  (SELECT group_concat(o.provider, ',') FROM (
    SELECT DISTINCT s.provider AS provider FROM participants AS q JOIN sources AS s ON s.id = q.source_id
    WHERE q.person_id = h.id ORDER BY s.provider) AS o) AS providers,
  min(k.first_contact_at) AS first_contact_at,
  max(k.last_contact_at) AS last_contact_at
FROM people AS h
JOIN participants AS p ON p.person_id = h.id
LEFT JOIN conversations AS c ON c.contact_id = p.id AND c.deleted_at_ms IS NULL
LEFT JOIN conversation_stats AS k ON k.conversation_id = c.id
GROUP BY h.id, h.name;

-- One row per conversation of a person, with the time since the one before it.
CREATE VIEW v_visits AS
SELECT
  p.person_id AS person_id,
  s.name AS source,
  s.provider AS provider,
  ch.kind AS channel,
  c.id AS conversation_id,
  k.first_contact_at AS came_at,
  row_number() OVER (PARTITION BY p.person_id ORDER BY k.first_contact_at_ms, c.id) AS visit,
  (k.first_contact_at_ms - lag(k.first_contact_at_ms) OVER (PARTITION BY p.person_id ORDER BY k.first_contact_at_ms, c.id))
    / 1000.0 AS seconds_since_last
FROM participants AS p
JOIN conversations AS c ON c.contact_id = p.id
JOIN conversation_stats AS k ON k.conversation_id = c.id
JOIN sources AS s ON s.id = c.source_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
WHERE p.person_id IS NOT NULL AND c.deleted_at_ms IS NULL AND k.first_contact_at_ms IS NOT NULL;
