//! One person is erased: no byte of them is left in any file of the store, and nothing comes back.

use std::path::Path;

use chatloom::sim::bd::{BdData, TokenLookup};
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use rusqlite::Connection;

use crate::harness::{Home, NOW_MS, bd_source, now_ms, output, sitegpt_source, zaia_source};

const EMAIL: &str = "marisol.quintanilla@example.test";
const PHONE: &str = "+34 655 550 142";

/// Whatever is theirs has one of these in it; nothing else has.
const TRACES: [&str; 5] = ["Marisol", "Quintanilla", "marisol", "655 550 142", "zebrawood"];

struct Scene {
    home: Home,
    bd: BdSim,
    zaia: ZaiaSim,
    sitegpt: SitegptSim,
    /// Their thread, their chat, their conversation with a chatbot.
    thread: String,
    chat: String,
    owner: String,
    person: String,
    bot_thread: String,
    edited: u64,
}

/// Marisol asks in all three places; Bruno does so too, and she answers him once.
async fn scene() -> Scene {
    let mut bd = BdData::new();
    bd.quirks.token_lookup = TokenLookup::Works;
    let (marisol, bruno) = (bd.add_user("Marisol", "Quintanilla Ávila"), bd.add_user("Bruno", "Okafor"));
    let user = &mut bd.users[0];
    (user.email, user.phone) = (EMAIL.to_owned(), PHONE.to_owned());
    let thread = bd.add_thread(&marisol, &bruno, NOW_MS - 90_000);
    bd.change_thread(&thread, |thread| thread.request_uri = "/marisol-quintanilla/connect".to_owned());
    let edited = bd.add_message(&thread, &marisol, NOW_MS - 80_000, "zebrawood one, my table is scratched");
    bd.add_message(&thread, &bruno, NOW_MS - 70_000, "Dear Marisol, you wrote: zebrawood one");
    let unread = bd.add_message(&thread, &marisol, NOW_MS - 65_000, "zebrawood that cannot be read");
    bd.change_message(unread, |message| message.overrides = vec![("created_at", serde_json::json!("soon"))]);
    let other = bd.add_thread(&bruno, &marisol, NOW_MS - 60_000);
    // Members and messages are counted apart, so one number is both.
    bd.users[0].id = bd.add_message(&other, &bruno, NOW_MS - 50_000, "Who planes boards?");
    bd.add_message(&other, &marisol, NOW_MS - 40_000, "zebrawood two, I do");

    // Some sites name a guest by the address.
    let guest = bd.add_thread(EMAIL, &bruno, NOW_MS - 30_000);
    bd.add_message(&guest, EMAIL, NOW_MS - 20_000, "zebrawood five");

    let mut zaia = ZaiaData::new();
    let channel = zaia.add_channel("widget", "Shop window");
    let agent = zaia.add_agent("Helper");
    let owner = zaia.add_external_user(&channel, Some(EMAIL), Some("Marisol Quintanilla"));
    let stranger = zaia.add_external_user(&channel, Some("bruno@example.test"), Some("Bruno"));
    let chat = zaia.add_chat(Some(&channel), &owner, &agent, NOW_MS - 90_000);
    zaia.change_chat(&chat, |chat| chat.title = Some("Marisol asks for zebrawood".to_owned()));
    let long = "zebrawood three, ".repeat(40);
    zaia.add_message(&chat, "user", Some(&owner), NOW_MS - 80_000, &long);
    zaia.add_message(&chat, "assistant", Some(&agent), NOW_MS - 79_000, "We have zebrawood, Marisol.");
    let chat_of_bruno = zaia.add_chat(Some(&channel), &stranger, &agent, NOW_MS - 60_000);
    zaia.add_message(&chat_of_bruno, "user", Some(&stranger), NOW_MS - 50_000, "Hello");

    let mut sitegpt = SitegptData::new();
    let chatbot = sitegpt.add_chatbot("Carpentry");
    let bot_thread = sitegpt.add_thread(&chatbot, NOW_MS - 90_000);
    sitegpt.identify(&bot_thread, Some("Marisol Q."), Some("Marisol.Quintanilla@EXAMPLE.test"), Some(PHONE));
    sitegpt.change_thread(&bot_thread, |thread| {
        thread.title = Some("Marisol and zebrawood".to_owned());
        thread.page_url = Some("https://www.example.test/?q=zebrawood".to_owned());
    });
    sitegpt.add_normal(&bot_thread, ("zebrawood four?", NOW_MS - 80_000), ("zebrawood, sure", NOW_MS - 79_000));
    let silent = sitegpt.add_thread(&chatbot, NOW_MS - 60_000);
    sitegpt.add_normal(&silent, ("Oak?", NOW_MS - 50_000), ("Oak.", NOW_MS - 49_000));

    let bd = BdSim::start(bd).await.unwrap();
    let zaia = ZaiaSim::start(zaia).await.unwrap();
    let sitegpt = SitegptSim::start(sitegpt).await.unwrap();
    let home = Home::new(&format!(
        "{}{}{}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &sitegpt, "v2")
    ));
    // One record cannot be read: the runs are partial.
    assert_eq!(home.run(&["sync"]).await.code, 1);
    bd.world().data.edit_message(edited, "zebrawood one and a half, my table is scratched");
    assert_eq!(home.run(&["sync", "--full"]).await.code, 1);
    Scene { home, bd, zaia, sitegpt, thread, chat, owner, person: marisol, bot_thread, edited }
}

/// What of `needles` stands in the files of the store: as bytes, and inside what is compressed.
pub(crate) fn found_in(home: &Home, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home.folder.path()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("chatloom.db") {
            found.extend(bytes_in(&entry.path(), needles).into_iter().map(|needle| format!("{name}: {needle}")));
        }
    }
    let connection = home.open();
    let mut bodies = connection.prepare("SELECT stream, id FROM raw_records WHERE length(body) > 0").unwrap();
    let mut rows = bodies.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let stream: String = row.get(0).unwrap();
        let text = chatloom::store::raw_record(&connection, row.get(1).unwrap()).unwrap().expect("a readable body");
        found.extend(
            needles.iter().filter(|needle| text.contains(**needle)).map(|needle| format!("raw {stream}: {needle}")),
        );
    }
    found
}

fn bytes_in(path: &Path, needles: &[&str]) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let holds = |needle: &&&str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    needles.iter().filter(holds).map(|needle| (*needle).to_owned()).collect()
}

fn texts(home: &Home) -> Vec<String> {
    home.rows("SELECT body_text FROM messages WHERE body_text <> '' ORDER BY body_text")
}

const OTHERS: [&str; 4] = ["Hello", "Oak.", "Oak?", "Who planes boards?"];

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_is_left_and_nothing_comes_back() {
    let scene = scene().await;
    let home = &scene.home;
    let all = [&TRACES[..], &[EMAIL, scene.person.as_str(), scene.owner.as_str()]].concat();
    let before = found_in(home, &all);
    for needle in &all {
        assert!(before.iter().any(|place| place.ends_with(needle)), "{needle} is not there to begin with");
    }
    assert_eq!(home.number("SELECT count(*) FROM message_revisions"), 1);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 1);
    let counted = |sql: &str| home.number(sql);
    let rows = [counted("SELECT count(*) FROM messages"), counted("SELECT count(*) FROM conversations")];

    // Nothing happens without a word, and a trial changes nothing.
    let rev = home.rev();
    assert_eq!(home.run(&["forget", "--email", EMAIL]).await.code, 2);
    let trial = home.run(&["forget", "--email", EMAIL, "--dry-run", "--json"]).await;
    assert_eq!(trial.code, 0, "{}", trial.stderr);
    assert_eq!(
        trial.json()["participants"].as_array().unwrap().len(),
        4,
        "{:#?}",
        home.rows("SELECT external_id, kind, resolved, name, email, phone FROM participants")
    );
    home.assert_still(rev, "a trial");

    let done = home.run(&["forget", "--email", &EMAIL.to_uppercase(), "--yes", "--json"]).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let told = done.json();
    assert_eq!(told["scrubbed"], true, "{told}");
    assert_eq!((told["conversations"].as_u64(), told["messages"].as_u64()), (Some(4), Some(8)), "{told}");
    assert_eq!((told["revisions"].as_u64(), told["dead_letters"].as_u64()), (Some(1), Some(1)), "{told}");
    assert!(!done.stdout.contains("arisol") && !done.stderr.contains("arisol"), "{}{}", done.stdout, done.stderr);
    assert_eq!(found_in(home, &all), Vec::<String>::new());
    assert_eq!(texts(home), OTHERS);
    let kept = "SELECT count(*) FROM messages AS m JOIN raw_records AS r ON r.row_id = m.id AND r.stream = 'messages'
                WHERE m.body_text = 'Who planes boards?' AND length(r.body) > 0";
    assert_eq!(counted(kept), 1, "what others wrote stays whole");
    assert_eq!(rows, [counted("SELECT count(*) FROM messages"), counted("SELECT count(*) FROM conversations")]);

    // The providers still have all of it.
    let rev = home.rev();
    for args in [&["sync"][..], &["sync", "--full"], &["retry", "--all"], &["backfill"], &["sync", "--full"]] {
        let ended = home.run(args).await;
        // Their unreadable record is met by whoever reads everything, and makes the run partial as it did before.
        assert!(matches!(ended.code, 0 | 1), "{args:?}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(found_in(home, &all), Vec::<String>::new(), "{args:?}");
        home.assert_still(rev, &format!("{args:?}"));
    }
    assert_eq!(texts(home), OTHERS);
    // A change of what was erased brings nothing either.
    scene.bd.world().data.edit_message(scene.edited, "zebrawood, edited once more");
    scene.zaia.world().data.change_chat(&scene.chat, |chat| chat.title = Some("zebrawood again".to_owned()));
    assert_eq!(home.run(&["sync", "--full"]).await.code, 1);
    assert_eq!(found_in(home, &all), Vec::<String>::new());
    // Once more finds nobody by the address, and one by the id.
    assert_eq!(home.run(&["forget", "--email", EMAIL, "--yes"]).await.code, 1);
    let again = home.run(&["forget", "--source", "directory", "--id", &scene.person, "--yes", "--json"]).await;
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert_eq!(home.run(&["verify", "--offline"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_write_afterwards_is_new_unless_it_is_suppressed() {
    for suppress in [false, true] {
        let scene = scene().await;
        let home = &scene.home;
        let more: &[&str] = if suppress { &["--suppress"] } else { &[] };
        let done = home.run(&[&["forget", "--email", EMAIL, "--yes"], more].concat()).await;
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        let later = now_ms() + 5_000;
        {
            let data = &mut scene.bd.world().data;
            data.add_message(&scene.thread, &scene.person, later, "birch one");
            data.touch_thread(&scene.thread, later);
            let fresh = data.add_thread(&scene.person, "", later);
            data.add_message(&fresh, &scene.person, later, "birch two");
        }
        scene.zaia.world().data.add_message(&scene.chat, "user", Some(&scene.owner), later, "birch three");
        scene.sitegpt.world().data.add_user(&scene.bot_thread, "birch four", later);
        assert_eq!(home.run(&["sync", "--full"]).await.code, 1);
        let fresh: Vec<String> = texts(home).into_iter().filter(|text| text.starts_with("birch")).collect();
        let wanted: &[&str] = if suppress { &[] } else { &["birch four", "birch one", "birch three", "birch two"] };
        assert_eq!(fresh, wanted);
        // Who they were stays forgotten, and no raw record says it.
        let named = [&TRACES[..], &[EMAIL, scene.person.as_str(), scene.owner.as_str()]].concat();
        assert_eq!(found_in(home, &named), Vec::<String>::new(), "suppress: {suppress}");
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = '' AND erased_at IS NULL"), 0);
        let rev = home.rev();
        assert_eq!(home.run(&["sync", "--full"]).await.code, 1);
        home.assert_still(rev, "read again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_that_still_hold_them_are_named_and_removed_when_asked() {
    let scene = scene().await;
    let home = &scene.home;
    let made = home.run(&["backup", "--json"]).await.json();
    let path = made["path"].as_str().unwrap().to_owned();
    let done = home.run(&["forget", "--phone", "0034655550142", "--yes"]).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let name = Path::new(&path).file_name().unwrap().to_str().unwrap();
    assert!(done.stdout.contains("still hold them") && done.stdout.contains(name), "{}", done.stdout);
    assert_eq!(bytes_in(&home.folder.path().join(&path), &["zebrawood"]).len(), 1);
    // A backup of afterwards holds nobody.
    home.run(&["backup"]).await;
    let done = home.run(&["forget", "--phone", PHONE, "--yes", "--backups", "--json"]).await;
    let told = done.json();
    assert_eq!(told["backups_removed"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["backups"].as_array().unwrap().len(), 0, "{told}");
    assert!(!home.folder.path().join(&path).exists());
    assert_eq!(std::fs::read_dir(home.folder.path().join("backups")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_way_is_told_and_the_next_run_finishes() {
    let scene = scene().await;
    let home = &scene.home;
    let reader = Connection::open(home.db()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM messages").unwrap();
    let args = ["forget", "--source", "directory", "--id", &scene.person, "--yes"];
    let done = home.run(&args).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(done.stdout.contains("another program is reading"), "{}", done.stdout);
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    let done = home.run(&args).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let gone = ["zebrawood one", "zebrawood two", "Quintanilla Ávila", scene.person.as_str()];
    assert_eq!(found_in(home, &gone), Vec::<String>::new());
    // Whoever has the same address elsewhere is another participant.
    assert!(!found_in(home, &["zebrawood three", "zebrawood four", EMAIL]).is_empty());
}

/// Wherever it is killed, either nothing was erased, or the next run leaves no byte, though it finds nobody any more.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_made_good_by_the_next() {
    let scene = scene().await;
    let home = &scene.home;
    let whole = std::fs::read(home.db()).unwrap();
    for point in ["forget.erased", "forget.committed", "forget.rewritten"] {
        for file in ["chatloom.db-wal", "chatloom.db-shm"] {
            drop(std::fs::remove_file(home.folder.path().join(file)));
        }
        std::fs::write(home.db(), &whole).unwrap();
        let args = ["forget", "--email", EMAIL, "--yes"];
        let mut command = home.command(&args, "chatloom=warn");
        command.env("CHATLOOM_FAULTS", format!("crash={point}"));
        let killed = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
        assert_eq!(killed.status.code(), None, "{point}");
        let untouched = point == "forget.erased";
        assert_eq!(texts(home).len() > OTHERS.len(), untouched, "{point}");
        let again = home.run(&args).await;
        assert_eq!(again.code, i32::from(!untouched), "{point}: {}{}", again.stdout, again.stderr);
        assert_eq!(found_in(home, &[&TRACES[..], &[EMAIL]].concat()), Vec::<String>::new(), "{point}");
        assert_eq!(home.run(&["verify", "--offline"]).await.code, 0);
    }
}
