//! The JSON API: what its description says, its answers hold; pages of a list hold every row once.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::Value;

use crate::faults::play;
use crate::web_scene::{HOSTILE, Stage, settle};

/// What is not as the schema says. As much of JSON Schema as the description uses; anything else in it is a failure.
fn differences(description: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(named) = schema["$ref"].as_str() {
        let schema = description.pointer(named.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{named}"));
        return differences(description, schema, value, at, found);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
        other => panic!("{at}: a type is missing: {other}"),
    };
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: {other}"),
    };
    if !types.iter().any(|name| is(name)) {
        found.push(format!("{at}: {value} is no {types:?}"));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if schema["format"] == "date-time" && value.as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_err()) {
        found.push(format!("{at}: {value} is no time"));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        differences(description, &schema["items"], item, &format!("{at}/{n}"), found);
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(required.as_str().unwrap()) {
                found.push(format!("{at}: {required} is missing"));
            }
        }
        for (name, field) in fields {
            match known.get(name) {
                Some(schema) => differences(description, schema, field, &format!("{at}/{name}"), found),
                None => found.push(format!("{at}: nothing is said of {name}")),
            }
        }
    }
}

/// A value that makes sense for a parameter.
fn sensible(parameter: &Value) -> String {
    let name = parameter["name"].as_str().unwrap();
    let schema = &parameter["schema"];
    match name {
        "zone" => "Asia%2FKolkata",
        "source" => "agents",
        "since" => "2020-01-01",
        "until" => "2100-01-01",
        "person" => "90001",
        "conversation" => "90001",
        "message" | "before" => "9000003",
        "name" => "script",
        "q" => "order",
        "after" => "",
        "limit" => "3",
        "unanswered" | "escalated" | "incomplete" | "deleted" | "resolved" => "1",
        _ => schema["enum"][0].as_str().unwrap(),
    }
    .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_answers_as_it_is_described() {
    let stage = Stage::set("", None, |_| {}).await;
    let description = stage.get("/api/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/api.rs")).unwrap();
    let routes: BTreeSet<&str> =
        source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(routes, paths.keys().map(String::as_str).collect());
    for (path, item) in paths {
        let get = &item["get"];
        let schema = &get["responses"]["200"]["content"]["application/json"]["schema"];
        let id = if path.starts_with("/api/people") || path.starts_with("/api/conversations") { "90001" } else { "" };
        let bare = path.replace("{id}", id);
        let none = Vec::new();
        let parameters = get["parameters"].as_array().unwrap_or(&none);
        let mut asked = vec![if bare == "/api/search" { format!("{bare}?q=order") } else { bare.clone() }];
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let more = if bare == "/api/search" && name != "q" { "q=order&" } else { "" };
            asked.push(format!("{bare}?{more}{name}={}", sensible(parameter)));
        }
        for asked in &asked {
            let answer = stage.get(asked).await;
            assert_eq!(answer.status, 200, "{asked}: {answer:?}");
            assert!(answer.head.contains("content-type: application/json") && answer.head.contains("nosniff"));
            let mut found = Vec::new();
            differences(&description, schema, &answer.json(), asked, &mut found);
            assert_eq!(found, Vec::<String>::new());
        }
        // Whatever is not described is refused, with what there is.
        let more = if bare == "/api/search" { "q=order&" } else { "" };
        if bare != "/api/openapi.json" {
            let refused = stage.get(&format!("{bare}?{more}colour=red")).await;
            let told = refused.json()["error"].as_str().unwrap().to_owned();
            assert!(refused.status == 400 && told.contains("\"colour\""), "{refused:?}");
            for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
                assert!(told.contains(parameter["name"].as_str().unwrap()), "{told}: {parameter}");
            }
        }
        if path.contains("{id}") {
            for missing in ["4711471147", "x", "-1", "99999999999999999999999"] {
                let answer = stage.get(&path.replace("{id}", missing)).await;
                assert!(answer.status == 404 && answer.json()["error"].is_string(), "{answer:?}");
            }
        }
    }
    for senseless in ["days=7", "days=-1", "zone=Mars%2FPhobos", "days=30&days=90"] {
        assert_eq!(stage.get(&format!("/api/hourly?{senseless}")).await.status, 400, "{senseless}");
    }
    for senseless in
        ["limit=0", "limit=501", "after=x", "after=1", "since=yesterday", "channel=fax", "unanswered=maybe"]
    {
        assert_eq!(stage.get(&format!("/api/conversations?{senseless}")).await.status, 400, "{senseless}");
    }
    for list in ["daily", "conversations", "messages", "runs", "dead-letters"] {
        let answer = stage.get(&format!("/api/{list}?source=agent")).await;
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && told.contains("agents, bots, directory"), "{list}: {told}");
    }
    let hostile = stage.get("/api/conversations/90001").await.json();
    let texts: Vec<&str> =
        hostile["messages"].as_array().unwrap().iter().map(|message| message["body_text"].as_str().unwrap()).collect();
    assert!(texts.contains(&HOSTILE) && texts[0] == "no time is known", "{texts:?}");
    std::fs::remove_file(stage.home.db()).unwrap();
    let gone = stage.get("/api/runs").await;
    assert!(gone.status == 503 && gone.json()["error"].as_str().unwrap().contains("chatloom sync"), "{gone:?}");
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stretch_holds_the_message_that_was_asked_for() {
    let stage = Stage::set("", None, |store| {
        store
            .execute_batch(
                "INSERT INTO conversations (id, source_id, external_id, status, rev) VALUES (90010, 1, 'long', 'open', 900010);
                 WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29)
                 INSERT INTO messages (id, conversation_id, external_id, author_kind, kind, seq, sent_at_ms, body_text, content_hash, rev)
                   SELECT 9100000 + i, 90010, 'l' || i, 'contact', 'text', i, 1700000000000 + i,
                     replace(hex(zeroblob(20000)), '00', '漢'), 0, 900100 + i FROM n;",
            )
            .unwrap();
    })
    .await;
    for (message, limit) in [(9_100_029, 500), (9_100_015, 500), (9_100_000, 500), (9_100_020, 5), (9_100_020, 1)] {
        let part = stage.get(&format!("/api/conversations/90010?message={message}&limit={limit}")).await.json();
        let ids: Vec<i64> =
            part["messages"].as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect();
        assert!(ids.contains(&message) && ids.len() <= limit, "{message}: {ids:?}");
        // What is left out is told on both sides.
        assert_eq!(part["before"].as_i64(), Some(ids[0]).filter(|first| *first > 9_100_000), "{ids:?}");
        assert_eq!(part["after"].as_i64(), ids.last().copied().filter(|last| *last < 9_100_029), "{ids:?}");
    }
    let page = stage.get("/conversations/90010?message=9100029").await.body;
    assert!(page.contains("id=\"m9100029\""));
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_leaves_deleted_conversations_out_unless_asked() {
    let stage = Stage::set("", None, |store| {
        store.execute("UPDATE conversations SET deleted_at_ms = 1700000000000 WHERE id = 90001", []).unwrap();
    })
    .await;
    let gone = async |path: &str| -> Vec<String> {
        let told = stage.get(path).await.json();
        let messages = told["messages"].as_array().unwrap().iter();
        messages
            .filter(|message| message["conversation_id"] == 90001)
            .map(|message| message["conversation_deleted_at"].as_str().unwrap_or("live").to_owned())
            .collect()
    };
    assert!(gone("/api/messages?conversation=90001").await.is_empty());
    assert!(gone("/api/messages?after=900000").await.is_empty());
    let all = vec!["2023-11-14T22:13:20.000Z".to_owned(); 5];
    assert_eq!(gone("/api/messages?conversation=90001&deleted=1").await, all);
    assert_eq!(gone("/api/messages?after=900000&deleted=1").await, all);
    let live = stage.get("/api/messages?limit=1").await.json();
    assert!(live["messages"][0]["conversation_deleted_at"].is_null());
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_one_shape_even_where_no_route_is() {
    let stage = Stage::set("", None, |_| {}).await;
    for path in ["/api", "/api/", "/api/nothing", "/api/people/%ff", "/api/conversations/%F0%9F", "/api/people/1/x"] {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{path}: {}", answer.head);
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    for path in ["/nothing", "/people/%ff", "/conversations/%F0%9F", "/apix"] {
        let answer = stage.get(path).await;
        assert!(answer.status == 404 && answer.body.contains("There is nothing here</h1>"), "{path}: {answer:?}");
    }
    for (head, status) in [
        ("POST /api/people HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET /api/people HTTP/1.1\r\nHost: attacker.example.test\r\n\r\n", 421),
        ("GET /api/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 413),
    ] {
        let answer = crate::telling::ask(stage.listener.served.address, head).await;
        assert!(answer.status == status && answer.json()["error"].is_string(), "{head}: {answer:?}");
        assert!(status != 405 || answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    stage.listener.close().await;
}

/// Walks a list page by page; between any two pages something new comes on top.
async fn walk(stage: &Stage, path: &str, list: &str, id: &str, mut between: impl FnMut(usize)) -> Vec<i64> {
    let (mut ids, mut at) = (Vec::new(), path.to_owned());
    for page in 0..10_000 {
        let answer = stage.get(&at).await;
        assert_eq!(answer.status, 200, "{at}: {answer:?}");
        let answer = answer.json();
        ids.extend(answer[list].as_array().unwrap().iter().map(|row| row[id].as_i64().unwrap()));
        let next = match &answer["next"] {
            Value::Null => return ids,
            Value::String(next) => next.clone(),
            next => next.to_string(),
        };
        if answer["more"] == false {
            return ids;
        }
        at = format!("{path}&after={next}");
        between(page);
    }
    panic!("{path} has no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_row_once_while_new_ones_come() {
    let stage = Stage::set("", None, |_| {}).await;
    let all = |sql: &str| -> Vec<i64> { stage.home.rows(sql).iter().map(|id| id.parse().unwrap()).collect() };
    let before =
        all("SELECT conversation_id FROM conversation_stats AS k JOIN conversations AS c ON c.id = k.conversation_id
        WHERE c.deleted_at_ms IS NULL ORDER BY k.last_message_at_ms DESC, c.id DESC");
    let writer = Connection::open(stage.home.db()).unwrap();
    let met = walk(&stage, "/api/conversations?limit=37", "conversations", "id", |page| {
        writer
            .execute_batch(&format!(
                "INSERT INTO conversations (id, source_id, external_id, status, rev) VALUES (95000 + {page}, 1, 'new{page}', 'open', 1);
                 INSERT INTO messages (conversation_id, external_id, author_kind, kind, seq, sent_at_ms, body_text, content_hash, rev)
                   VALUES (95000 + {page}, 'n', 'contact', 'text', 0, 4000000000000, 'new', 0, 1);"
            ))
            .unwrap();
        settle(&writer);
    })
    .await;
    assert_eq!(met, before);
    for (filter, condition) in [
        ("source=agents", "source = 'agents'"),
        ("channel=whatsapp", "channel = 'whatsapp'"),
        ("unanswered=1", "waiting_since IS NOT NULL"),
        ("escalated=1", "escalated"),
        ("incomplete=1", "NOT complete"),
        ("source=agents&escalated=1", "source = 'agents' AND escalated"),
        ("since=2026-01-01", "last_message_at >= '2026-01-01'"),
        ("person=90001", "conversation_id = 90001"),
    ] {
        let met = walk(&stage, &format!("/api/conversations?limit=50&{filter}"), "conversations", "id", |_| {}).await;
        let wanted = all(&format!("SELECT conversation_id FROM v_conversations WHERE {condition}"));
        assert_eq!(met.iter().collect::<BTreeSet<_>>(), wanted.iter().collect(), "{filter}");
        assert_eq!(met.len(), wanted.len(), "{filter}");
    }
    let met = walk(&stage, "/api/messages?limit=100&source=agents", "messages", "id", |_| {}).await;
    let wanted = all("SELECT m.id FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
        WHERE c.source_id = 2 AND m.deleted_at_ms IS NULL AND c.deleted_at_ms IS NULL ORDER BY m.rev");
    assert_eq!(met.iter().collect::<BTreeSet<_>>(), wanted.iter().collect());
    assert_eq!(met.len(), wanted.len());
    let met = walk(&stage, "/api/people?limit=7", "people", "person_id", |_| {}).await;
    assert_eq!(met, all("SELECT person_id FROM v_people ORDER BY person_id DESC"));
    let met = walk(&stage, "/api/runs?limit=1", "runs", "id", |_| {}).await;
    assert_eq!(met, all("SELECT id FROM sync_runs ORDER BY id DESC"));
    // A transcript from both ends, a message at a time, the one without a time first.
    let wanted = all("SELECT id FROM messages WHERE conversation_id = 90001 ORDER BY sent_at_ms, seq, id");
    for (way, turned) in [("after", false), ("before", true)] {
        let mut met = vec![wanted[if turned { wanted.len() - 1 } else { 0 }]];
        loop {
            let last = met.last().unwrap();
            let part = stage.get(&format!("/api/conversations/90001?limit=1&{way}={last}")).await.json();
            match part["messages"].as_array().unwrap().first() {
                Some(message) => met.push(message["id"].as_i64().unwrap()),
                None => break,
            }
        }
        if turned {
            met.reverse();
        }
        assert_eq!(met, wanted, "{way}");
    }
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_the_views() {
    let stage = Stage::set("", None, crate::web_scene::many).await;
    let sum = |rows: &Value, name: &str| -> i64 {
        rows.as_array().unwrap().iter().map(|row| row[name].as_i64().unwrap_or(0)).sum()
    };
    let daily = stage.get("/api/daily?days=all").await.json();
    let overview = stage.get("/api/overview?days=all").await.json();
    for name in
        ["conversations", "contact_messages", "bot_messages", "agent_messages", "contained", "escalated", "unanswered"]
    {
        let wanted = stage.number(&format!("SELECT coalesce(sum({name}), 0) FROM v_daily"));
        assert_eq!(sum(&daily["days"], name), wanted, "{name}");
        assert_eq!(overview["total"][name], wanted, "{name}");
        assert_eq!(sum(&overview["stretches"], name), wanted, "{name}");
    }
    assert_eq!(
        overview["waiting"]["count"],
        stage.number("SELECT count(*) FROM v_conversations WHERE waiting_since IS NOT NULL")
    );
    let hourly = stage.get("/api/hourly?days=all").await.json();
    let told: Vec<String> = hourly["hours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hour| format!("{}|{}|{}", hour["weekday"], hour["hour"], hour["contact_messages"]))
        .collect();
    assert_eq!(told, stage.home.rows("SELECT weekday, hour, contact_messages FROM v_hourly ORDER BY 1, 2"));
    let times = stage.get("/api/response-times?days=all").await.json();
    // Where there are no bots nothing was contained, and not nothing of something.
    for source in times["sources"].as_array().unwrap() {
        let without = source["provider"] == "brilliant_directories";
        assert_eq!((source["contained"].is_null(), source["escalated"].is_null()), (without, without), "{source}");
    }
    assert!(times["sources"].to_string().contains("brilliant_directories"));
    for source in times["sources"].as_array().unwrap() {
        let median = stage.home.number_of(&format!(
            "WITH r AS (SELECT first_response_seconds AS s, row_number() OVER (ORDER BY first_response_seconds) AS place, count(*) OVER () AS n
               FROM v_conversations WHERE source = {} AND first_response_seconds IS NOT NULL)
             SELECT avg(s) FROM r WHERE place IN ((n + 1) / 2, (n + 2) / 2)",
            source["source"].to_string().replace('"', "'")
        ));
        let told = source["first_response_median_seconds"].as_f64().unwrap();
        assert!((told - median).abs() <= median * 1e-14, "{source}: {median}");
    }
    stage.listener.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_somebody_types_patterns() {
    play("I9", async {
        let stage = Stage::set("", None, |_| {}).await;
        let nested = format!("{}a{}!", "(".repeat(40), "+)".repeat(40)).replace('+', "%2B");
        let percents = "%25".repeat(2_000);
        for pattern in
            ["%25%25%25", "%25_%25_%25", ".*", "%5Ea*%24", "a%00b", "%F0%9F", &percents, &nested, "'%20OR%201=1--"]
        {
            for path in ["/api/search?q=", "/search?q=", "/api/people?name=", "/people?name="] {
                let answer = stage.get(&format!("{path}{pattern}")).await;
                assert_eq!(answer.status, 200, "{path}{pattern}: {answer:?}");
                // Nobody is called that, and no message says so: a sign stands for itself alone.
                if path.starts_with("/api") && !pattern.contains("OR") {
                    let told = answer.json();
                    let found = told.get("hits").or(told.get("people")).unwrap().as_array().unwrap();
                    assert!(
                        pattern == "%5Ea*%24" || pattern == &*nested || found.is_empty(),
                        "{path}{pattern}: {told}"
                    );
                }
            }
            for name in ["source", "status", "channel", "person", "since"] {
                let answer = stage.get(&format!("/api/conversations?{name}={pattern}")).await;
                let none = answer.status == 400 || answer.json()["conversations"] == serde_json::json!([]);
                assert!(none, "{name}={pattern}: {answer:?}");
            }
        }
        stage.listener.close().await;
    })
    .await;
}
