//! Tries the key and every endpoint for `chatloom check`.

use super::Zaia;
use super::request::{self, Query};
use super::wire::Peek;
use crate::http::FetchError;
use crate::provider::Checked;

/// One request per line.
pub(super) async fn check(zaia: &Zaia) -> Vec<Checked> {
    let one: Query = request::paging(1, 1);
    let chats = zaia.list(&request::path(&["chats"]), &one).await;
    let chat = chats.as_ref().ok().and_then(|rows| rows.first()).and_then(|row| Peek::of(row).id);
    let key_works = chats.is_ok();
    let mut lines = vec![Checked {
        what: "key".to_owned(),
        result: said(chats.as_ref().map(Vec::len), "the workspace answers"),
        optional: false,
    }];
    if !key_works {
        return lines;
    }
    lines.push(match chat {
        None => Checked {
            what: "chat-messages".to_owned(),
            result: Ok("not tried: the workspace has no chat yet".to_owned()),
            optional: false,
        },
        Some(chat) => {
            let rows = zaia.list(&request::path(&["chat-messages"]), &vec![("chatId", chat)]).await;
            Checked {
                what: "chat-messages".to_owned(),
                result: said(rows.as_ref().map(Vec::len), "messages can be read"),
                optional: false,
            }
        }
    });
    for (stream, brings) in [
        ("details", "contacts' names and tickets"),
        ("channels", "channels' names"),
        ("external_users", "contacts' names"),
        ("responders", "agents' names"),
    ] {
        let Some(path) = request::list_path(stream) else { continue };
        let rows = zaia.list(&request::path(path), &one).await;
        lines.push(Checked {
            what: path.join("/"),
            result: said(rows.as_ref().map(Vec::len), &format!("brings {brings}")),
            optional: true,
        });
    }
    lines
}

/// The outcome in words, with the next step where it failed.
fn said(result: Result<usize, &FetchError>, good: &str) -> Result<String, String> {
    match result {
        Ok(_) => Ok(good.to_owned()),
        Err(error) => Err(match next_step(error) {
            Some(step) => format!("{error}; {step}"),
            None => error.to_string(),
        }),
    }
}

fn next_step(error: &FetchError) -> Option<&'static str> {
    match error {
        FetchError::Unauthorized { .. } => Some(
            "make a key in the workspace settings, api keys section; \
             if the provider wants a prefix before it, set auth_prefix (for instance \"Bearer \")",
        ),
        FetchError::Forbidden { .. } => {
            Some("make a key that may read this in the workspace settings, api keys section")
        }
        FetchError::NotFound { .. } => {
            Some("see that base_url is the address of the API (https://api.endless.zaia.app)")
        }
        FetchError::Unavailable { unreachable: true, .. } => Some("check base_url and this machine's network"),
        FetchError::Rejected { .. }
        | FetchError::Redirected { .. }
        | FetchError::Deferred { .. }
        | FetchError::Unavailable { .. }
        | FetchError::Unreadable { .. }
        | FetchError::TooLarge { .. }
        | FetchError::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_comes_with_the_next_step() {
        let error = FetchError::Unauthorized { endpoint: "/api/v1/chats".to_owned(), detail: String::new() };
        let said = said(Err(&error), "fine").unwrap_err();
        assert!(said.contains("api keys section") && said.contains("auth_prefix"), "{said}");
    }

    #[test]
    fn a_host_that_is_not_reached_is_told_apart_from_one_that_fails() {
        let failed = |unreachable| FetchError::Unavailable {
            endpoint: "/api/v1/chats".to_owned(),
            tries: 5,
            cause: String::new(),
            unreachable,
        };
        let step = next_step(&failed(true)).unwrap();
        assert!(step.contains("base_url") && step.contains("network"), "{step}");
        assert_eq!(next_step(&failed(false)), None);
    }
}
