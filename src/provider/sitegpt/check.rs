//! What `chatloom check` tries at SiteGPT, and the advice that goes with each failure.

use super::{Api, Sitegpt};
use crate::http::FetchError;
use crate::model::StreamKey;
use crate::provider::{Ask, Checked, Page, Provider as _};

impl Sitegpt {
    /// Tries the chatbot list and the thread list of the first chatbot. With configured chatbots the list is not
    /// needed and every one of them is tried instead.
    pub(super) async fn try_everything(&self) -> Vec<Checked> {
        let mut lines = Vec::new();
        let mut chatbots = self.settings.chatbots.clone();
        if chatbots.is_empty() {
            let listed = self.page(&StreamKey::plain(super::CHATBOTS), &self.first_page()).await;
            if let Ok(page) = &listed {
                chatbots.extend(page.records.iter().find_map(|record| record.id.clone()));
            }
            lines.push(self.line("chatbots".to_owned(), listed, "chatbots"));
        }
        for chatbot in chatbots {
            let stream = StreamKey::scoped(super::THREADS, chatbot.as_str());
            let listed = self.page(&stream, &self.first_page()).await;
            let noun = match self.settings.api {
                Api::V0 => "threads",
                Api::V2 => "conversations",
            };
            lines.push(self.line(format!("{noun} of chatbot {chatbot}"), listed, noun));
        }
        lines
    }

    fn first_page(&self) -> Ask {
        match self.settings.api {
            Api::V0 => Ask::Number { number: 1, limit: super::PAGE_SIZE },
            Api::V2 => Ask::Token { token: None, limit: super::PAGE_SIZE },
        }
    }

    fn line(&self, what: String, listed: Result<Page, FetchError>, noun: &str) -> Checked {
        let result = match listed {
            Ok(page) if page.records.is_empty() && noun == "chatbots" => {
                Err("the key works, but it sees no chatbot; check which account or chatbots it was made for".to_owned())
            }
            Ok(page) => {
                let more = if page.last == Some(true) { "" } else { " on the first page" };
                Ok(format!("{} {noun}{more}", page.records.len()))
            }
            Err(error) => Err(match advice(self.settings.api, &error) {
                Some(advice) => format!("{error}; {advice}"),
                None => error.to_string(),
            }),
        };
        Checked { what, result, optional: false }
    }
}

/// What to do about an error, where the documents tell.
fn advice(api: Api, error: &FetchError) -> Option<&'static str> {
    match (api, error) {
        (Api::V0, FetchError::Unauthorized { .. }) => Some(
            "the v0 key is shown in the dashboard under Billing or Profile > API Access; a token that begins with \
             `sgpt_` belongs to the newer API: set api = \"v2\"",
        ),
        (Api::V2, FetchError::Unauthorized { .. }) => Some(
            "tokens begin with `sgpt_` and expire after 90 days unless made otherwise; make a new one with the scopes \
             chatbots:read and conversations:read, or set api = \"v0\" for an account key",
        ),
        (Api::V0, FetchError::Forbidden { .. }) => {
            Some("the account's plan must include API access, and the chatbot must belong to the account")
        }
        (Api::V2, FetchError::Forbidden { .. }) => {
            Some("the token needs the scopes chatbots:read and conversations:read, and must not leave this chatbot out")
        }
        (_, FetchError::Unavailable { unreachable: true, .. }) => Some("check base_url and this machine's network"),
        (_, FetchError::NotFound { .. }) => Some("check the ids in `chatbots`, and `base_url`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_told_what_to_do() {
        let error = FetchError::Unauthorized { endpoint: "api/v0/chatbots".to_owned(), detail: String::new() };
        assert!(advice(Api::V0, &error).unwrap().contains("set api = \"v2\""));
        assert!(advice(Api::V2, &error).unwrap().contains("90 days"));
        let error = FetchError::Forbidden { endpoint: "api/v2/chatbots".to_owned(), detail: String::new() };
        assert!(advice(Api::V2, &error).unwrap().contains("conversations:read"));
    }

    #[test]
    fn a_host_that_is_not_reached_is_told_apart_from_one_that_fails() {
        let failed = |unreachable| FetchError::Unavailable {
            endpoint: "api/v0/chatbots".to_owned(),
            tries: 5,
            cause: String::new(),
            unreachable,
        };
        for api in [Api::V0, Api::V2] {
            let said = advice(api, &failed(true)).unwrap();
            assert!(said.contains("base_url") && said.contains("network"), "{said}");
            assert_eq!(advice(api, &failed(false)), None);
        }
    }
}
