"""The support metrics worked out a second time, from messages alone and from docs/metrics.md alone, in plain Python: no
SQL of ours is in here. Fills a store with conversations that have every pitfall and compares each view with it.

    python metrics_oracle.py STORE SEED

STORE was made by chatloom, with the reporting zone that it is to be tried in.
"""

import collections
import datetime
import math
import random
import sqlite3
import statistics
import sys
import zoneinfo

STORE, SEED = sys.argv[1], int(sys.argv[2])
DAY_MS = 86_400_000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

Message = collections.namedtuple("Message", "id conversation seq at kind deleted")
Turn = collections.namedtuple("Turn", "asked replied seconds by first")


def moment(ms):
    return EPOCH + datetime.timedelta(milliseconds=ms)


def written(ms):
    """As a text time is written."""
    if ms is None:
        return None
    at = moment(ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def changes_of_clocks(zone):
    """Moments, to the hour, around which the zone's clocks are changed."""
    hours = (EPOCH + datetime.timedelta(hours=hour) for hour in range(0, 60 * 366 * 24, 24))
    found, before = [], None
    for at in hours:
        offset = at.astimezone(zone).utcoffset()
        if before is not None and offset != before:
            found.append(int((at - EPOCH).total_seconds()) * 1000 - DAY_MS // 2)
        before = offset
    return found


def fill(store, rng, zone):
    """Conversations with whatever may be odd about one."""
    first = {table: store.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0] for table in
             ("sources", "channels", "participants", "people", "conversations", "messages")}
    providers = ["brilliant_directories", "zaia", "sitegpt", "zaia"]
    sources = [(first["sources"] + number, provider) for number, provider in enumerate(providers)]
    store.executemany("INSERT INTO sources (id, name, provider, base_url) VALUES (?1, 'made-' || ?1, ?2, 'https://example.test')", sources)
    channels, people, participants = [], [], []
    kinds = ["live_chat", "whatsapp", "widget", "instagram"]
    for source, _ in sources:
        for _ in range(2):
            channels.append((first["channels"] + len(channels), source, rng.choice(kinds)))
    store.executemany("INSERT INTO channels (id, source_id, external_id, kind, rev) VALUES (?1, ?2, 'c' || ?1, ?3, 1)", channels)
    for number in range(12):
        people.append((first["people"] + number, f"Person {number}"))
    store.executemany("INSERT INTO people (id, name) VALUES (?, ?)", people)
    for number in range(30):
        person = rng.choice(people)[0] if rng.random() < 0.8 else None
        participants.append((first["participants"] + number, rng.choice(sources)[0], person))
    store.executemany("INSERT INTO participants (id, source_id, external_id, kind, person_id, rev) VALUES (?1, ?2, 'p' || ?1, 'contact', ?3, 1)", participants)
    changes = changes_of_clocks(zone)
    messages = []
    for number in range(140):
        source, provider = rng.choice(sources)
        own = [row for row in channels if row[1] == source]
        channel = rng.choice(own)[0] if rng.random() < 0.85 else None
        contacts = [row[0] for row in participants if row[1] == source]
        contact = rng.choice(contacts) if contacts and rng.random() < 0.8 else None
        escalated = None if provider == "brilliant_directories" else rng.choice([None, 0, 0, 1])
        deleted = 1 if rng.random() < 0.1 else None
        conversation = first["conversations"] + number
        store.execute(
            "INSERT INTO conversations (id, source_id, external_id, channel_id, contact_id, escalated, complete, deleted_at_ms, rev)"
            " VALUES (?1, ?2, 'c' || ?1, ?3, ?4, ?5, ?6, ?7, 1)",
            (conversation, source, channel, contact, escalated, rng.choice([0, 1, 1]), deleted))
        near = changes and rng.random() < 0.5
        at = rng.choice(changes) + rng.randrange(-DAY_MS, DAY_MS) if near else rng.randrange(-DAY_MS * 900, 2_000_000_000_000)
        people_who = rng.choice([["contact", "bot"], ["contact", "agent"], ["agent", "contact"],
                                 ["contact", "bot", "agent", "system", "unknown"]])
        seq = 0
        for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 14])):
            at += rng.choice([0, 0, 1, 999, rng.randrange(60_000), rng.randrange(3_600_000), DAY_MS, DAY_MS + 1, 3 * DAY_MS])
            seq += rng.choice([0, 1, 1, -1])
            messages.append((conversation, max(seq, 0), None if rng.random() < 0.08 else at,
                             rng.choice(people_who), 1 if rng.random() < 0.1 else None))
    # What came first is not what has the smaller number.
    rng.shuffle(messages)
    store.executemany(
        "INSERT INTO messages (conversation_id, external_id, seq, sent_at_ms, author_kind, deleted_at_ms, kind, body_text, content_hash, rev)"
        " VALUES (?1, 'm' || ?2, ?3, ?4, ?5, ?6, 'text', 'x', 0, 1)",
        [(conversation, number, *rest) for number, (conversation, *rest) in enumerate(messages)])
    kept = [row[1] for row in store.execute("PRAGMA table_info(conversation_stats)")]
    store.execute(f"INSERT OR REPLACE INTO conversation_stats ({', '.join(kept)}) SELECT {', '.join(kept)} FROM conversation_metrics")
    store.commit()


class Conversation:
    """One conversation that is not deleted, and what docs/metrics.md says of it."""

    def __init__(self, row, messages):
        self.id, self.source, self.provider, self.channel, self.person, self.by_provider = row
        live = [message for message in messages if message.deleted is None]
        self.live = live
        self.counts = collections.Counter(message.kind for message in live)
        self.talk = sorted((m for m in live if m.at is not None and m.kind in ("contact", "bot", "agent")),
                           key=lambda m: (m.at, m.seq, m.id))
        self.times = [message.at for message in live if message.at is not None]
        self.asked = [message for message in self.talk if message.kind == "contact"]
        self.turns = []
        asked = None
        for message in self.talk:
            if message.kind == "contact":
                asked = asked or message
            elif asked:
                self.turn(asked, message)
                asked = None
        self.waiting = asked
        if asked:
            self.turn(asked, None)
        self.has_bots = self.provider != "brilliant_directories"
        handed = bool(self.by_provider) or self.counts["agent"] > 0
        self.escalated = int(handed) if self.has_bots else None
        bot_alone = self.counts["contact"] > 0 and self.counts["bot"] > 0 and not handed
        self.contained = int(bot_alone) if self.has_bots else None
        self.episodes = []
        for message in self.talk:
            if not self.episodes or message.at - self.episodes[-1][-1].at > DAY_MS:
                self.episodes.append([])
            self.episodes[-1].append(message)

    def turn(self, asked, reply):
        took = seconds_between(asked, reply)
        self.turns.append(Turn(asked, reply, took, reply and reply.kind, int(not self.turns)))

    def first_by(self, kind):
        """From the first question to the first message of a kind after it."""
        if not self.asked:
            return None
        later = self.talk[self.talk.index(self.asked[0]) + 1 :]
        return seconds_between(self.asked[0], next((message for message in later if message.kind == kind), None))


def seconds_between(asked, reply):
    """Unknown where there is no reply, and where both carry one time."""
    return (reply.at - asked.at) / 1000 if reply and reply.at > asked.at else None


def loaded(store):
    by_conversation = collections.defaultdict(list)
    for row in store.execute("SELECT id, conversation_id, seq, sent_at_ms, author_kind, deleted_at_ms FROM messages"):
        by_conversation[row[1]].append(Message(*row))
    rows = store.execute(
        "SELECT c.id, s.name, s.provider, h.kind, p.person_id, c.escalated FROM conversations c JOIN sources s ON s.id = c.source_id"
        " LEFT JOIN channels h ON h.id = c.channel_id LEFT JOIN participants p ON p.id = c.contact_id WHERE c.deleted_at_ms IS NULL")
    return [Conversation(row, by_conversation[row[0]]) for row in rows]


def add(values):
    """A sum that is NULL where nothing applies."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def wanted_of(store, conversations, zone):
    views = {}
    views["v_conversations", "conversation_id, source, provider, channel, first_message_at, last_message_at, messages, contact_messages,"
          " bot_messages, agent_messages, first_response_seconds, first_response_by, first_bot_response_seconds,"
          " first_agent_response_seconds, escalated, contained, answered, reopened, first_contact_at, waiting_since"] = [
        (c.id, c.source, c.provider, c.channel, written(min(c.times, default=None)), written(max(c.times, default=None)), len(c.live),
         c.counts["contact"], c.counts["bot"], c.counts["agent"], c.turns[0].seconds if c.turns else None,
         c.turns[0].by if c.turns else None, c.first_by("bot"), c.first_by("agent"), c.escalated, c.contained,
         int(c.waiting is None), max(len(c.episodes) - 1, 0), written(c.asked[0].at) if c.asked else None,
         written(c.waiting.at) if c.waiting else None)
        for c in conversations]
    views["v_response_times", 'conversation_id, asked_at, replied_at, seconds, "by", first, source, channel'] = [
        (c.id, written(t.asked.at), written(t.replied and t.replied.at), t.seconds, t.by, t.first, c.source, c.channel)
        for c in conversations for t in c.turns]
    groups = collections.defaultdict(list)
    for c in conversations:
        for turn in c.turns:
            if turn.seconds is not None:
                for by in (turn.by, None):
                    groups[c.source, c.channel, by].append(turn.seconds)
    views["v_response_quantiles", 'source, channel, "by", n, median_seconds, p90_seconds'] = [
        (*key, len(seconds), statistics.median(seconds), sorted(seconds)[math.ceil(len(seconds) * 9 / 10) - 1])
        for key, seconds in groups.items()]
    days = collections.defaultdict(list)
    for c in conversations:
        if c.asked:
            days[c.source, c.channel, written(c.asked[0].at)[:10]].append(c)
    views["v_daily", "source, channel, day, conversations, contact_messages, bot_messages, agent_messages, contained, escalated, unanswered"] = [
        (*key, len(of), *(sum(c.counts[kind] for c in of) for kind in ("contact", "bot", "agent")), add(c.contained for c in of),
         add(c.escalated for c in of), sum(c.waiting is not None for c in of))
        for key, of in days.items()]
    hours = collections.defaultdict(list)
    for c in conversations:
        for message in c.asked:
            at = moment(message.at).astimezone(zone)
            hours[at.isoweekday() % 7, at.hour].append(c.id)
    views["v_hourly", "weekday, hour, conversations, contact_messages"] = [
        (*key, len(set(of)), len(of)) for key, of in hours.items()]
    views["v_episodes", "source, channel, conversation_id, episode, began_at, ended_at, messages, contact_messages, bot_messages, agent_messages"] = [
        (c.source, c.channel, c.id, number, written(said[0].at), written(said[-1].at), len(said),
         *(sum(m.kind == kind for m in said) for kind in ("contact", "bot", "agent")))
        for c in conversations for number, said in enumerate(c.episodes, 1)]
    people, visits = [], []
    for person, name in store.execute("SELECT id, name FROM people").fetchall():
        providers = {row[0] for row in store.execute(
            "SELECT s.provider FROM participants p JOIN sources s ON s.id = p.source_id WHERE p.person_id = ?", [person])}
        if not providers:
            continue
        own = [c for c in conversations if c.person == person]
        asked = [message.at for c in own for message in c.asked]
        people.append((person, name, len(own), ",".join(sorted(providers)), written(min(asked, default=None)), written(max(asked, default=None))))
        came = sorted((c.asked[0].at, c.id, c) for c in own if c.asked)
        for number, (at, _, c) in enumerate(came):
            since = (at - came[number - 1][0]) / 1000 if number else None
            visits.append((person, c.source, c.provider, c.channel, c.id, written(at), number + 1, since))
    views["v_people", "person_id, name, conversations, providers, first_contact_at, last_contact_at"] = people
    views["v_visits", "person_id, source, provider, channel, conversation_id, came_at, visit, seconds_since_last"] = visits
    views["v_messages", "message_id, conversation_id, sent_at, sent_at_ms, author_kind, source, channel"] = [
        (m.id, c.id, written(m.at), m.at, m.kind, c.source, c.channel) for c in conversations for m in c.live]
    return views


def main():
    store = sqlite3.connect(STORE)
    store.execute("PRAGMA foreign_keys = ON")
    zone = zoneinfo.ZoneInfo(store.execute("SELECT timezone FROM reporting").fetchone()[0])
    fill(store, random.Random(SEED), zone)
    key = lambda row: tuple((value is not None, str(value)) for value in row)
    conversations, wrong = loaded(store), []
    for (view, columns), wanted in wanted_of(store, conversations, zone).items():
        assert wanted, f"{view}: nothing to compare"
        found = store.execute(f"SELECT {columns} FROM {view}").fetchall()
        if sorted(found, key=key) != sorted(wanted, key=key):
            more, less = set(found) - set(wanted), set(wanted) - set(found)
            wrong.append(f"{view} ({columns}), seed {SEED}, {zone}:\n  shown {sorted(more, key=key)[:3]}\n wanted {sorted(less, key=key)[:3]}")
    # The pitfalls are in there.
    assert any(c.talk and c.talk[0].kind == "agent" for c in conversations), "nobody was written to first"
    assert any(t.replied and t.seconds is None for c in conversations for t in c.turns), "no reply at the time of its question"
    assert any(m.at is None for c in conversations for m in c.live), "every message has a time"
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(conversations)} conversations agree")


if __name__ == "__main__":
    main()
