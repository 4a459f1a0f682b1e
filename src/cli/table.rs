//! Plain text that stands in columns, measured in characters.

/// On which side a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Lines of cells, each column as wide as its widest cell, two spaces between columns, nothing behind the last word.
/// Lines may be shorter than others; what stands beyond the last of `sides` stands left.
pub(super) fn columns(sides: &[Side], lines: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    lines
        .iter()
        .map(|line| {
            let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                match sides.get(at).unwrap_or(&Side::Left) {
                    Side::Left => format!("{cell:<width$}"),
                    Side::Right => format!("{cell:>width$}"),
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

/// Breaks a text between words into lines of at most `width` characters. A longer word stands on a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut last = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if last + 1 + length <= width => {
                line.push(' ');
                line.push_str(word);
                last += 1 + length;
            }
            _ => {
                lines.push(word.to_owned());
                last = length;
            }
        }
    }
    lines
}

/// A wrapped text below a line, every line of it behind `indent`.
pub(super) fn hang(text: &str, indent: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(indent.chars().count());
    wrap(text, room).into_iter().map(|line| format!("{indent}{line}")).collect()
}

/// A time of the store (`2026-03-01T09:00:00.000Z`) as a person reads it, to the second. Anything else stays as it is.
pub(super) fn moment(iso: &str) -> String {
    match iso.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((day, time)) => format!("{day} {}", time.split_once('.').map_or(time, |(seconds, _)| seconds)),
        None => iso.to_owned(),
    }
}

/// A span of time in its two largest units: `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 1 h`.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let two = |(large, large_unit): (i64, &str), (small, small_unit): (i64, &str)| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..86_400 => two((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        _ => two((seconds / 86_400, "d"), (seconds % 86_400 / 3_600, "h")),
    }
}

/// So many of something: `1 message`, `2 messages`.
pub(super) fn count(number: i64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let line = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let lines =
            [line(&["NAME", "COUNT", "NOTE"]), line(&["日本", "7", "é"]), line(&["alone"]), line(&["", "1234567"])];
        assert_eq!(
            columns(&[Side::Left, Side::Right], &lines),
            ["NAME     COUNT  NOTE", "日本           7  é", "alone", "       1234567"]
        );
        assert!(columns(&[], &[]).is_empty());
    }

    #[test]
    fn long_texts_break_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a supercalifragilistic b", 5), ["a", "supercalifragilistic", "b"]);
        assert_eq!(hang("one two three", "  ", 9), ["  one two", "  three"]);
        assert!(wrap(" ", 5).is_empty());
    }

    #[test]
    fn times_and_spans_read_well() {
        assert_eq!(moment("2026-03-01T09:00:00.123Z"), "2026-03-01 09:00:00");
        assert_eq!(moment("2026-03-01T09:00:00Z"), "2026-03-01 09:00:00");
        assert_eq!(moment("55"), "55");
        let spans = [-1, 0, 59, 60, 185, 3_600, 7_800, 90_000, 172_800].map(span);
        assert_eq!(spans, ["0 s", "0 s", "59 s", "1 min", "3 min 5 s", "1 h", "2 h 10 min", "1 d 1 h", "2 d"]);
        assert_eq!(count(1, "message", "messages"), "1 message");
        assert_eq!(count(0, "message", "messages"), "0 messages");
    }
}
