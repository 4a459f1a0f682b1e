//! The frame of a page that stands alone: head, style, and what it is at its foot.

use std::fmt;

use super::escape::Shown;

/// Loads nothing and runs nothing, whatever stands in the page; its style is inline.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:start;padding:.25rem .5rem;vertical-align:top}
tr{border-bottom:1px solid #8884}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem}dd{margin:0}
bdi,dd,td,h1{overflow-wrap:anywhere}
article{margin:1rem 0;padding:.5rem .75rem;border-inline-start:4px solid #8888}
article.contact{border-color:#36c}article.bot{border-color:#093}article.agent{border-color:#c60}
article.event{border-style:dotted;font-style:italic}
article header,footer,small{font-size:.85rem;opacity:.85}
.text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext}
.warn{border:1px solid #c60;padding:.5rem .75rem}
footer{margin-top:3rem;border-top:1px solid #8888}
";

/// The page around a body. `Display` gives what comes before it, [`Footer`] what comes after.
#[derive(Debug)]
pub struct Frame<'a> {
    pub title: &'a str,
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
            Shown(self.title)
        )
    }
}

/// What a page is, at its foot.
#[derive(Debug)]
pub struct Footer<'a>(pub &'a str);

impl fmt::Display for Footer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<footer><p>{}</p></footer>\n</body>\n</html>\n", Shown(self.0))
    }
}
