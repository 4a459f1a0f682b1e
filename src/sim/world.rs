//! A provider's data while it is served: what was asked, what goes wrong, and what changes meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::wire::{Answer, RequestInfo};

/// Data that can answer requests the way one provider does.
pub trait Site: Send + 'static {
    /// The request's endpoint with ids replaced (`/api/v1/chats/{id}`), under which it is counted.
    fn endpoint(&self, request: &RequestInfo) -> String;
    /// The refusal of a wrong or missing key.
    fn refuse(&self, request: &RequestInfo) -> Option<Answer>;
    /// The refusal of an endpoint that the key may not read.
    fn forbidden(&self, request: &RequestInfo) -> Answer;
    /// The refusal of one request too many.
    fn too_many(&self, request: &RequestInfo) -> Answer;
    /// The answer to a request that passed all of these.
    fn answer(&self, request: &RequestInfo) -> Answer;
}

/// Something that goes wrong once.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing: lets one matching request through, so that a later one fails.
    Pass,
    /// This status with this body and these further headers.
    Status(u16, Value, Vec<(String, String)>),
    /// Status 200 and an HTML page where JSON was asked for.
    Html200,
    /// Status 200 and the true body cut in half; the transfer itself is whole.
    Truncated,
    /// Status 200, the promised content type, and bytes that are no JSON.
    Garbage,
    /// The true answer, so many milliseconds late.
    Delay(u64),
    /// This answer, whatever it is.
    Raw(Answer),
    /// The connection is closed without an answer.
    CloseConnection,
    /// The connection is closed in the middle of the body.
    CutBody,
}

impl Fault {
    /// A bare status with a small JSON body and no further headers.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status(status, json!({"error": status}), Vec::new())
    }

    /// A bare status with `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after(status: u16, seconds: u64) -> Self {
        Self::Status(status, json!({"error": status}), vec![("retry-after".to_owned(), seconds.to_string())])
    }
}

/// So many requests in a window that starts with its first request; what comes on top is refused until it ends.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    pub requests: u32,
    pub window: Duration,
}

/// A request as it was logged.
#[derive(Debug, Clone)]
pub struct Logged {
    pub request: RequestInfo,
    /// As [`Site::endpoint`] names it.
    pub endpoint: String,
    /// The status answered; 0 when the connection was closed instead.
    pub status: u16,
}

/// Runs before every request, to let the data change under a reader.
pub type Hook<D> = Box<dyn FnMut(&mut D, &RequestInfo) + Send>;

/// How an answer is put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Late(u64),
    Cut,
    Never,
}

/// Data being served.
pub struct World<D> {
    pub data: D,
    /// Every request so far, in order.
    pub log: Vec<Logged>,
    /// See [`Hook`].
    pub before_request: Option<Hook<D>>,
    pub rate_limit: Option<RateLimit>,
    /// A path below which everything is served (`/tenant`), empty for none. Set it before the start.
    pub prefix: String,
    faults: VecDeque<(String, Fault)>,
    forbidden: Vec<String>,
    window: Option<(Instant, u32)>,
}

impl<D> From<D> for World<D> {
    fn from(data: D) -> Self {
        Self::new(data)
    }
}

impl<D> World<D> {
    /// A world in which nothing goes wrong.
    #[must_use]
    pub fn new(data: D) -> Self {
        Self {
            data,
            log: Vec::new(),
            before_request: None,
            rate_limit: None,
            prefix: String::new(),
            faults: VecDeque::new(),
            forbidden: Vec::new(),
            window: None,
        }
    }

    /// Sets the hook that runs before every request.
    pub fn on_request(&mut self, hook: impl FnMut(&mut D, &RequestInfo) + Send + 'static) {
        self.before_request = Some(Box::new(hook));
    }

    /// The next request whose path begins with `path_prefix` meets this fault; several are used up in order.
    pub fn fault(&mut self, path_prefix: &str, fault: Fault) {
        self.faults.push_back((path_prefix.to_owned(), fault));
    }

    /// The same fault `times` times.
    pub fn faults(&mut self, path_prefix: &str, times: usize, fault: &Fault) {
        for _ in 0..times {
            self.fault(path_prefix, fault.clone());
        }
    }

    /// How many scripted faults have not been met yet.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.faults.len()
    }

    /// From now on the key may not read paths that begin so.
    pub fn forbid(&mut self, path_prefix: &str) {
        self.forbidden.push(path_prefix.to_owned());
    }

    /// Takes [`World::forbid`] back.
    pub fn allow(&mut self, path_prefix: &str) {
        self.forbidden.retain(|prefix| prefix != path_prefix);
    }

    /// How often an endpoint was asked (`/api/v1/chats/{id}`), failures included.
    #[must_use]
    pub fn count(&self, endpoint: &str) -> usize {
        self.log.iter().filter(|logged| logged.endpoint == endpoint).count()
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.log.len()
    }

    /// Whether anything but GET was ever sent.
    #[must_use]
    pub fn only_read(&self) -> bool {
        self.log.iter().all(|logged| logged.request.method == "GET")
    }

    /// Forgets the log.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }
}

impl<D: Site> World<D> {
    /// Answers one request and logs it.
    pub(super) fn handle(&mut self, mut request: RequestInfo) -> (Answer, Delivery) {
        if let Some(hook) = &mut self.before_request {
            hook(&mut self.data, &request);
        }
        let (answer, delivery) = self.decide(&request);
        let status = if delivery == Delivery::Never { 0 } else { answer.status };
        let endpoint = self.data.endpoint(&request);
        request.blank_credentials();
        self.log.push(Logged { request, endpoint, status });
        (answer, delivery)
    }

    fn decide(&mut self, request: &RequestInfo) -> (Answer, Delivery) {
        let hit = self.faults.iter().position(|(prefix, _)| request.path.starts_with(prefix.as_str()));
        let fault = hit.and_then(|index| self.faults.remove(index)).map_or(Fault::Pass, |(_, fault)| fault);
        match fault {
            Fault::Pass => (self.honest(request), Delivery::Whole),
            Fault::Status(status, body, headers) => {
                let mut answer = Answer::json(status, &body);
                answer.headers.extend(headers);
                (answer, Delivery::Whole)
            }
            Fault::Html200 => {
                let page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>";
                (Answer::html(200, page), Delivery::Whole)
            }
            Fault::Truncated => {
                let mut answer = self.honest(request);
                answer.status = 200;
                answer.body.truncate(answer.body.len() / 2);
                (answer, Delivery::Whole)
            }
            Fault::Garbage => {
                let mut answer = Answer::json(200, &Value::Null);
                answer.body = b"\xff\xfe{{]] not json".to_vec();
                (answer, Delivery::Whole)
            }
            Fault::Delay(ms) => (self.honest(request), Delivery::Late(ms)),
            Fault::Raw(answer) => (answer, Delivery::Whole),
            Fault::CloseConnection => (Answer::json(200, &Value::Null), Delivery::Never),
            Fault::CutBody => (self.honest(request), Delivery::Cut),
        }
    }

    fn honest(&mut self, request: &RequestInfo) -> Answer {
        if self.is_over_rate(request.at) {
            return self.data.too_many(request);
        }
        if let Some(refusal) = self.data.refuse(request) {
            return refusal;
        }
        if self.forbidden.iter().any(|prefix| request.path.starts_with(prefix.as_str())) {
            return self.data.forbidden(request);
        }
        self.data.answer(request)
    }

    fn is_over_rate(&mut self, now: Instant) -> bool {
        let Some(limit) = self.rate_limit else { return false };
        match &mut self.window {
            Some((start, used)) if now.duration_since(*start) < limit.window => {
                *used = used.saturating_add(1);
                *used > limit.requests
            }
            window => {
                *window = Some((now, 1));
                limit.requests == 0
            }
        }
    }
}
