//! Text that stays text on a page, and links that lead to the web and nowhere else.

use std::fmt::{self, Write as _};

use super::tame::tame;

/// Text of strangers, fit for the content of an element and for a quoted attribute. What would turn the direction of
/// writing, hide or steer is a visible replacement character.
#[derive(Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = tame(self.0);
        let mut rest = text.as_ref();
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (before, marked) = rest.split_at(at);
            f.write_str(before)?;
            let mut after = marked.chars();
            match after.next() {
                Some('&') => f.write_str("&amp;")?,
                Some('<') => f.write_str("&lt;")?,
                Some('>') => f.write_str("&gt;")?,
                Some('"') => f.write_str("&quot;")?,
                Some('\'') => f.write_str("&#39;")?,
                Some(c) => f.write_char(c)?,
                None => {}
            }
            rest = after.as_str();
        }
        f.write_str(rest)
    }
}

/// A link to an address of the web, called `name` or else by the address. Whatever else a stranger gave as an address
/// (`javascript:`, `file:`, a path) is shown and leads nowhere.
///
/// # Errors
/// Only what the formatter says.
pub fn link(f: &mut fmt::Formatter<'_>, address: Option<&str>, name: Option<&str>) -> fmt::Result {
    let name = name.filter(|name| !name.trim().is_empty());
    let Some(address) = address else { return write!(f, "{}", Shown(name.unwrap_or("(no address)"))) };
    let web = url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match (web, name) {
        // Where it leads stands beside what it is called: the name is a stranger's word.
        (Some(url), name) => {
            let to = Shown(url.as_str());
            let site = url.host_str().unwrap_or_default();
            write!(f, "<a href=\"{to}\" rel=\"noopener noreferrer nofollow\">{}</a>", Shown(name.unwrap_or(address)))?;
            if name.is_some() { write!(f, " <small>({})</small>", Shown(site)) } else { Ok(()) }
        }
        (None, Some(name)) => write!(f, "{} <small>({})</small>", Shown(name), Shown(address)),
        (None, None) => write!(f, "{}", Shown(address)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Link<'a>(Option<&'a str>, Option<&'a str>);

    impl fmt::Display for Link<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            link(f, self.0, self.1)
        }
    }

    #[test]
    fn markup_is_shown_and_does_nothing() {
        assert_eq!(
            Shown("<script>alert('1' & \"2\")</script>").to_string(),
            "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"
        );
        assert_eq!(Shown("pay\u{202e}lap שלום").to_string(), "pay\u{fffd}lap שלום");
    }

    #[test]
    fn links_lead_to_the_web_alone() {
        assert_eq!(
            Link(Some("https://shop.example.test/a?b=1&c=\"2\""), None).to_string(),
            "<a href=\"https://shop.example.test/a?b=1&amp;c=%222%22\" rel=\"noopener noreferrer nofollow\">\
             https://shop.example.test/a?b=1&amp;c=&quot;2&quot;</a>"
        );
        for evil in
            ["javascript:alert(1)", "JaVaScRiPt:alert(1)", " data:text/html,x", "file:///etc/passwd", "//x", "/a"]
        {
            assert!(!Link(Some(evil), Some("click")).to_string().contains("<a"), "{evil}");
        }
        assert!(Link(Some("https://a.example.test/"), Some("bank")).to_string().ends_with("(a.example.test)</small>"));
    }

    proptest! {
        #[test]
        fn nothing_leaves_its_element_or_attribute(text in any::<String>(), address in any::<String>()) {
            let shown = Shown(&text).to_string();
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
            let linked = Link(Some(&address), Some(&text)).to_string();
            prop_assert!(linked.matches('<').count() <= 4 && linked.matches('"').count() <= 4);
        }
    }
}
