//! J: ids, times, rows and texts that are not what was promised.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fault::{Answer, Fault};
use super::json::{SOURCES, makes_no_difference, never_good, places, rows, truth};
use super::play;
use super::stage::{Stage, part, sync};
use crate::harness::{assert_same, copy_of};

/// Turns every text of these names that is a number into a number.
fn as_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                match number
                    .filter(|_| matches!(name.as_str(), "message_id" | "thread_id" | "messageId" | "chatbotId" | "id"))
                {
                    Some(number) => *value = json!(number),
                    None => as_numbers(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_numbers),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j8_ids_of_every_kind() {
    play("J8", async {
        makes_no_difference(Fault::json(as_numbers)).await;

        let stage = Stage::paged().await;
        let ids: Vec<String> = {
            let threads = &stage.all.sitegpt.world().data.threads;
            (60..64).map(|n| threads[n].messages[0].id.clone()).collect()
        };
        let spelled = |id: &String| format!("\"messageId\":\"{id}\"");
        // Too large for any integer type, missing, null, and of a wrong type.
        let bad = [
            (spelled(&ids[0]), r#""messageId":98765432109876543210"#.to_owned()),
            (spelled(&ids[1]), r#""other":1"#.to_owned()),
            (spelled(&ids[2]), r#""messageId":null"#.to_owned()),
            (spelled(&ids[3]), r#""messageId":[1]"#.to_owned()),
        ];
        stage.sitegpt.always("/", replacing(bad.to_vec()));
        let bd: Vec<u64> = (60..64).map(|n| stage.all.bd.world().data.messages[n].id).collect();
        let spelled = |id: &u64| format!("\"message_id\":\"{id}\"");
        stage.bd.always(
            "/",
            replacing(vec![
                (spelled(&bd[0]), r#""message_id":98765432109876543210"#.to_owned()),
                (spelled(&bd[1]), r#""other":1"#.to_owned()),
                (spelled(&bd[2]), r#""message_id":null"#.to_owned()),
                (spelled(&bd[3]), r#""message_id":"x""#.to_owned()),
            ]),
        );
        let zaia: Vec<String> = (60..63).map(|n| stage.all.zaia.world().data.messages[n].id.clone()).collect();
        let spelled = |id: &String| format!("\"id\":\"{id}\"");
        stage.zaia.always(
            "/",
            replacing(vec![
                (spelled(&zaia[0]), r#""id":98765432109876543210"#.to_owned()),
                (spelled(&zaia[1]), r#""other":1"#.to_owned()),
                (spelled(&zaia[2]), r#""id":null"#.to_owned()),
            ]),
        );
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for (source, dead) in [("bd", 3), ("zaia", 2), ("v0", 3), ("v2", 3)] {
            assert_eq!(part(&done, source)["dead_letters"], dead, "{source}");
        }
        let exact =
            home.rows("SELECT DISTINCT external_id FROM messages WHERE external_id LIKE '98765432%' ORDER BY 1");
        assert_eq!(exact, ["98765432109876543210", "98765432109876543210:a", "98765432109876543210:q"]);
        stage.heal();
        for _ in 0..2 {
            home.sync_with(&["--full"]).await;
        }
        for source in SOURCES {
            let mut held = copy_of(&home, source);
            // The provider had it, and has it no more. A directory's list is swept along ids that a number can hold.
            held.retain(|(_, id), row| !(id.starts_with("98765432109876543210") && (row.4 || source == "bd")));
            assert_same(&held, &truth(&stage, source));
        }
    })
    .await;
}

/// Replaces texts by others, one after another.
fn replacing(pairs: Vec<(String, String)>) -> Fault {
    Fault::body(move |body| {
        let mut text = String::from_utf8(body).unwrap();
        for (from, to) in &pairs {
            text = text.replace(from.as_str(), to);
        }
        text.into_bytes()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn j9_times_of_every_kind() {
    play("J9", async {
        // What is sent, and what becomes of it: a time in milliseconds, none, or (`-1`) a dead letter.
        let times: Vec<(Value, Option<i64>)> = vec![
            (json!(1_772_452_800), Some(1_772_452_800_000)),
            (json!(1_772_452_800_123_i64), Some(1_772_452_800_123)),
            (json!("1772452800"), Some(1_772_452_800_000)),
            (json!("2026-03-02T12:00:00Z"), Some(1_772_452_800_000)),
            (json!("2026-03-02T13:00:00.5+01:00"), Some(1_772_452_800_500)),
            (json!(1_772_452_800.25), Some(-1)),
            (json!("99999999999999999999"), Some(-1)),
            (json!(u64::MAX), Some(-1)),
            (json!(-5), Some(-1)),
            (json!("0001-01-01T00:00:00Z"), Some(-1)),
            (json!("9999-12-31T23:59:59Z"), Some(-1)),
            (json!("soon"), Some(-1)),
            (json!("0000-00-00 00:00:00"), None),
            (json!("1970-01-01T00:00:00Z"), None),
            (json!(null), None),
        ];
        let stage = Stage::paged().await;
        let bd: Vec<String> = (0..times.len()).map(|n| stage.all.bd.world().data.messages[n].id.to_string()).collect();
        let zaia: Vec<String> =
            (0..times.len()).map(|n| stage.all.zaia.world().data.messages[n * 3].id.clone()).collect();
        let sitegpt: Vec<String> =
            (0..times.len()).map(|n| stage.all.sitegpt.world().data.threads[n].messages[1].id.clone()).collect();
        let editing = |ids: Vec<String>, key: &'static str, place: &'static str| {
            let sent: Vec<Value> = times.iter().map(|(sent, _)| sent.clone()).collect();
            Fault::json(move |body| {
                for row in rows(body).into_iter().flatten() {
                    let Some(at) = ids.iter().position(|id| row[key] == json!(id)) else { continue };
                    if let Some(time) = row.pointer_mut(place) {
                        *time = sent[at].clone();
                    }
                }
            })
        };
        stage.bd.always("/", editing(bd.clone(), "message_id", "/created_at"));
        stage.zaia.always("/", editing(zaia.clone(), "id", "/createdAt"));
        stage.sitegpt.always("/", editing(sitegpt.clone(), "messageId", "/question/timestamp"));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for (source, ids, suffix) in
            [("bd", bd, ""), ("zaia", zaia, ""), ("v0", sitegpt.clone(), ":q"), ("v2", sitegpt, ":q")]
        {
            let held = copy_of(&home, source);
            for ((sent, fate), id) in times.iter().zip(ids) {
                let stored = held.iter().find(|((_, message), _)| *message == format!("{id}{suffix}"));
                let told = format!("{source}: {sent} became {stored:?}");
                match (fate, stored) {
                    (Some(-1), None) => {
                        let letter = format!("SELECT count(*) FROM dead_letters WHERE external_id LIKE '%{id}'");
                        assert!(home.number(&letter) >= 1, "{told}");
                    }
                    // Where SiteGPT gives a side no time, the message's own is taken (v2).
                    (None, Some((_, row))) if source == "v2" => assert!(row.1.is_some(), "{told}"),
                    (fate, Some((_, row))) => assert_eq!(row.1, *fate, "{told}"),
                    (_, None) => panic!("{told}"),
                }
            }
        }
        let centuries = "SELECT count(*) FROM messages WHERE sent_at_ms NOT BETWEEN 631152000000 AND 7289654400000";
        assert_eq!(home.number(centuries), 0);
        let ahead = "SELECT count(*) FROM cursors WHERE json_extract(cursor, '$.unit') = 'ms'
                     AND json_extract(cursor, '$.watermark') > unixepoch() * 1000";
        assert_eq!(home.number(ahead), 0);
        stage.heal();
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j10_a_null_among_the_rows() {
    play("J10", async {
        let stage = Stage::paged().await;
        let fault =
            || Fault::json(|body| rows(body).into_iter().for_each(|rows| rows.insert(1.min(rows.len()), Value::Null)));
        for (_, proxy, path, _) in places(&stage) {
            proxy.next(&path, fault());
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        for source in SOURCES {
            assert_eq!(part(&done, source)["dead_letters"], 2, "{source}: {}", done.stderr);
            assert_same(&copy_of(&home, source), &truth(&stage, source));
        }
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
        assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);

        let stage = Stage::paged().await;
        for (proxy, text) in [
            (&stage.bd, "\"<p>thread 60, message 0</p>\""),
            (&stage.zaia, "\"chat 60, message 0\""),
            (&stage.sitegpt, "\"question 60\""),
        ] {
            proxy.always("/", Fault::replace(text, b"null"));
        }
        let home = stage.home("");
        assert_eq!(sync(&home).await.code, 0);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = ''"), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j11_unknown_fields() {
    fn add(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(add);
                fields.insert("hologram".to_owned(), json!({"layers": [1, null, {"deep": "new"}]}));
            }
            Value::Array(items) => items.iter_mut().for_each(add),
            _ => {}
        }
    }
    play("J11", makes_no_difference(Fault::json(add))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j12_something_else_where_the_list_belongs() {
    play("J12", async {
        let whole = |value: Value| Fault::json(move |body| *body = value.clone());
        never_good(Fault::html(200), "HTML").await;
        never_good(Fault::body(|_| Vec::new()), "documents").await;
        never_good(whole(json!("a text")), "documents").await;
        never_good(whole(json!({})), "documents").await;
        // The list null, where the provider says that there are rows; an array around everything.
        never_good(
            Fault::json(|body| match rows(body).cloned() {
                Some(rows) if body.is_array() => *body = json!({"rows": rows}),
                _ => {
                    for place in
                        ["/message", "/data/threads", "/data/thread/messages", "/data/conversations", "/data/messages"]
                    {
                        body.pointer_mut(place).into_iter().for_each(|list| *list = Value::Null);
                    }
                }
            }),
            "documents",
        )
        .await;
        never_good(
            Fault::json(|body| *body = if body.is_array() { Value::Null } else { json!([body.clone()]) }),
            "documents",
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j13_no_json() {
    play("J13", async {
        never_good(Fault::body(|body| [&body[..], b"<br />Warning: out of memory"].concat()), "documents").await;
        never_good(
            Fault::body(|body| {
                let text = String::from_utf8(body).unwrap();
                text.replacen(':', ":NaN,\"x\":", 1).into_bytes()
            }),
            "documents",
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j14_nul_in_a_text() {
    play("J14", async {
        let stage = Stage::paged().await;
        for (proxy, text) in [(&stage.bd, "thread 60, m"), (&stage.zaia, "chat 60, m"), (&stage.sitegpt, "question 60")]
        {
            proxy.always("/", Fault::replace(text, b"a\\u0000b"));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for (source, changed) in [("bd", 3), ("zaia", 3), ("v0", 1), ("v2", 1)] {
            let held = copy_of(&home, source);
            assert_eq!(held.len(), truth(&stage, source).len());
            assert_eq!(held.values().filter(|row| row.0.starts_with("ab")).count(), changed, "{source}");
        }
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE instr(CAST(body_text AS BLOB), x'00')"), 0);
        let thread = home.rows("SELECT conversation_id FROM v_messages WHERE body_text LIKE 'ab%' LIMIT 1");
        let shown = home.run(&["show", &thread[0]]).await;
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(!shown.stdout.contains('\u{0}'), "{}", shown.stdout);
        stage.heal();
        home.sync_with(&["--full"]).await;
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j15_other_content_types() {
    play("J15", async {
        for content_type in [None, Some("text/plain"), Some("nonsense")] {
            makes_no_difference(Fault::Edit(Arc::new(move |answer: &mut Answer| {
                answer.headers.retain(|(name, _)| name != "content-type");
                let header = content_type.map(|kind| ("content-type".to_owned(), kind.to_owned()));
                answer.headers.extend(header);
            })))
            .await;
        }
    })
    .await;
}
