//! Where a provider's answer wants a request to go.

use serde_json::{Value, json};

use super::super::fault::{Answer, Fault};
use super::super::play;
use super::super::stage::{Stage, part, sync};
use super::Elsewhere;
use crate::failures::assert_says;
use crate::harness::Home;

const MESSAGES: &str = "/api/v2/chat_message_items";
const CHATS: &str = "/api/v1/chats";
const THREADS: &str = "/api/v2/chatbots";

fn redirect(status: u16, location: &str) -> Fault {
    Fault::Answer(Answer::json(status, &json!({})).with("location", location))
}

/// Every provider redirects to this place; each source fails by it, and asks once.
async fn assert_not_followed(stage: &Stage, status: u16, location: &str) {
    stage.bd.always(MESSAGES, redirect(status, location));
    stage.zaia.always(CHATS, redirect(status, location));
    stage.sitegpt.always(THREADS, redirect(status, location));
    let home = Home::new(&[stage.bd_source(""), stage.zaia_source(""), stage.sitegpt_source("v2", "")].concat());
    let before = stage.bd.count(MESSAGES);
    let done = sync(&home).await;
    assert_eq!(done.code, 1, "{status} {location}: {}\n{}", done.stdout, done.stderr);
    for source in ["bd", "zaia", "v2"] {
        let part = part(&done, source);
        assert_eq!(part["status"], "failed", "{part}");
        assert_says(part["error"].as_str().unwrap(), &["redirect"]);
    }
    assert_eq!(stage.bd.count(MESSAGES), before + 1, "{status} {location}: asked again");
    stage.assert_heals(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_a_redirect_leads_away() {
    play("K1", async {
        let stage = Stage::start().await;
        let (other_host, other_port) = (Elsewhere::at("127.0.0.2").await, Elsewhere::at("127.0.0.1").await);
        for (status, location) in [
            (301, format!("http://{}/api/v2/steal", other_host.addr)),
            (302, format!("//{}/api/v2/steal", other_host.addr)),
            (303, format!("http://{}/", other_port.addr)),
            (307, format!("http://bd-key:x@{}/", stage.bd.addr())),
            (308, format!("https://{}/", other_port.addr)),
        ] {
            assert_not_followed(&stage, status, &location).await;
        }
        other_host.assert_untouched();
        other_port.assert_untouched();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_a_redirect_leads_where_no_provider_is() {
    play("K3", async {
        let stage = Stage::start().await;
        for location in
            ["file:///etc/hostname", "http://169.254.169.254/latest/meta-data", "https://10.0.0.1/", "data:,x"]
        {
            assert_not_followed(&stage, 302, location).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k2_a_redirect_stays_within_the_origin() {
    play("K2", async {
        let stage = Stage::start().await;
        let home = Home::new(&stage.bd_source(""));
        // Where the first question leads is learned from a pass over a store of its own.
        let scout = Home::new(&stage.bd_source(""));
        assert_eq!(sync(&scout).await.code, 0);
        let seen = stage.bd.seen();
        let first = &seen.iter().find(|seen| seen.target.starts_with(MESSAGES)).unwrap().target;
        for location in [first.clone(), format!("{}{first}", stage.bd.base_url()), first.clone()] {
            stage.bd.next(MESSAGES, redirect(302, &location));
        }
        let done = sync(&home).await;
        assert_eq!(part(&done, "bd")["status"], "ok", "{}", done.stderr);
        assert_eq!(stage.bd.faults_left(), 0);
        stage.all.assert_exact(&home, "bd");

        let lost = Home::new(&stage.bd_source(""));
        let before = stage.bd.count(MESSAGES);
        stage.bd.always(MESSAGES, redirect(307, first));
        let done = sync(&lost).await;
        assert_eq!(done.code, 1);
        assert_says(part(&done, "bd")["error"].as_str().unwrap(), &["redirect"]);
        assert_eq!(stage.bd.count(MESSAGES) - before, 4, "the question and three redirects");
        stage.assert_heals(&lost).await;
    })
    .await;
}

/// Puts an address in the place of everything that looks like a way to the next page, and adds some more of them.
fn lead_away(body: &mut Value, link: &str) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(_) | Value::Null if name.to_ascii_lowercase().contains("next") => {
                        *value = json!(link)
                    }
                    Value::Bool(more) if name == "hasNextPage" => *more = true,
                    inner => lead_away(inner, link),
                }
            }
            if fields.contains_key("message") || fields.contains_key("data") {
                fields.insert("links".to_owned(), json!({"next": link, "self": link}));
                fields.insert("next_page_url".to_owned(), json!(link));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| lead_away(item, link)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_a_body_names_another_host_for_the_next_page() {
    play("K4", async {
        let stage = Stage::start().await;
        let elsewhere = Elsewhere::at("127.0.0.2").await;
        let link = format!("http://{}/api/v2/next?page=2", elsewhere.addr);
        let edit = Fault::Edit(std::sync::Arc::new(move |answer: &mut Answer| {
            if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
                lead_away(&mut body, &link);
                answer.body = body.to_string().into_bytes();
            }
        }));
        for proxy in [&stage.bd, &stage.zaia, &stage.sitegpt] {
            proxy.always("/", edit.clone());
        }
        let home = stage.home("");
        // Whether a pass can be made of it or not: it is made with the configured host.
        let done = sync(&home).await;
        assert!(matches!(done.code, 0 | 1), "{}", done.stderr);
        assert!(stage.bd.count("/") > 2 && stage.zaia.count("/") > 2 && stage.sitegpt.count("/") > 2);
        let asked = [&stage.bd, &stage.zaia, &stage.sitegpt].into_iter().flat_map(|proxy| proxy.seen());
        let asked: Vec<String> = asked.map(|seen| seen.target).collect();
        assert_eq!(asked.iter().find(|target| !target.starts_with("/api/v")), None);
        let as_value = asked.iter().filter(|target| target.contains("=http%3A%2F%2F127.0.0.2")).count();
        assert!(as_value > 0, "a cursor is sent as the value that it is");
        elsewhere.assert_untouched();
        stage.assert_heals(&home).await;
    })
    .await;
}
