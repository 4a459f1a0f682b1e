//! The endpoints of `/api/v2`.

use serde_json::{Value, json};

use super::EmptyShape;
use super::data::BdData;
use super::query::{Filtered, filter, page_token, paging, sort};
use super::table::{Clock, Table};
use crate::sim::wire::{Answer, RequestInfo};
use crate::sim::world::Site;

fn error(status: u16, why: &str) -> Answer {
    Answer::json(status, &json!({"status": "error", "message": why}))
}

impl Site for BdData {
    fn endpoint(&self, request: &RequestInfo) -> String {
        match request.parts().as_slice() {
            ["api", "v2", model, verb, _id] => format!("/api/v2/{model}/{verb}/{{id}}"),
            parts => format!("/{}", parts.join("/")),
        }
    }

    fn refuse(&self, request: &RequestInfo) -> Option<Answer> {
        match request.header("x-api-key") {
            Some(key) if key == self.key => None,
            Some(_) => Some(error(401, "Invalid API Key")),
            None => Some(error(401, "API Key is required")),
        }
    }

    fn forbidden(&self, _: &RequestInfo) -> Answer {
        error(403, "API Key does not have permission to access this endpoint")
    }

    fn too_many(&self, _: &RequestInfo) -> Answer {
        error(429, "Too many API requests per minute")
    }

    fn answer(&self, request: &RequestInfo) -> Answer {
        let parts = request.parts();
        let Some(["api", "v2", rest @ ..]) = Some(parts.as_slice()) else {
            return Answer::html(404, "<html><body><h1>Page not found</h1></body></html>");
        };
        if request.method != "GET" {
            return error(405, "Method not allowed");
        }
        match rest {
            ["token", "verify"] => {
                let told = json!({"website": self.website, "key": "Sync key"});
                Answer::json(200, &json!({"status": "success", "message": told}))
            }
            ["site_info", "get"] => self.site_info(),
            [model, "get"] => match Table::find(self, model) {
                Some(table) => self.list(&table, request),
                None => wrong_call(),
            },
            [model, "get", id] => match Table::find(self, model) {
                Some(table) => self.one(&table, id),
                None => wrong_call(),
            },
            _ => wrong_call(),
        }
    }
}

/// A call that the API does not know is answered by the website.
fn wrong_call() -> Answer {
    Answer::html(200, "<!DOCTYPE html><html><head><title>Directory</title></head><body></body></html>")
}

impl BdData {
    fn site_info(&self) -> Answer {
        let told = json!({
            "website_id": "4321", "website_name": "Example Directory", "full_url": self.website,
            "timezone": self.timezone, "language": "en",
        });
        let message = if self.quirks.site_info_in_array { json!([told]) } else { told };
        Answer::json(200, &json!({"status": "success", "message": message}))
    }

    fn number(&self, number: usize) -> Value {
        if self.quirks.numbers { json!(number) } else { json!(number.to_string()) }
    }

    fn one(&self, table: &Table<'_>, id: &str) -> Answer {
        let clock = Clock::of(self);
        let Some(row) = table.rows.iter().find(|row| row.id().to_string() == id) else {
            return error(404, &format!("{} not found", table.model));
        };
        // The total is the whole table's, as in the documentation's example.
        let body = json!({
            "status": "success", "message": [table.json(*row, &clock)],
            "total": self.number(table.rows.len()), "current_page": 1, "total_pages": 1,
        });
        Answer::json(200, &body)
    }

    fn list(&self, table: &Table<'_>, request: &RequestInfo) -> Answer {
        let clock = Clock::of(self);
        let mut rows = match filter(table, request, &self.quirks, &clock) {
            Filtered::Rows(rows) => rows,
            Filtered::NotFound => return error(200, &format!("{} not found", table.model)),
        };
        if sort(table, &mut rows, request, &self.quirks, &clock).is_err() {
            let why = format!("{} not found", table.model);
            return Answer::json(200, &json!({"status": "error", "message": why, "total": 0}));
        }
        let (page, limit) = paging(request, &self.quirks);
        let size = usize::try_from(limit).unwrap_or(100).max(1);
        let before = usize::try_from(page.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(size);
        let shown: Vec<Value> = rows.iter().skip(before).take(size).map(|row| table.json(*row, &clock)).collect();
        if shown.is_empty() {
            return self.empty(table);
        }
        let pages = rows.len().div_ceil(size);
        let last = page >= u64::try_from(pages).unwrap_or(u64::MAX);
        let next = if last && self.quirks.next_page_ends { String::new() } else { page_token(page + 1, limit) };
        let prev = if page > 1 { page_token(page - 1, limit) } else { String::new() };
        let body = json!({
            "status": "success", "message": shown, "total": self.number(rows.len()),
            "current_page": page, "total_pages": pages, "next_page": next, "prev_page": prev,
        });
        Answer::json(200, &body)
    }

    fn empty(&self, table: &Table<'_>) -> Answer {
        let envelope = |message: &Value, page: u64| {
            json!({
                "status": "success", "message": message, "total": 0, "current_page": page, "total_pages": 0,
                "next_page": "", "prev_page": "",
            })
        };
        let body = match self.quirks.empty {
            EmptyShape::Array => envelope(&json!([]), 1),
            EmptyShape::ArrayPageZero => envelope(&json!([]), 0),
            EmptyShape::NullMessage => envelope(&Value::Null, 1),
            EmptyShape::FalseMessage => envelope(&json!(false), 1),
            EmptyShape::NotFoundError => return error(200, &format!("{} not found", table.model)),
        };
        Answer::json(200, &body)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{BdData, EmptyShape, TokenLookup};
    use crate::sim::World;
    use crate::sim::probe;

    const AT: i64 = 1_767_323_045_000; // 2026-01-02 03:04:05 UTC

    fn ask(world: &mut World<BdData>, target: &str) -> (u16, Value) {
        probe::ask(world, &format!("/api/v2/{target}"), ("x-api-key", "bd-key"))
    }

    fn site(messages: i64) -> (World<BdData>, String) {
        let mut data = BdData::new();
        let (owner, responder) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
        let thread = data.add_thread(&owner, &responder, AT);
        for n in 0..messages {
            data.add_message(&thread, &owner, AT + n * 1000, &format!("message {n}"));
        }
        (World::new(data), thread)
    }

    fn ids(body: &Value) -> Vec<u64> {
        let rows = body["message"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["message_id"].as_str()?.parse().ok()).collect()
    }

    #[test]
    fn pages_follow_the_token_and_the_last_page_still_has_one() {
        let (mut world, _) = site(30);
        let (_, first) = ask(&mut world, "chat_message_items/get?order_column=message_id&order_type=ASC");
        assert_eq!((first["total"].clone(), first["total_pages"].clone()), (json!("30"), json!(2)));
        assert_eq!(ids(&first).len(), 25);
        let token = first["next_page"].as_str().unwrap().replace('=', "%3D");
        let (_, last) =
            ask(&mut world, &format!("chat_message_items/get?order_column=message_id&order_type=ASC&page={token}"));
        assert_eq!((ids(&last).len(), last["current_page"].clone()), (5, json!(2)));
        assert_ne!(last["next_page"], json!(""));
        let (_, again) = ask(&mut world, "chat_message_items/get?order_column=message_id&order_type=ASC&page=2");
        assert_eq!(ids(&again), ids(&first), "a plain number means page one");
    }

    #[test]
    fn filters_compare_ids_as_numbers_and_unknown_columns_find_nothing() {
        let (mut world, thread) = site(30);
        let (_, found) = ask(
            &mut world,
            "chat_message_items/get?property=message_id&property_value=9&property_operator=gt\
             &order_column=message_id&order_type=ASC",
        );
        assert_eq!(ids(&found).first(), Some(&10));
        assert_eq!(found["total"], json!("24"));
        let upper = thread.to_uppercase();
        let (_, found) =
            ask(&mut world, &format!("chat_message_items/get?property=thread_token&property_value={upper}"));
        assert_eq!(found["total"], json!("30"), "equality does not mind the case");
        let (status, none) = ask(&mut world, "chat_message_items/get?property=nonsense&property_value=1");
        assert_eq!((status, none["status"].clone(), none["total"].clone()), (200, json!("success"), json!(0)));
        let (_, wrong) = ask(&mut world, "chat_message_items/get?order_column=nonsense");
        assert_eq!((wrong["status"].clone(), wrong["total"].clone()), (json!("error"), json!(0)));
        let (_, raw) =
            ask(&mut world, "chat_message_items/get?property=message_id&property_value=9&property_operator=%3E");
        assert_eq!(ids(&raw), [9], "the firewall turned > into equality");
    }

    #[test]
    fn the_default_order_is_not_the_primary_keys() {
        let (mut world, _) = site(3);
        world.data.change_message(5, |message| message.read = true);
        let (_, found) = ask(&mut world, "chat_message_items/get");
        assert_eq!(ids(&found), [5, 6, 4]);
    }

    #[test]
    fn times_are_the_sites_wall_clock_and_deleted_threads_stay_listed() {
        let (mut world, thread) = site(0);
        world.data.soft_delete_thread(&thread, AT);
        let (_, found) = ask(&mut world, "chat_message_threads/get");
        assert_eq!(found["message"][0]["created_at"], json!("20260101220405"));
        assert_eq!(found["message"][0]["deleted_at"], json!("20260101220405"));
        assert!(world.data.truth().conversations.values().all(|conversation| conversation.deleted));
    }

    #[test]
    fn one_record_comes_in_an_array_with_the_whole_tables_total() {
        let (mut world, _) = site(4);
        let (_, one) = ask(&mut world, "chat_message_items/get/5");
        assert_eq!((ids(&one), one["total"].clone()), (vec![5], json!("4")));
        assert_eq!(ask(&mut world, "chat_message_items/get/999").0, 404);
    }

    #[test]
    fn empty_results_come_in_every_known_shape() {
        let (mut world, _) = site(0);
        for (shape, message) in [
            (EmptyShape::Array, json!([])),
            (EmptyShape::NullMessage, Value::Null),
            (EmptyShape::FalseMessage, json!(false)),
            (EmptyShape::NotFoundError, json!("chat_message_items not found")),
        ] {
            world.data.quirks.empty = shape;
            let (status, body) = ask(&mut world, "chat_message_items/get");
            assert_eq!((status, &body["message"]), (200, &message));
        }
    }

    #[test]
    fn members_hide_their_token_unless_the_site_leaks_it() {
        let (mut world, _) = site(0);
        let token = world.data.users[0].token.clone();
        let target = format!("user/get?property=token&property_value={token}&property_operator=eq");
        assert_eq!(ask(&mut world, &target).1["total"], json!(0));
        world.data.quirks.token_lookup = TokenLookup::Works;
        let (_, found) = ask(&mut world, &target);
        assert_eq!((found["total"].clone(), found["message"][0].get("token")), (json!("1"), None));
        world.data.quirks.token_lookup = TokenLookup::Ignored;
        assert_eq!(ask(&mut world, &target).1["total"], json!("2"));
        world.data.quirks.leak_secrets = true;
        assert_eq!(ask(&mut world, "user/get/1").1["message"][0]["token"], json!(token));
    }

    #[test]
    fn a_wrong_key_and_a_missing_permission_differ() {
        let (mut world, _) = site(1);
        assert_eq!(probe::ask(&mut world, "/api/v2/token/verify", ("x-api-key", "no")).0, 401);
        world.forbid("/api/v2/user/get");
        let (status, body) = ask(&mut world, "user/get");
        assert_eq!(status, 403);
        assert_eq!(body["message"], json!("API Key does not have permission to access this endpoint"));
        assert_eq!(ask(&mut world, "token/verify").1["status"], json!("success"));
        assert_eq!(world.count("/api/v2/user/get"), 1);
    }
}
