-- Schema version 3: what the web page lists. A released file never changes: a later version adds a file.

-- Conversations in the order of their last message, page by page.
CREATE INDEX conversation_stats_last ON conversation_stats (last_message_at_ms);
