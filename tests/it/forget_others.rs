//! Somebody is forgotten who answered others: what lists quote of them goes too. And what a second try, or a copy that knew
//! less of them, has to do with it.

use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{SitegptSim, ZaiaSim};

use crate::forget::found_in;
use crate::harness::{Home, NOW_MS, now_ms, sitegpt_source, zaia_source};
#[cfg(debug_assertions)]
use crate::{harness::output, terminal::run_and_type};

/// Clara asked at a workspace and at a chatbot; Humbert had the last word in both places.
struct Scene {
    zaia: ZaiaSim,
    bots: SitegptSim,
    home: Home,
    humbert: String,
    chat: String,
    thread: String,
}

const HUMBERT: [&str; 4] = ["Humbert", "Ottokar", "larchwood", "\"Ida\""];

async fn scene() -> Scene {
    let (mut workspace, mut account) = (ZaiaData::new(), SitegptData::new());
    let channel = workspace.add_channel("whatsapp", "Telephone");
    let humbert = workspace.add_user("Humbert Ottokar", "humbert@example.test");
    let clara = workspace.add_external_user(&channel, Some("12025550123"), Some("Clara"));
    let chat = workspace.add_chat(Some(&channel), &clara, &humbert, NOW_MS - 90_000);
    workspace.add_message(&chat, "user", Some(&clara), NOW_MS - 80_000, "cherrywood?");
    workspace.add_message(&chat, "assistant", Some(&humbert), NOW_MS - 70_000, "larchwood one");
    let bot = account.add_chatbot("Shop");
    let thread = account.add_thread(&bot, NOW_MS - 90_000);
    account.add_user(&thread, "Which wood?", NOW_MS - 80_000);
    let joined = account.add_system(&thread, "AGENT_JOINED", "Somebody joined", NOW_MS - 75_000);
    account.change_message(&thread, &joined, |message| message.agent_name = Some("Humbert Ottokar".to_owned()));
    // A short name, too.
    account.add_agent(&thread, "Ida", "yew", NOW_MS - 72_000);
    account.add_agent(&thread, "Humbert Ottokar", "larchwood two", NOW_MS - 70_000);
    let zaia = ZaiaSim::start(workspace).await.unwrap();
    let bots = SitegptSim::start(account).await.unwrap();
    let home = Home::new(&format!("{}{}", zaia_source("agents", &zaia), sitegpt_source("bots", &bots, "v2")));
    home.sync().await;
    Scene { zaia, bots, home, humbert, chat, thread }
}

async fn forget(home: &Home, more: &[&str]) -> crate::harness::Run {
    home.run(&[&["forget", "--yes", "--json"], more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lists_quote_of_whoever_answered_goes_and_stays_away() {
    let scene = scene().await;
    let home = &scene.home;
    let all = [&HUMBERT[..], &[scene.humbert.as_str()]].concat();
    let before = found_in(home, &["larchwood"]);
    for stream in ["details", "threads"] {
        assert!(before.contains(&format!("raw {stream}: larchwood")), "{stream} quotes nothing: {before:?}");
    }
    for (source, sql) in [
        ("agents", format!("SELECT external_id FROM participants WHERE external_id = '{}'", scene.humbert)),
        ("bots", "SELECT external_id FROM participants WHERE external_id LIKE '%agent:H%'".to_owned()),
        ("bots", "SELECT external_id FROM participants WHERE external_id LIKE '%agent:Ida'".to_owned()),
    ] {
        let done = forget(home, &["--source", source, "--id", &home.rows(&sql)[0]]).await;
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    }
    assert_eq!(found_in(home, &all), Vec::<String>::new());
    for args in [&["sync", "--full"][..], &["retry", "--all"]] {
        assert_eq!(home.run(args).await.code, 0);
        assert_eq!(found_in(home, &all), Vec::<String>::new(), "{args:?}");
    }
    // Their places in the lists change, and Humbert's words are still the last there.
    let at = now_ms();
    scene.zaia.world().data.change_chat(&scene.chat, |chat| chat.title = Some("Wood".to_owned()));
    scene.bots.world().data.change_thread(&scene.thread, |thread| thread.title = Some("Wood".to_owned()));
    home.sync_with(&["--full"]).await;
    assert_eq!(found_in(home, &all), Vec::<String>::new(), "titles changed");
    // Clara goes on; whoever answers now is still Humbert.
    let clara = home.rows("SELECT external_id FROM participants WHERE name = 'Clara'");
    scene.zaia.world().data.add_message(&scene.chat, "user", clara.first().map(String::as_str), at, "And then?");
    scene.bots.world().data.add_user(&scene.thread, "And then?", at);
    home.sync_with(&["--full"]).await;
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'And then?'"), 2);
    assert_eq!(found_in(home, &all), Vec::<String>::new(), "Clara goes on");
    // Others come, whom Humbert is to answer.
    {
        let data = &mut scene.zaia.world().data;
        let channel = data.channels[0].id.clone();
        let dora = data.add_external_user(&channel, Some("12025550177"), Some("Dora"));
        let chat = data.add_chat(Some(&channel), &dora, &scene.humbert, at);
        data.add_message(&chat, "user", Some(&dora), at, "Is anybody there?");
        let data = &mut scene.bots.world().data;
        let bot = data.threads[0].chatbot.clone();
        let thread = data.add_thread(&bot, at);
        data.add_user(&thread, "Is anybody there?", at);
        let joined = data.add_system(&thread, "AGENT_JOINED", "Somebody joined", at);
        data.change_message(&thread, &joined, |message| message.agent_name = Some("Humbert Ottokar".to_owned()));
        let joined = data.add_system(&thread, "AGENT_JOINED", "Somebody joined", at + 1_000);
        data.change_message(&thread, &joined, |message| message.agent_name = Some("Ida".to_owned()));
    }
    home.sync_with(&["--full"]).await;
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text = 'Is anybody there?'"), 2);
    // The list of details gives a name and no id, and by a name nobody is known again.
    let found: Vec<String> = found_in(home, &all).into_iter().filter(|at| !at.starts_with("raw details")).collect();
    assert_eq!(found, Vec::<String>::new(), "others come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_knew_less_of_them_is_named_and_so_is_one_of_what_they_wrote_since() {
    let scene = scene().await;
    let home = &scene.home;
    let backup = async || home.run(&["backup", "--json"]).await.json()["path"].as_str().unwrap().to_owned();
    let held = |told: &serde_json::Value| {
        told["backups"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Made before Clara's address was known, and under another name of the source.
    let visit = {
        let data = &mut scene.bots.world().data;
        let bot = data.threads[0].chatbot.clone();
        let visit = data.add_thread(&bot, NOW_MS - 60_000);
        data.add_user(&visit, "pearwood, please", NOW_MS - 50_000);
        data.identify(&visit, Some("Clara"), None, None);
        visit
    };
    home.sync().await;
    let early = backup().await;
    scene.bots.world().data.change_thread(&visit, |thread| {
        thread.user.as_mut().unwrap().email = Some("clara@example.test".to_owned());
    });
    let config = std::fs::read_to_string(home.folder.path().join("chatloom.toml")).unwrap();
    home.configure(&config.replace("\"bots\"", "\"robots\""));
    assert_eq!(home.run(&["rename", "bots", "robots"]).await.code, 0);
    home.sync_with(&["--full"]).await;
    let id = home.rows("SELECT external_id FROM participants WHERE email = 'clara@example.test'").remove(0);
    let done = forget(home, &["--email", "clara@example.test"]).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(held(&done.json()), [early.as_str()]);
    let by_id = ["--source", "robots", "--id", id.as_str()];
    let done = forget(home, &[&by_id[..], &["--backups"]].concat()).await.json();
    assert_eq!((done["backups_removed"][0].as_str(), held(&done).len()), (Some(early.as_str()), 0), "{done}");

    // What she writes later is new, and a copy has it until she is forgotten again.
    let clean = backup().await;
    scene.bots.world().data.add_user(&visit, "pearwood once more", now_ms() + 5_000);
    home.sync().await;
    let later = backup().await;
    assert_ne!(clean, later);
    assert_eq!(held(&forget(home, &by_id).await.json()), [later.as_str()]);
    assert_eq!(found_in(home, &["pearwood"]), Vec::<String>::new());
}

/// A run that died finds nobody any more when it is repeated; at a terminal as well, it leaves no byte then.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_made_good_at_a_terminal_too() {
    let scene = scene().await;
    let home = &scene.home;
    let mut command = home.command(&["forget", "--phone", "+12025550123", "--yes"], "chatloom=warn");
    command.env("CHATLOOM_FAULTS", "crash=forget.committed");
    let killed = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
    assert_eq!(killed.status.code(), None);
    let again = home.command(&["forget", "--phone", "+12025550123"], "chatloom=warn");
    let (code, told) = run_and_type(again, Some("")).await;
    assert!(code == 1 && told.contains("rewritten once more") && !told.contains("Type yes"), "{told}");
    assert_eq!(found_in(home, &["cherrywood", "12025550123", "larchwood one"]), Vec::<String>::new());

    // Backups that hold somebody whom the store no longer knows are removed, if whoever asks for it says so twice.
    let told = home.run(&["backup", "--json"]).await;
    assert_eq!(told.code, 0, "{}", told.stderr);
    let sql = "SELECT external_id FROM participants WHERE external_id LIKE '%agent:%'";
    let id = home.rows(sql).remove(0);
    assert_eq!(forget(home, &["--source", "bots", "--id", &id]).await.code, 0);
    let args = ["forget", "--source", "bots", "--id", id.as_str(), "--backups"];
    let (code, told) = run_and_type(home.command(&args, "chatloom=warn"), Some("yes\n")).await;
    assert!(code == 0 && told.contains("Removed"), "{told}");
}
