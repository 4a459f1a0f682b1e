//! Charts as inline SVG: no script, no style attribute, a title for those who listen, and the figures as a table.

use maud::{Markup, html};

use super::html::table;
use super::reader::number;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 190.0;
/// Room for the figures on the left, and for the dates below.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 6.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// One line or one layer of bars.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    /// Its colour, by class.
    pub(super) class: &'a str,
    pub(super) values: Vec<Option<f64>>,
}

/// What is drawn.
pub(super) struct Chart<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What is told below the title.
    pub(super) note: &'a str,
    /// What one step is called: day, week, month.
    pub(super) step: &'a str,
    pub(super) labels: Vec<String>,
    pub(super) series: Vec<Series<'a>>,
    /// How a figure is written.
    pub(super) written: fn(f64) -> String,
    /// The end of the scale, where it does not follow from the figures.
    pub(super) top: Option<f64>,
}

impl Chart<'_> {
    /// A place on paper. Where the scale ends at zero everything lies on the ground.
    fn y(value: f64, top: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value / top).clamp(0.0, 1.0))
    }

    fn step_width(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / f64::from(u32::try_from(self.labels.len().max(1)).unwrap_or(1))
    }

    fn x(&self, at: usize) -> f64 {
        LEFT + self.step_width() * (f64::from(u32::try_from(at).unwrap_or(0)) + 0.5)
    }

    fn top(&self) -> f64 {
        let most = self.series.iter().flat_map(|series| series.values.iter().flatten()).copied().fold(0.0, f64::max);
        self.top.unwrap_or_else(|| nice(most))
    }

    /// Bars, the layers on top of each other being shares of the first.
    pub(super) fn bars(&self) -> Markup {
        let top = self.top();
        let width = (self.step_width() * 0.78).max(0.8);
        let ground = Self::y(0.0, top);
        self.figure(&html! {
            (self.axes(top))
            @for series in &self.series {
                g class=(series.class) {
                    @for (at, value) in series.values.iter().enumerate() {
                        @if let Some(value) = value.filter(|value| *value > 0.0) {
                            rect x=(px(self.x(at) - width / 2.0)) y=(px(Self::y(value, top))) width=(px(width))
                                height=(px(ground - Self::y(value, top))) {
                                title { (self.labels.get(at).map_or("", String::as_str)) ": " ((self.written)(value)) " " (series.name) }
                            }
                        }
                    }
                }
            }
        })
    }

    /// Lines, broken where there is no figure.
    pub(super) fn lines(&self) -> Markup {
        let top = self.top();
        self.figure(&html! {
            (self.axes(top))
            @for series in &self.series {
                g class=(format!("line {}", series.class)) {
                    @for piece in pieces(&series.values) {
                        @if let [(at, value)] = piece.as_slice() {
                            circle cx=(px(self.x(*at))) cy=(px(Self::y(*value, top))) r="1.6" {}
                        } @else {
                            polyline points=(piece.iter().map(|(at, value)| format!("{},{}", px(self.x(*at)), px(Self::y(*value, top))))
                                .collect::<Vec<_>>().join(" ")) {}
                        }
                    }
                }
            }
        })
    }

    fn axes(&self, top: f64) -> Markup {
        let last = self.labels.len().saturating_sub(1);
        html! {
            g.axis {
                @for share in [0.0, 0.5, 1.0] {
                    line x1=(px(LEFT)) x2=(px(WIDTH - RIGHT)) y1=(px(Self::y(top * share, top))) y2=(px(Self::y(top * share, top))) {}
                    text x=(px(LEFT - 6.0)) y=(px(Self::y(top * share, top) + 3.5)) text-anchor="end" { ((self.written)(top * share)) }
                }
                @for (at, anchor) in [(0, "start"), (last / 2, "middle"), (last, "end")] {
                    @if let Some(label) = self.labels.get(at).filter(|_| at != 0 || anchor == "start") {
                        text x=(px(match anchor { "start" => LEFT, "end" => WIDTH - RIGHT, _ => self.x(at) }))
                            y=(px(HEIGHT - 6.0)) text-anchor=(anchor) { (label) }
                    }
                }
            }
        }
    }

    fn figure(&self, drawn: &Markup) -> Markup {
        let heads: Vec<&str> = std::iter::once(self.step).chain(self.series.iter().map(|series| series.name)).collect();
        let filled: Vec<usize> = (0..self.labels.len())
            .filter(|at| {
                self.series
                    .iter()
                    .any(|series| series.values.get(*at).copied().flatten().is_some_and(|value| value > 0.0))
            })
            .collect();
        let rows = html! {
            @for at in filled.iter().rev().copied() {
                tr {
                    th scope="row" { (self.labels.get(at).map_or("", String::as_str)) }
                    @for series in &self.series {
                        td.number { (series.values.get(at).copied().flatten().map_or("–".to_owned(), self.written)) }
                    }
                }
            }
        };
        let name = format!("{}-title", self.id);
        html! {
            figure.chart {
                figcaption {
                    h2 #(self.id) { (self.title) }
                    p { (self.note) }
                    @if self.series.len() > 1 {
                        ul.legend { @for series in &self.series { li class=(series.class) { (series.name) } } }
                    }
                }
                @if filled.is_empty() {
                    p.empty { "Nothing in this time." }
                } @else {
                    svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby=(name) {
                        title #(name) { (self.title) ", per " (self.step) ", from " (self.labels.first().map_or("", String::as_str))
                            " to " (self.labels.last().map_or("", String::as_str)) ". The figures stand in the table below." }
                        (drawn)
                    }
                    details {
                        summary { "Figures" }
                        (table(self.title, &heads, &rows))
                    }
                }
            }
        }
    }
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// The week as most calendars hang on the wall.
const ORDER: [usize; 7] = [1, 2, 3, 4, 5, 6, 0];

/// The hours of a week, the busier the stronger.
pub(super) fn heat(week: &[[u64; 24]; 7], zone: &str) -> Markup {
    const CELL: f64 = 17.5;
    const ROW: f64 = 20.0;
    let most = week.iter().flatten().copied().max().unwrap_or(0);
    let least = week.iter().flatten().copied().filter(|n| *n > 0).min().unwrap_or(0);
    // Five steps from the quietest hour to the busiest; nothing at all is a step of its own.
    let level = |n: u64| if n == 0 { 0 } else { 1 + (n - least) * 4 / (most - least).max(1) };
    let mut busy: Vec<(u64, usize, usize)> = ORDER
        .iter()
        .flat_map(|day| {
            (0..24).map(|hour| (week.get(*day).and_then(|row| row.get(hour)).copied().unwrap_or(0), *day, hour))
        })
        .filter(|(n, ..)| *n > 0)
        .collect();
    busy.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
    let rows = html! {
        @for (n, day, hour) in busy.iter().take(24) {
            tr { th scope="row" { (day_name(*day)) } td.number { (hour_name(*hour)) } td.number { (number(i64::try_from(*n).unwrap_or(i64::MAX))) } }
        }
    };
    let told = match busy.first() {
        Some((_, day, hour)) => format!("The busiest hour is {} from {}.", day_name(*day), hour_name(*hour)),
        None => String::new(),
    };
    let at = |index: usize| f64::from(u32::try_from(index).unwrap_or(0));
    html! {
        figure.chart {
            figcaption {
                h2 #hours { "Busiest hours" }
                p { "Messages of contacts by weekday and hour, in " (zone) ". " (told) }
            }
            @if busy.is_empty() {
                p.empty { "Nothing in this time." }
            } @else {
                svg.heat viewBox="0 0 480 190" role="img" aria-labelledby="hours-title" {
                    title #hours-title { "Busiest hours of the week. " (told) " The figures stand in the table below." }
                    g.axis {
                        @for (row, day) in ORDER.iter().enumerate() {
                            text x="34" y=(px(ROW * at(row) + 22.0)) text-anchor="end" { (DAYS.get(*day).copied().unwrap_or("")) }
                        }
                        @for hour in [0, 6, 12, 18] {
                            text x=(px(42.0 + CELL * at(hour))) y="170" { (hour_name(hour)) }
                        }
                    }
                    @for (row, day) in ORDER.iter().enumerate() {
                        @for (hour, n) in week.get(*day).into_iter().flatten().copied().enumerate() {
                            rect class=(format!("h{}", level(n))) x=(px(42.0 + CELL * at(hour))) y=(px(8.0 + ROW * at(row)))
                                width=(px(CELL - 2.0)) height=(px(ROW - 2.0)) rx="2" {
                                title { (day_name(*day)) " " (hour_name(hour)) ": " (number(i64::try_from(n).unwrap_or(i64::MAX))) }
                            }
                        }
                    }
                }
                details {
                    summary { "Figures" }
                    (table("Busiest hours", &["weekday", "from", "messages"], &rows))
                }
            }
        }
    }
}

fn day_name(day: usize) -> &'static str {
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"].get(day).copied().unwrap_or("")
}

fn hour_name(hour: usize) -> String {
    format!("{hour:02}:00")
}

/// Figures next to each other, with their places.
fn pieces(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut pieces = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, pieces.last_mut()) {
            (Some(value), Some(piece)) => piece.push((at, *value)),
            _ => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// A round number that is not below.
fn nice(most: f64) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let ten = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].into_iter().map(|step| step * ten).find(|step| *step >= most).unwrap_or(most).max(2.0)
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let told: Vec<f64> = [0.0, 0.3, 1.0, 3.0, 17.0, 41.0, 99.0, 1_000.0, f64::NAN].map(nice).into();
        assert_eq!(told, [1.0, 2.0, 2.0, 4.0, 20.0, 50.0, 100.0, 1_000.0, 1.0]);
    }

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let told = pieces(&[None, Some(1.0), Some(2.0), None, None, Some(3.0)]);
        assert_eq!(told, [vec![(1, 1.0), (2, 2.0)], vec![(5, 3.0)]]);
    }

    #[test]
    fn a_chart_of_nothing_says_so_and_one_point_is_a_chart() {
        let chart = |values: Vec<Option<f64>>| Chart {
            id: "c",
            title: "T<",
            note: "n",
            step: "day",
            labels: values.iter().map(|_| "2026-03-01".to_owned()).collect(),
            series: vec![Series { name: "a", class: "s1", values }],
            written: |value| format!("{value}"),
            top: None,
        };
        assert!(chart(vec![]).bars().into_string().contains("Nothing in this time"));
        assert!(chart(vec![None, None]).lines().into_string().contains("Nothing in this time"));
        let one = chart(vec![Some(3.0)]).lines().into_string();
        assert!(one.contains("<circle") && one.contains("T&lt;") && !one.contains("style="), "{one}");
        assert!(!one.contains("NaN") && !one.contains("inf"));
    }
}
