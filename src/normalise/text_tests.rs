use proptest::prelude::*;

use super::{HtmlImage, html_images, html_to_text, read_html};

#[test]
fn html_reads_as_a_browser_shows_it() {
    for (html, text) in [
        ("<p>Hello</p><p>World</p>", "Hello\nWorld"),
        ("Hi<br>there", "Hi\nthere"),
        ("Hi<br/>there</br>you", "Hi\nthere\nyou"),
        ("<p>a</p>\n<p>b</p>", "a\nb"),
        ("a<br><br>b", "a\n\nb"),
        ("<p>a<br></p><p>b</p>", "a\nb"),
        ("<p>a</p><p><br></p><p>b</p>", "a\n\nb"),
        ("<p>a</p><p></p><div><div>b</div></div>", "a\nb"),
        ("<br><br><p> a </p><br><br>", "a"),
        ("a <b>bold</b> <i> move</i> .", "a bold move ."),
        ("un<b>believ</b>able", "unbelievable"),
        ("one\n  two\t\r\n three &amp; four", "one two three & four"),
        ("<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>", "a\nb\nc\nd"),
        ("<table><tr><td>a</td> <td> b</td></tr><tr><th>c<th>d</table>", "a\tb\nc\td"),
        ("<pre>\n  a\n\n   b  \n</pre>after  all", "  a\n\n   b  \nafter all"),
        ("x<textarea>\na  <b>\nc</textarea>y", "x\na  <b>\nc\ny"),
        ("<h1>Head</h1>text<hr>more", "Head\ntext\nmore"),
        ("<a href='x'>link</a> <span title=\"a > b\">quoted</span>", "link quoted"),
        ("", ""),
        ("<p></p>", ""),
    ] {
        assert_eq!(html_to_text(html), text, "{html}");
    }
}

#[test]
fn entities_are_decoded_once() {
    for (html, text) in [
        ("a&nbsp;&nbsp;b &nbsp;", "a\u{a0}\u{a0}b \u{a0}"),
        ("&amp;amp; &amp;lt;p&amp;gt;", "&amp; &lt;p&gt;"),
        ("&lt;script&gt;", "<script>"),
        ("&#128512; &#x1F600;", "😀 😀"),
        ("&notanentity; &bogus; &;", "¬anentity; &bogus; &;"),
        ("AT&T &copy 2026 & more", "AT&T © 2026 & more"),
        ("&#0; &#xD800; &#x110000; &#99999999999;", "\u{fffd} \u{fffd} \u{fffd} \u{fffd}"),
        ("&#; &#x; &# &", "&#; &#x; &# &"),
        ("&eacute;&zwj;&rlm;", "é\u{200d}\u{200f}"),
        ("a&#10;b<pre>c&#10;d</pre>", "a b\nc\nd"),
    ] {
        assert_eq!(html_to_text(html), text, "{html}");
    }
}

#[test]
fn what_is_not_shown_is_dropped() {
    for (html, text) in [
        ("a<script>alert('<p>x</p>')</script>b", "ab"),
        ("a<SCRIPT type=x>if (a < b) '</p>'</ScRiPt >b", "ab"),
        ("<style>p { color: red }</style>a<!-- <b>no</b> -->b", "ab"),
        ("<html><head><title>No &amp; no</title><meta x></head><body>yes</body></html>", "yes"),
        ("a<template>x<template>y</template><script>z</script>w</template>b", "ab"),
        ("a<noscript>kept</noscript>", "akept"),
        ("<!DOCTYPE html><?php no ?>a<![CDATA[no]]>", "a"),
        ("a<script>b", "a"),
        ("a<iframe><p>no</iframe>b", "ab"),
    ] {
        assert_eq!(html_to_text(html), text, "{html}");
    }
}

#[test]
fn broken_html_is_read_as_well_as_it_goes() {
    for (html, text) in [
        ("I <3 you & a < b", "I <3 you & a < b"),
        ("a <", "a <"),
        ("<p>a<p>b<div>c", "a\nb\nc"),
        ("</p></div></pre>a  b", "a b"),
        ("<b>a</i></b></textarea>  c", "a c"),
        ("<a href=\"x'y\" title='a\"b'>t</a>", "t"),
        ("<a href=\"never closed>t</a>", ""),
        ("a\0b<p>c\0</p>", "ab\nc"),
        ("<scr\0ipt>x</script>y", "y"),
        ("<xmp><b>\n  x</xmp>", "<b>\n  x"),
        ("a<plaintext><b></plaintext>", "a\n<b></plaintext>"),
    ] {
        assert_eq!(html_to_text(html), text, "{html}");
    }
}

#[test]
fn scripts_of_the_world_come_through_byte_for_byte() {
    for text in ["👩‍👩‍👧‍👦 🇵🇹 ✌🏽", "שָׁלוֹם", "مرحبًا بك", "e\u{301}a\u{308} é", "नमस्ते", "\u{feff}x\u{202e}y", "ﬁ ①"]
    {
        assert_eq!(html_to_text(text), text);
        assert_eq!(html_to_text(&format!("<p>{text}</p>")), text);
    }
}

#[test]
fn plain_text_keeps_its_lines() {
    assert_eq!(html_to_text("a\n\n  b \r\n"), "a\n\n  b \r\n");
    assert_eq!(html_to_text("a\0\nb"), "a\nb");
}

#[test]
fn images_are_named_and_never_carried() {
    let read = read_html("See<img src='https://img.example.test/a.png' alt=' A cat '><p><IMG SRC=/b.png>!");
    assert_eq!(read.text, "See[image]\n[image]!");
    let image = |url: Option<&str>, name: Option<&str>| HtmlImage {
        url: url.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    assert_eq!(
        read.images,
        [image(Some("https://img.example.test/a.png"), Some("A cat")), image(Some("/b.png"), None)]
    );
    for hidden in ["data:image/png;base64,AAAA", " DATA:x", "javascript:x", "cid:1", "da\nta:x", ""] {
        assert_eq!(html_images(&format!("<img src=\"{hidden}\">")), [image(None, None)], "{hidden}");
    }
    for kept in ["//cdn.example.test/a", "a.png?x=b:c", "HTTP://example.test", "?a:b", "#a:b"] {
        assert_eq!(html_images(&format!("<img src=\"{kept}\">")), [image(Some(kept), None)]);
    }
    assert_eq!(html_images(&"<img>".repeat(500)).len(), 100);
    let picture = format!("<p>a<img alt=x src=\"data:image/png;base64,{}\"></p>b", "A".repeat(2_000_000));
    assert_eq!(read_html(&picture).text, "a[image]\nb");
    assert_eq!(read_html(&picture).images, [image(None, Some("x"))]);
}

#[test]
fn hostile_input_ends_and_overflows_nothing() {
    for piece in ["<", "&"] {
        drop(read_html(&piece.repeat(1_000_000)));
    }
    const MANY: usize = 200_000;
    for piece in ["<", "&", "<p", "<!", "<!-", "<!--", "&#", "&a", "\"", "</", "=", "<a b='", "<![CDATA[", "\r", "--!>"]
    {
        drop(read_html(&format!("<{}", piece.repeat(MANY / piece.len()))));
    }
    for name in ["div", "b", "pre", "template", "table"] {
        let nested = format!("{}x{}", format!("<{name}>").repeat(100_000), format!("</{name}>").repeat(100_000));
        let wanted = if name == "template" { "" } else { "x" };
        assert_eq!(html_to_text(&nested), wanted);
    }
    let breaks = html_to_text(&format!("a{}b", "<br>".repeat(100_000)));
    assert_eq!(breaks.len(), 100_002);
}

#[test]
fn a_tag_with_endless_attributes_costs_no_more_than_its_length() {
    let attributes: String = (0..150_000).map(|i| format!(" a{i}='>'/")).collect();
    let html = format!("a<p{attributes}>b</p><img{attributes} src=x alt=late><img src=y>");
    let read = read_html(&html);
    assert_eq!(read.text, "a\nb\n[image][image]");
    assert_eq!(read.images.last().and_then(|image| image.url.as_deref()), Some("y"));
    let ordinary = format!("{}<p a=b c='d>' e=\"f\" / g = h>x</p>", "&amp;".repeat(10_000));
    assert!(matches!(super::bound_attributes(&ordinary), std::borrow::Cow::Borrowed(_)));
    assert!(html_to_text(&ordinary).ends_with("&\nx"));
}

proptest! {
    #[test]
    fn no_input_panics_or_brings_a_nul(html in r#"([<>&;"'=/! \n\x00a-z#-]|<p>|</p>|<br>|<pre>|<script>|&amp;|&#x|\PC){0,60}"#) {
        let text = html_to_text(&html);
        prop_assert!(!text.contains('\0'));
    }

    #[test]
    fn text_without_markup_is_left_alone(text in "[^<&]{0,60}") {
        prop_assert_eq!(html_to_text(&text), text.replace('\0', ""));
    }

    #[test]
    fn escaping_a_line_and_reading_it_gives_it_back(text in "[a-zäß<>&\"' 😀]{1,40}") {
        let line = text.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        let html = format!("<p>{}</p>", line.replace('&', "&amp;").replace('<', "&lt;"));
        prop_assert_eq!(html_to_text(&html), line);
    }

    #[test]
    fn white_space_collapses_wherever_it_stands(parts in prop::collection::vec("[aä😀\\u{a0} \\t\\n\\x0c]{0,8}", 1..6)) {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{c}');
        let whole = parts.concat();
        let words = whole.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(html_to_text(&format!("<p>{}</p>", parts.join("<b>"))), words);
    }
}
