//! Sorting requests to the two generations, and their refusals.

use serde_json::{Value, json};

use super::data::SitegptData;
use super::shape::Api;
use crate::sim::wire::{Answer, RequestInfo};
use crate::sim::world::Site;

/// An answer, or the refusal that takes its place.
pub(super) type Told = Result<Answer, Box<Answer>>;

pub(super) fn v0_error(status: u16, code: &str, message: &str) -> Answer {
    let error = json!({"code": code, "message": message, "details": null});
    Answer::json(status, &json!({"success": false, "message": message, "data": null, "error": error}))
}

pub(super) fn v2_error(status: u16, code: &str, message: &str, hint: Option<&str>) -> Answer {
    let mut error = json!({"code": code, "message": message});
    if let (Some(hint), Value::Object(error)) = (hint, &mut error) {
        error.insert("hint".to_owned(), json!(hint));
    }
    Answer::json(status, &json!({"ok": false, "error": error, "meta": {"requestId": "req_sim"}}))
}

fn generation(request: &RequestInfo) -> Option<Api> {
    match request.parts().as_slice() {
        ["api", "v0", ..] => Some(Api::V0),
        ["api", "v2", ..] => Some(Api::V2),
        _ => None,
    }
}

impl Site for SitegptData {
    fn endpoint(&self, request: &RequestInfo) -> String {
        let mut path = String::new();
        for (index, part) in request.parts().into_iter().enumerate() {
            // /api/vN/chatbots/{id}/threads/{id}/messages
            path.push('/');
            path.push_str(if matches!(index, 3 | 5) { "{id}" } else { part });
        }
        path
    }

    fn refuse(&self, request: &RequestInfo) -> Option<Answer> {
        let sent = request.header("authorization").map(|value| value.strip_prefix("Bearer ").unwrap_or_default());
        match (generation(request)?, sent) {
            (Api::V0, Some(key)) if key == self.key => None,
            (Api::V2, Some(token)) if token == self.token => None,
            (Api::V0, _) => Some(v0_error(401, "API_KEY_NOT_VALID", "API key is not valid")),
            (Api::V2, None) => {
                Some(v2_error(401, "AUTHORIZATION_HEADER_REQUIRED", "The Authorization header is required", None))
            }
            (Api::V2, Some(_)) => {
                Some(v2_error(401, "TOKEN_NOT_VALID", "The token is not valid", Some("Create a new token")))
            }
        }
    }

    fn forbidden(&self, request: &RequestInfo) -> Answer {
        match generation(request) {
            Some(Api::V2) => v2_error(403, "TOKEN_SCOPE_NOT_ALLOWED", "The token's scopes do not allow this", None),
            _ => v0_error(403, "CHATBOT_FETCH_FORBIDDEN", "You are not allowed to fetch this chatbot"),
        }
    }

    fn too_many(&self, request: &RequestInfo) -> Answer {
        match generation(request) {
            Some(Api::V2) => v2_error(429, "RATE_LIMIT_EXCEEDED", "Too many requests", None),
            _ => v0_error(429, "RATE_LIMIT_EXCEEDED", "Too many requests"),
        }
    }

    fn answer(&self, request: &RequestInfo) -> Answer {
        let parts = request.parts();
        let told = match parts.as_slice() {
            ["api", "v0", ..] if request.method != "GET" => {
                Ok(v0_error(405, "METHOD_NOT_ALLOWED", "Method not allowed"))
            }
            ["api", "v2", ..] if request.method != "GET" => {
                Ok(v2_error(405, "METHOD_NOT_ALLOWED", "Method not allowed", None))
            }
            ["api", "v0", rest @ ..] => self.v0(rest, request),
            ["api", "v2", rest @ ..] => self.v2(rest, request),
            _ => Ok(Answer::html(404, "<!DOCTYPE html><html><body>404</body></html>")),
        };
        told.unwrap_or_else(|refusal| *refusal)
    }
}
