//! Messages are found by their words, and only those that are there.

use chatloom::sim::bd::{BdData, TokenLookup};
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use chatloom::store::{open_reader, search_problem};
use rusqlite::Connection;

use crate::harness::{Home, NOW_MS, bd_source, demo_worlds, now_ms, sitegpt_source, zaia_source};

/// External ids of the messages that a search brings, in its order.
pub(crate) async fn found(home: &Home, query: &[&str]) -> Vec<String> {
    let done = home.run(&[&["search", "--json"], query].concat()).await;
    assert_eq!(done.code, 0, "{query:?}: {}{}", done.stdout, done.stderr);
    let told = done.json();
    assert_eq!(told["exact"], true, "{told}");
    let hits = told["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["message_external_id"].as_str().unwrap().to_owned()).collect()
}

async fn sorted(home: &Home, query: &[&str]) -> Vec<String> {
    let mut ids = found(home, query).await;
    ids.sort();
    ids
}

/// The index says what the messages say, by its own word and by SQLite's.
#[track_caller]
pub(crate) fn assert_in_step(home: &Home) {
    assert_eq!(search_problem(&open_reader(&home.db()).unwrap()), None);
    let connection = Connection::open(home.db()).unwrap();
    connection.execute("INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 1)", []).unwrap();
}

pub(crate) struct Scene {
    pub(crate) home: Home,
    pub(crate) bd: BdSim,
    zaia: ZaiaSim,
    _sitegpt: SitegptSim,
    /// A thread, and its three messages.
    pub(crate) thread: String,
    asked: u64,
    answered: u64,
    chat: String,
    chat_ids: Vec<String>,
}

pub(crate) async fn scene() -> Scene {
    let mut bd = BdData::new();
    bd.quirks.token_lookup = TokenLookup::Works;
    let (joao, cleo) = (bd.add_user("João", "Müller"), bd.add_user("Cleo", "Okafor"));
    let thread = bd.add_thread(&joao, &cleo, NOW_MS - 90_000);
    let asked = bd.add_message(&thread, &joao, NOW_MS - 80_000, "Não recebi o reembolso, who's in charge?");
    let answered = bd.add_message(&thread, &cleo, NOW_MS - 70_000, "The refund for C++ 20.04 is multi-agent.");
    let mut zaia = ZaiaData::new();
    let channel = zaia.add_channel("whatsapp", "Loja São Paulo");
    let agent = zaia.add_agent("Helper");
    let owner = zaia.add_external_user(&channel, Some("li@example.test"), Some("Li Wei"));
    let chat = zaia.add_chat(Some(&channel), &owner, &agent, NOW_MS - 90_000);
    let chat_ids = [
        ("user", &owner, "我想退款，iPhone15很贵 jacaranda"),
        ("assistant", &agent, "東京の商品カードは返品できます"),
        ("user", &owner, "ที่นี่ส่งคืนได้ไหม"),
        ("assistant", &agent, "שָׁלוֹם, ההחזר בדרך"),
        ("user", &owner, "مَرْحَبًا أين المال"),
        ("assistant", &agent, "Obrigada🙂 money ❤\u{FE0F} back👍\u{1F3FD} ✈\u{FE0F}amanhã мои\u{306} Αθη\u{301}να"),
    ]
    .into_iter()
    .zip(0_i64..)
    .map(|((role, who, text), n)| zaia.add_message(&chat, role, Some(who), NOW_MS - 60_000 + n * 1000, text))
    .collect();
    let mut sitegpt = SitegptData::new();
    let chatbot = sitegpt.add_chatbot("Carpentry");
    let voted = sitegpt.add_thread(&chatbot, NOW_MS - 86_400_000 * 3);
    let exchange = sitegpt.add_normal(
        &voted,
        ("Refund?", NOW_MS - 86_400_000 * 3),
        ("No refund.", NOW_MS - 86_400_000 * 3 + 1000),
    );
    sitegpt.change_message(&voted, &exchange, |message| message.reaction = -1);
    let (bd, zaia) = (BdSim::start(bd).await.unwrap(), ZaiaSim::start(zaia).await.unwrap());
    let sitegpt = SitegptSim::start(sitegpt).await.unwrap();
    let home = Home::new(&format!(
        "{}{}{}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &sitegpt, "v2")
    ));
    home.sync().await;
    Scene { home, bd, zaia, _sitegpt: sitegpt, thread, asked, answered, chat, chat_ids }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_phrases_and_scripts_without_blanks_are_found() {
    let scene = scene().await;
    let home = &scene.home;
    let (asked, answered) = (scene.asked.to_string(), scene.answered.to_string());
    for query in ["nao", "NÃO", "nao recebi", "\"recebi o reembolso\"", "reemb*", "who's", "\"nao rece\"*", "charge?"]
    {
        assert_eq!(found(home, &[query]).await, [asked.as_str()], "{query}");
    }
    for query in ["C++", "20.04", "multi-agent", "\"refund for\"", "AGENT refund"] {
        assert_eq!(found(home, &[query]).await, [answered.as_str()], "{query}");
    }
    // In scripts without blanks any part is a word, and Latin words in between are found by themselves.
    for (at, queries) in [
        (0, &["退款", "想退", "iphone15", "贵"][..]),
        (1, &["東京", "カード", "返品"]),
        (2, &["นี่", "ส่งคืน", "ไหม"]),
        (3, &["שלום", "שָׁלוֹם", "ההחזר"]),
        (4, &["مرحبا", "المال"]),
        (5, &["obrigada", "\"money back\"", "amanha", "мой", "αθήνα", "back"]),
    ] {
        for query in queries {
            assert_eq!(found(home, &[query]).await, [scene.chat_ids[at].as_str()], "{query}");
        }
    }
    for query in ["款退", "\"o recebi\"", "reemb", "AND", "NEAR(a b)", "\"", "*", "-x", "body_text:nao recebidos", ""]
    {
        assert_eq!(found(home, &["--", query]).await, Vec::<String>::new(), "{query}");
    }
    let told = home.run(&["search", "東京 返品"]).await.stdout;
    assert!(told.contains("[東京]の商品カードは[返品]できます") && told.contains(&scene.chat), "{told}");
    // Whoever reads the file with the shell of an older SQLite finds the same.
    let shell = std::process::Command::new("sqlite3")
        .args(["-readonly", home.db().to_str().unwrap()])
        .arg("SELECT snippet(message_search, 0, '<', '>', '', 4) FROM message_search WHERE message_search MATCH 'nao'")
        .output();
    if let Ok(shell) = shell {
        assert_eq!(String::from_utf8_lossy(&shell.stdout).trim(), "<Não> recebi o reembolso", "{shell:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_narrow_down_and_what_is_none_is_words() {
    let scene = scene().await;
    let home = &scene.home;
    let (asked, answered) = (scene.asked.to_string(), scene.answered.to_string());
    assert_eq!(sorted(home, &["refund", "source:directory"]).await, [answered.as_str()]);
    assert_eq!(sorted(home, &["from:joao"]).await, [asked.as_str()]);
    assert_eq!(sorted(home, &["from:\"João Mü\""]).await, [asked.as_str()]);
    let mut of_li: Vec<String> = [0, 2, 4].iter().map(|at| scene.chat_ids[*at].clone()).collect();
    of_li.sort();
    assert_eq!(sorted(home, &["from:LI@example.test"]).await, of_li);
    assert_eq!(sorted(home, &["from:contact channel:\"sao paulo\""]).await, of_li);
    assert_eq!(found(home, &["channel:whatsapp", "--limit", "2"]).await.len(), 2);
    assert_eq!(found(home, &["has:negative"]).await.len(), 1);
    assert_eq!(found(home, &["refund has:negative from:bot"]).await.len(), 1);
    assert_eq!(found(home, &["refund", "before:2026-03-01"]).await.len(), 2);
    assert_eq!(found(home, &["refund", "after:2026-03-02"]).await, [answered.as_str()]);
    assert_eq!(found(home, &["refund", "source:zaia"]).await.len(), 0);
    let newest = found(home, &["refund", "--newest"]).await;
    assert_eq!((newest.len(), newest[0].as_str()), (3, answered.as_str()));
    let odd = home.run(&["search", "after:soon", "refund"]).await;
    assert_eq!(odd.code, 0);
    assert!(
        odd.stderr.contains("takes a day") && odd.stdout.contains("Nothing was found"),
        "{}{}",
        odd.stdout,
        odd.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_is_an_error() {
    crate::faults::play("I2", async {
        let scene = scene().await;
        let long = "palavra ".repeat(12_000);
        let queries = [
            "who's",
            "multi-agent",
            "\"",
            "\"\"",
            "*",
            "**",
            "AND",
            "OR",
            "NOT",
            "NEAR(",
            "NEAR(a b, 2)",
            "col:x",
            "body_text:x",
            "C++",
            "20.04",
            "",
            " ",
            "(",
            ")",
            "a AND",
            "^a",
            "{a}",
            "a + b",
            "'; DROP TABLE messages; --",
            "%",
            "_",
            "\\",
            "a\u{301}",
            "from:",
            "after:",
            "has:",
            "source:\"",
            "\u{202e}x",
            "😀",
            &long,
        ];
        for query in queries {
            // What follows `--` is no option.
            let done = scene.home.run(&["search", "--json", "--", query]).await;
            let shown: String = query.chars().take(40).collect();
            assert!(done.code == 0 || done.code == 2, "{shown}: {} {}", done.code, done.stderr);
            let told = done.stderr.to_lowercase();
            assert!(
                !told.contains("sqlite") && !told.contains("fts5") && !told.contains("panicked"),
                "{shown}: {told}"
            );
        }
        assert_eq!(sorted(&scene.home, &["who's", "C++"]).await.len(), 0);
        assert_eq!(sorted(&scene.home, &["C++"]).await, [scene.answered.to_string()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_replace_and_deletions_hide() {
    let scene = scene().await;
    let home = &scene.home;
    let (asked, answered) = (scene.asked.to_string(), scene.answered.to_string());
    scene.bd.world().data.edit_message(scene.asked, "Agora recebi tudo");
    scene.zaia.world().data.edit_message(&scene.chat_ids[0], now_ms(), "我要换货");
    home.sync_with(&["--full"]).await;
    assert_eq!(found(home, &["reembolso"]).await, Vec::<String>::new());
    assert_eq!(found(home, &["agora tudo"]).await, [asked.as_str()]);
    assert_eq!(found(home, &["退款"]).await, Vec::<String>::new());
    assert_eq!(found(home, &["换货"]).await, [scene.chat_ids[0].as_str()]);
    assert_in_step(home);
    // One message is gone from two whole readings; then its thread is flagged as deleted.
    scene.bd.world().data.remove_message(scene.answered);
    home.sync_with(&["--full"]).await;
    home.sync_with(&["--full"]).await;
    assert_eq!(found(home, &["multi-agent"]).await, Vec::<String>::new());
    assert_eq!(found(home, &["multi-agent", "--deleted"]).await, [answered.as_str()]);
    scene.bd.world().data.soft_delete_thread(&scene.thread, now_ms());
    home.sync_with(&["--full"]).await;
    assert_eq!(found(home, &["agora"]).await, Vec::<String>::new());
    assert_eq!(found(home, &["agora", "--deleted"]).await, [asked.as_str()]);
    assert_in_step(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_and_outlived_words_leave_the_index_and_the_file() {
    let scene = scene().await;
    let home = &scene.home;
    scene.bd.world().data.add_message(&scene.thread, "", NOW_MS - 1000, "quetzalcoatlus flies");
    let sources = std::fs::read_to_string(home.folder.path().join("chatloom.toml")).unwrap();
    home.sync().await;
    let words = || {
        let connection = Connection::open(home.db()).unwrap();
        connection.execute_batch("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, message_search, row)").unwrap();
        let mut statement = connection.prepare("SELECT term FROM temp.words").unwrap();
        let words = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        words.map(Result::unwrap).collect::<Vec<_>>()
    };
    let bytes_hold = |text: &str| {
        let mut files = std::fs::read_dir(home.folder.path()).unwrap().flatten();
        files.any(|entry| {
            entry.file_name().to_string_lossy().starts_with("chatloom.db")
                && std::fs::read(entry.path()).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
        })
    };
    assert!(words().contains(&"quetzalcoatlus".to_owned()) && bytes_hold("quetzalcoatlus") && bytes_hold("jacaranda"));
    let forgot = home.run(&["forget", "--email", "li@example.test", "--yes"]).await;
    assert_eq!(forgot.code, 0, "{}{}", forgot.stdout, forgot.stderr);
    assert_in_step(home);
    for query in ["返品", "source:agents", "from:contact channel:whatsapp"] {
        assert_eq!(found(home, &[query]).await, Vec::<String>::new(), "{query}");
    }
    assert_eq!(found(home, &["reembolso"]).await, [scene.asked.to_string()]);
    assert_eq!(home.number("SELECT count(*) FROM search_forms"), 0);
    assert!(!bytes_hold("jacaranda"), "what was said in a forgotten chat is still in the file");
    // By the clock on the wall everything is older than a day.
    home.configure(&format!("[store]\nmessage_retention = \"1d\"\n\n{sources}"));
    let maintained = home.run(&["maintain"]).await;
    assert_eq!(maintained.code, 0, "{}", maintained.stderr);
    assert_in_step(home);
    assert!(!bytes_hold("quetzalcoatlus"), "an old word is still in the file");
    assert_eq!((words(), home.number("SELECT merge_due FROM search_state")), (Vec::<String>::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_out_of_step_is_noticed_and_built_anew() {
    crate::faults::play("S15", out_of_step()).await;
}

async fn out_of_step() {
    let scene = scene().await;
    let home = &scene.home;
    let spoil = |sql: &str| Connection::open(home.db()).unwrap().execute_batch(sql).unwrap();
    for sql in [
        // A word too few, a word in another's place, and a row too many.
        "INSERT INTO message_search (message_search, rowid, body_text) SELECT 'delete', id, body_text FROM search_texts LIMIT 1",
        "INSERT INTO message_search (message_search, rowid, body_text)
           SELECT 'delete', id, body_text FROM search_texts WHERE body_text LIKE '%recebi%';
         INSERT INTO message_search (rowid, body_text)
           SELECT id, replace(body_text, 'recebi', 'perdi') FROM search_texts WHERE body_text LIKE '%recebi%'",
        "INSERT INTO message_search (rowid, body_text) VALUES (1000000, 'ghost')",
        // Written without the index.
        "UPDATE search_forms SET form = 'swapped words'",
        "UPDATE search_state SET rules = 0",
        "DELETE FROM message_search_data WHERE id > 10",
    ] {
        assert_eq!(home.run(&["verify", "--offline"]).await.code, 0, "before {sql}");
        spoil(sql);
        let verified = home.run(&["verify", "--offline", "--json"]).await;
        assert_eq!(verified.code, 1, "{sql}: {}", verified.stdout);
        let told = verified.json();
        assert_eq!(
            (told["integrity"].as_str(), told["search"].as_str() == Some("ok")),
            (Some("ok"), false),
            "{sql}: {told}"
        );
        let told = home.run(&["verify", "--offline"]).await.stdout;
        assert!(told.contains("search rebuild") && !told.contains("damaged"), "{told}");
        let rebuilt = home.run(&["search", "rebuild"]).await;
        assert_eq!(rebuilt.code, 0, "{}", rebuilt.stderr);
        assert_in_step(home);
    }
    spoil("UPDATE search_state SET rules = 0");
    let behind = home.run(&["search", "tudo"]).await;
    assert!(behind.code == 0 && behind.stderr.contains("the index is behind"), "{}", behind.stderr);
    // Whoever opens the store for writing catches up.
    home.sync().await;
    assert_in_step(home);
}

/// Edited, a message takes the index along in its own transaction; new in a full pass, it waits for a filling.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_holds_up_no_messages() {
    for new in [false, true] {
        let scene = scene().await;
        let home = &scene.home;
        // The record without which the index can neither be read nor written.
        let damage = "UPDATE message_search_data SET block = x'00000001FFFFFFFFFFFFFFFFFF' WHERE id = 10";
        Connection::open(home.db()).unwrap().execute_batch(damage).unwrap();
        let searched = home.run(&["search", "reembolso"]).await;
        assert!(searched.code == 1 && searched.stderr.contains("search rebuild"), "{}", searched.stderr);
        let id = if new {
            scene.bd.world().data.add_message(&scene.thread, "", NOW_MS - 1000, "Agora recebi tudo")
        } else {
            scene.bd.world().data.edit_message(scene.asked, "Agora recebi tudo");
            scene.asked
        };
        let synced = home.run(&["sync", "--full"]).await;
        assert_eq!(synced.code, 0, "{}", synced.stderr);
        assert!(synced.stderr.contains("search_index_behind"), "{}", synced.stderr);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'Agora recebi tudo'"), 1);
        assert_eq!(home.number("SELECT rules FROM search_state"), 0);
        // The next one that writes makes it anew.
        home.sync().await;
        assert_in_step(home);
        assert_eq!(found(home, &["agora"]).await, [id.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstrations_worlds_are_found_word_by_word() {
    let worlds = demo_worlds(11);
    let (bd, zaia) = (BdSim::start(worlds.bd).await.unwrap(), ZaiaSim::start(worlds.zaia).await.unwrap());
    let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let home = Home::new(&format!(
        "{}{}{}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &sitegpt, "v0")
    ));
    home.sync().await;
    assert_in_step(&home);
    assert_eq!(home.number("SELECT rules FROM search_state"), 2);
    // The words in the middle of some messages of every kind of script find their message.
    let store = open_reader(&home.db()).unwrap();
    let texts = home.rows(
        "SELECT id || ' ' || replace(body_text, char(10), ' ') FROM messages
         WHERE deleted_at_ms IS NULL AND length(body_text) > 8 AND id % 7 = 0",
    );
    assert!(texts.len() > 40, "{}", texts.len());
    for line in texts {
        let (id, text) = line.split_once(' ').unwrap();
        let middle: String = text.chars().skip(text.chars().count() / 2).filter(|c| *c != '"').collect();
        // From the first blank on, if there is one: a word that is cut is another word.
        let whole = middle.split_once(' ').or_else(|| text.rsplit_once(' ')).map_or(text, |(_, rest)| rest);
        let query = chatloom::search::Query::parse(&format!("\"{whole}\""));
        if text.contains(' ') && query.expression().is_some() {
            let wanted = chatloom::store::Wanted {
                expression: query.expression(),
                deleted: true,
                limit: 10_000,
                ..Default::default()
            };
            let found = chatloom::store::search(&store, &wanted).unwrap();
            assert!(found.hits.iter().any(|hit| hit.message_id.to_string() == id), "{whole:?} in {text:?}");
        }
    }
}
