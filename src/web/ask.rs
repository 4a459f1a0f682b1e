//! What was asked: the query of an address, taken apart and checked. An unknown name is refused, and so is a value that
//! means nothing: a filter that is silently left out would show what nobody asked for.

use axum::http::Uri;
use url::form_urlencoded;

use super::trouble::Trouble;

/// The parameters of a query, each at most once. Empty ones count as absent: forms send those.
#[derive(Debug, Default)]
pub(super) struct Ask {
    given: Vec<(String, String)>,
}

/// Characters of a value that are repeated in an answer.
const SHOWN: usize = 60;

impl Ask {
    /// Takes a query apart.
    ///
    /// # Errors
    /// A parameter that is none of `known`, or stands there twice.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Trouble> {
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Trouble::Refused(format!(
                    "there is no parameter {:?} here; there is: {known}",
                    short(&name)
                )));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(Trouble::Refused(format!("the parameter {:?} stands there twice", short(&name))));
            }
            given.push((name.into_owned(), value.trim().to_owned()));
        }
        given.retain(|(_, value)| !value.is_empty());
        Ok(Self { given })
    }

    /// What was asked, but for one parameter.
    pub(super) fn without(&self, left_out: &str) -> Vec<(&str, &str)> {
        self.given
            .iter()
            .filter(|(name, _)| name != left_out)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// `1`, `true`, `yes`, `on`, or their opposites.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Trouble> {
        match self.text(name) {
            None | Some("0" | "false" | "no" | "off") => Ok(false),
            Some("1" | "true" | "yes" | "on") => Ok(true),
            Some(other) => Err(refused(name, other, "is 1 or 0")),
        }
    }

    /// One of some words.
    pub(super) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<String>, Trouble> {
        match self.text(name) {
            Some(word) if !words.contains(&word) => {
                Err(refused(name, word, &format!("is one of {}", words.join(", "))))
            }
            word => Ok(word.map(str::to_owned)),
        }
    }

    /// Anything that can be read from text, such as a number or a place in a list.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str, is: &str) -> Result<Option<T>, Trouble> {
        self.text(name).map(|text| text.parse().map_err(|_| refused(name, text, is))).transpose()
    }

    /// A number of rows.
    pub(super) fn limit(&self, usual: u32, most: u32) -> Result<u32, Trouble> {
        let limit = self.parsed("limit", &format!("is a number from 1 to {most}"))?.unwrap_or(usual);
        if (1..=most).contains(&limit) {
            return Ok(limit);
        }
        Err(refused("limit", &limit.to_string(), &format!("is a number from 1 to {most}")))
    }

    /// Midnight of a day (`2026-03-01`) in a zone, or of the day after it.
    pub(super) fn day(&self, name: &str, zone: &jiff::tz::TimeZone, after: bool) -> Result<Option<i64>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let read = || -> Option<i64> {
            let day: jiff::civil::Date = text.parse().ok()?;
            let day = if after { day.tomorrow().ok()? } else { day };
            Some(
                zone.to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
                    .compatible()
                    .ok()?
                    .as_millisecond(),
            )
        };
        read().map(Some).ok_or_else(|| refused(name, text, "is a day such as 2026-03-01"))
    }
}

fn refused(name: &str, value: &str, is: &str) -> Trouble {
    Trouble::Refused(format!("{name} {is}, and not {:?}", short(value)))
}

/// The beginning of what somebody typed.
pub(super) fn short(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Ask, String> {
        Ask::of(&format!("/x?{query}").parse().unwrap(), &["a", "limit"]).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn what_nobody_knows_is_refused_and_what_is_empty_is_absent() {
        assert_eq!(ask("a=x+y&limit=").unwrap().without(""), [("a", "x y")]);
        assert_eq!(ask("b=1").unwrap_err(), "there is no parameter \"b\" here; there is: a, limit");
        assert_eq!(ask("a=1&a=2").unwrap_err(), "the parameter \"a\" stands there twice");
        assert!(ask("limit=0").unwrap().limit(5, 10).is_err() && ask("limit=11").unwrap().limit(5, 10).is_err());
        assert!(ask("limit=99999999999").unwrap().limit(5, 10).is_err());
        assert_eq!(ask("").unwrap().limit(5, 10).unwrap(), 5);
        assert!(ask("a=maybe").unwrap().flag("a").is_err() && ask("a=1").unwrap().flag("a").unwrap());
        let utc = jiff::tz::TimeZone::UTC;
        assert_eq!(ask("a=1970-01-02").unwrap().day("a", &utc, false).unwrap(), Some(86_400_000));
        assert!(ask("a=1970-13-02").unwrap().day("a", &utc, false).is_err());
        assert!(ask("a=9999-12-31").unwrap().day("a", &utc, true).is_err());
    }
}
