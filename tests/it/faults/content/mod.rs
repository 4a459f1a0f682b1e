//! I: content stays content, wherever it is stored, shown or served.

mod listener;
mod shown;
mod stored;

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "I1",
        "SQL in ids, texts, names and titles; in the name of a source",
        "stored byte for byte, the schema as it was; a source's name of other characters than `[a-z0-9_-]` is refused with \
         status 2",
    ),
    Row::played(
        "I2",
        "full-text queries such as `who's`, `\"`, `NEAR(`, `col:x`, `C++`, 100 KB",
        "searched as plain words; no query is an error of SQL",
    ),
    Row::played(
        "I3",
        "HTML and scripts in texts and links, on a web page, in a browser",
        "shown as text, tags and all; nothing runs, nothing is loaded from another host; links lead to http(s) pages alone",
    ),
    Row::played(
        "I4",
        "ANSI, OSC 0, 8 and 52, C1 bytes, CR, backspace, in results and logs, on a terminal",
        "shown as replacement characters, in logs written out; JSON keeps every value, escaped",
    ),
    Row::played(
        "I5",
        "bidirectional overrides, zero-width characters, 10,000 combining marks",
        "neutralised where they are shown, kept as they are in the store",
    ),
    Row::played(
        "I6",
        "cells that begin with `=`, `+`, `-`, `@`, tab or line end in CSV",
        "an apostrophe stands before them in columns of text, which can be taken away again; numbers stay numbers",
    ),
    Row::played(
        "I7",
        "line breaks in ids and reasons that reach logs, the service manager's status, HTTP headers",
        "one line stays one line; a key with a line break is refused",
    ),
    Row::played(
        "I8",
        "attachments named `../../x`, with a drive, NUL, 5,000 characters, at private and file: addresses",
        "rows of `attachments` and nothing else: no file is made, nothing is fetched; other addresses than http(s) are not taken",
    ),
    Row::played(
        "I9",
        "`LIKE` or regular expressions from a user: `%%%…`, `((((a+)+)+)+`, in search box and filters",
        "plain words: nothing takes a pattern, and a question that takes longer than 3 s is given up",
    ),
    Row::played(
        "I10",
        "a web page elsewhere, and other statements, at the local listener",
        "Host and Origin are checked, nothing is shared across origins; stores are read through connections that cannot \
         write, attach or load",
    ),
];
