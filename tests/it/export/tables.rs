//! CSV, JSONL and Parquet, read by the programs that people use.

use chatloom::sim::{BdSim, bd::BdData};

use super::{ALL, HOSTILE, be_hostile, export, files};
use crate::failures::Everybody;
use crate::faults::play;
use crate::harness::{Home, bd_source};
use crate::python;

async fn read_back(home: &Home) {
    for (format, to) in [("csv", "c"), ("jsonl", "j"), ("parquet", "p")] {
        export(home, format, to, &["--what", ALL]).await;
    }
    let mut reader = python::script("export.py");
    reader.arg(home.db()).args(["c", "j", "p"].map(|folder| home.folder.path().join(folder)));
    assert_eq!(tokio::task::spawn_blocking(move || python::said(&mut reader)).await.unwrap().trim(), "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_holds_what_the_views_hold_whatever_strangers_wrote() {
    let all = Everybody::start().await;
    be_hostile(&all);
    let home = Home::new(&format!("[reporting]\ntimezone = \"America/Sao_Paulo\"\n{}", all.config()));
    home.sync().await;
    {
        // A message whose time nobody knows, and one that was voted down.
        let store = rusqlite::Connection::open(home.db()).unwrap();
        store.execute("UPDATE messages SET sent_at_ms = NULL WHERE id IN (SELECT min(id) FROM messages)", []).unwrap();
        store.execute("UPDATE messages SET reaction = -1 WHERE id = 5", []).unwrap();
    }
    assert!(home.number("SELECT max(length(body_text)) FROM v_messages") > 9_000_000);
    read_back(&home).await;
    let told = std::fs::read_to_string(home.folder.path().join("p/export.json")).unwrap();
    assert!(told.contains("\"reporting_timezone\": \"America/Sao_Paulo\""), "{told}");
    let parts = files(&home.folder.path().join("p"));
    assert!(parts.iter().any(|path| path.ends_with("month=unknown/part-0000.parquet")), "{parts:?}");
    assert!(parts.iter().any(|path| path == "messages/source=zaia/month=2026-03/part-0000.parquet"), "{parts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_has_headers_types_and_no_rows() {
    let bd = BdSim::start(BdData::new()).await.unwrap();
    let home = Home::new(&bd_source("bd", &bd));
    home.sync().await;
    assert_eq!(home.number("SELECT count(*) FROM v_messages"), 0);
    read_back(&home).await;
    let csv = std::fs::read_to_string(home.folder.path().join("c/daily.csv")).unwrap();
    assert!(csv.starts_with("source,channel,day,") && csv.ends_with("unanswered\r\n"), "{csv:?}");
    let pages = export(&home, "html", "h", &[]).await;
    assert_eq!(pages["views"][0]["rows"], 0);
    assert_eq!(files(&home.folder.path().join("h")), ["export.json", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_cells_are_formulas() {
    play("I6", async {
        let all = Everybody::start().await;
        be_hostile(&all);
        let home = Home::new(&all.config());
        home.sync().await;
        export(&home, "csv", "c", &["--what", ALL]).await;
        let mut met = 0;
        for name in ALL.split(',') {
            let path = home.folder.path().join(format!("c/{name}.csv"));
            let mut reader = csv::ReaderBuilder::new().from_path(path).unwrap();
            for record in reader.records().map(Result::unwrap) {
                for cell in record.iter().filter(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])) {
                    assert!(cell.parse::<f64>().is_ok(), "{name}: {cell:?}");
                }
                met += record.iter().filter(|cell| cell.starts_with("'=cmd|")).count();
            }
        }
        assert!(met > 5, "titles, names and texts: {met}");
        // A spreadsheet's number stays one, and every text can be had back.
        let store = rusqlite::Connection::open(home.db()).unwrap();
        store.execute("UPDATE messages SET reaction = -1 WHERE body_text = ?1", [HOSTILE[0]]).unwrap();
        export(&home, "csv", "again", &[]).await;
        let told = std::fs::read_to_string(home.folder.path().join("again/messages.csv")).unwrap();
        assert!(told.contains("'=cmd|' /C calc'!A0,-1,"), "the vote is a number");
    })
    .await;
}
