//! Every statement of docs/recipes.md on a store made by hand, in Debian's SQLite and in ours, against answers that were
//! worked out by hand (tests/fixtures/readers.sql says what is in it).

use std::path::Path;
use std::process::Command;

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::harness::{Home, bd_source, demo_worlds, sitegpt_source, zaia_source};
use crate::metrics::SCHEMA;

/// What the recipes take for now.
const NOW: &str = "'2026-03-02T12:00:00Z'";

/// The store of tests/fixtures/readers.sql as a file.
pub(crate) fn hand_made(path: &Path) -> Connection {
    let store = Connection::open(path).unwrap();
    store.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    SCHEMA.iter().for_each(|sql| store.execute_batch(sql).unwrap());
    store.execute_batch(include_str!("../fixtures/readers.sql")).unwrap();
    store
}

/// Question and statement of every recipe.
fn recipes() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md")).unwrap();
    page.split("\n## ")
        .skip(1)
        .map(|section| {
            let (question, rest) = section.split_once('\n').unwrap();
            let blocks: Vec<&str> = rest.split("```sql\n").skip(1).collect();
            assert_eq!(blocks.len(), 1, "{question}: one statement each");
            let (sql, told) = blocks[0].split_once("```").unwrap();
            assert!(!told.trim().is_empty(), "{question}: says nothing of how to read the answer");
            (question.to_owned(), sql.to_owned())
        })
        .collect()
}

/// The answer to each question, as the shell prints it, NULL as `-`.
const ANSWERS: &[(&str, &[&str])] = &[
    (
        // d2 since its first question after the reply of February; z4 was never answered.
        "Who waits for an answer now, and for how long?",
        &[
            "directory|live_chat|Ben Ode|2026-03-02T09:00:00.000Z|3.0|2",
            "agents|widget|-|2026-03-02T10:30:00.000Z|1.5|8",
        ],
    ),
    (
        // 4 s and 8 s; half an hour and two hours. The bots' times are unknown.
        "How long until the first answer, by source and month?",
        &["agents|2026-02|2|6.0|8.0", "directory|2026-02|2|4500.0|7200.0"],
    ),
    (
        "How fast do bots answer, and how fast do people?",
        &[
            "agents|whatsapp|agent|1|300.0|300.0",
            "directory|live_chat|agent|2|4500.0|7200.0",
            "agents|whatsapp|bot|1|4.0|4.0",
            "agents|widget|bot|1|8.0|8.0",
        ],
    ),
    (
        // z2; t1 of t1 and t2; z1 went to a human.
        "How much do bots settle without a human, by channel?",
        &["agents|widget|1|1|100.0", "bots|widget|2|1|50.0", "agents|whatsapp|1|0|0.0"],
    ),
    (
        // z1: six minutes from "Hi"; t2: nobody came. In z5 nobody had asked.
        "How long do people wait who are handed to a human?",
        &["agents|1|1|360.0", "bots|1|0|-"],
    ),
    (
        "When do we need people?",
        &[
            "Sunday|10|1|2",
            "Monday|9|1|2",
            "Wednesday|10|1|2",
            "Sunday|11|1|1",
            "Monday|10|1|1",
            "Tuesday|9|1|1",
            "Thursday|12|1|1",
            "Friday|9|1|1",
        ],
    ),
    (
        "Who came to us in more than one place?",
        &["Ana Lima|2|sitegpt,zaia|2026-02-25T10:00:00.000Z|2026-03-01T10:02:00.000Z"],
    ),
    (
        "Which answers of bots were voted down, and what had been asked?",
        &["2026-03-01T10:02:00.000Z|bots|-|And without the box?|I do not know.|\
           Returns, https://shop.example.test/help/boxes"],
    ),
    (
        "Which pages do bots cite, and which of them disappoint?",
        &["https://shop.example.test/help/returns|2|1|1", "https://shop.example.test/help/boxes|1|1|0"],
    ),
    (
        "Which conversations are the longest?",
        &[
            "agents|Ana Lima|5|2|1|1|0.1|3",
            "directory|Ben Ode|4|3|0|1|240.1|2",
            "bots|Ana|4|2|2|0|0.0|5",
            "directory|Ben Ode|3|1|0|1|2.0|1",
            "agents|Cy Dole|2|1|1|0|0.0|4",
            "bots|-|2|1|1|0|0.0|6",
            "agents|-|1|1|0|0|0.0|8",
            "agents|Cy Dole|1|0|0|1|0.0|9",
        ],
    ),
    ("Which conversations came back after all was quiet?", &["directory|Ben Ode|1|2026-03-02T09:00:00.000Z|2|2"]),
    ("Who answers how much?", &["directory|Mia Stone|2|2|2", "agents|Noor Vale|2|2|2"]),
    (
        "From which pages do people write?",
        &["https://shop.example.test/help|2|1|0", "https://shop.example.test/prices|2|0|1"],
    ),
    (
        // Ben (twice), Ana and Cy; then Ana again. Ben's question of March is the old conversation.
        "How many people are new, and how many come again?",
        &["2026-02|3|3|0", "2026-03|1|0|1"],
    ),
    (
        // d2, z1, d2 again; z3 is deleted.
        "How often do people ask about something, week by week?",
        &["2026-02-16|1|1", "2026-02-23|1|1", "2026-03-02|1|1"],
    ),
    (
        "What changed since I last looked?",
        &[
            "46|z2|m15|contact|Forget this|1",
            "47|z1|m12|agent|I have sent it back.|0",
            "48|b/t1|m19|bot|I do not know.|0",
            "49|b/t1|m17|bot|See our help pages.|0",
        ],
    ),
    ("What is not complete, and why?", &["agents|z4|limit|1200|1"]),
    (
        "What was deleted or edited, by source?",
        &[
            "agents|conversation deleted|provider|1|2026-03-01T12:00:00.000Z",
            "agents|message deleted|provider|1|2026-02-26T12:02:00.000Z",
            "agents|message edited|-|1|2026-02-25T10:10:00.000Z",
        ],
    ),
    (
        // By her address at the bots, also what she wrote with the number that she has at both.
        "What did one person write?",
        &[
            "2026-02-25T10:00:00.000Z|agents|whatsapp|contact|Hi, are refunds possible?",
            "2026-02-25T10:00:04.000Z|agents|whatsapp|bot|Yes, within 14 days.",
            "2026-02-25T10:01:00.000Z|agents|whatsapp|contact|Then I want one",
            "2026-02-25T10:01:30.000Z|agents|whatsapp|system|Handed over",
            "2026-02-25T10:06:00.000Z|agents|whatsapp|agent|I have sent it back.",
            "2026-03-01T10:00:00.000Z|bots|widget|contact|How do I return a mug?",
            "2026-03-01T10:00:00.000Z|bots|widget|bot|See our help pages.",
            "2026-03-01T10:02:00.000Z|bots|widget|contact|And without the box?",
            "2026-03-01T10:02:00.000Z|bots|widget|bot|I do not know.",
        ],
    ),
    // z1 and z2; t1, t2 and z4.
    ("Do bots settle more than last month?", &["2026-02|2|1|1|0", "2026-03|3|1|1|1"]),
];

/// What Debian's shell prints.
fn shell(store: &Path, sql: &str) -> Vec<String> {
    let shell = Command::new("sqlite3").args(["-readonly", "-nullvalue", "-"]).arg(store).arg(sql).output().unwrap();
    assert!(shell.status.success(), "{sql}: {}", String::from_utf8_lossy(&shell.stderr));
    String::from_utf8(shell.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What our own SQLite answers, printed as the shell prints it.
fn ours(store: &Connection, sql: &str) -> Vec<String> {
    let mut statement = store.prepare(sql).unwrap();
    let width = statement.column_count();
    let cell = |value| match value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text,
        Value::Blob(_) => panic!("no recipe shows bytes"),
    };
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let cells: Vec<String> = (0..width).map(|at| cell(row.get(at).unwrap())).collect();
        rows.push(cells.join("|"));
    }
    rows
}

#[test]
fn every_recipe_gives_the_answer_that_was_worked_out_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chatloom.db");
    let store = hand_made(&path);
    let recipes = recipes();
    assert!(recipes.len() >= 15);
    let mut asked = Vec::new();
    for (question, sql) in &recipes {
        let sql = sql.replace("'now'", NOW);
        let answer = ANSWERS.iter().find(|(name, _)| name == question);
        let (_, answer) = answer.unwrap_or_else(|| panic!("no answer is known to: {question}"));
        assert_eq!(ours(&store, &sql), *answer, "{question}");
        assert_eq!(shell(&path, &sql), *answer, "{question}, in the shell");
        asked.push(question);
    }
    let left: Vec<_> = ANSWERS.iter().filter(|(name, _)| !asked.iter().any(|question| question == name)).collect();
    assert!(left.is_empty(), "nobody asks: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipes_run_on_what_a_sync_leaves() {
    let worlds = demo_worlds(3);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let bots = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let home = Home::new(&format!(
        "{}{}{}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &bots, "v2")
    ));
    home.sync().await;
    // Everything is complete and as it was written, nobody came back or wants a refund, and nobody here is Ana.
    let empty = [
        "What is not complete, and why?",
        "What did one person write?",
        "What was deleted or edited, by source?",
        "Which conversations came back after all was quiet?",
        "How often do people ask about something, week by week?",
    ];
    for (question, sql) in recipes() {
        let rows = shell(&home.db(), &sql);
        assert!(!rows.is_empty() || empty.contains(&question.as_str()), "{question}: no row");
        assert_eq!(rows.is_empty(), ours(&home.open(), &sql).is_empty(), "{question}");
    }
}
