//! `stats` and `explain`: the same numbers as the views, with their reasons.

#[tokio::test(flavor = "multi_thread")]
async fn stats_and_explain_say_what_the_views_say() {
    let all = crate::failures::Everybody::start().await;
    let home = crate::harness::Home::new(&format!("[reporting]\ntimezone = \"America/Sao_Paulo\"\n{}", all.config()));
    home.sync().await;
    assert_eq!(crate::metrics::differing(&home.open()), 0);
    assert!(home.number("SELECT count(*) FROM reporting_offsets") > 20, "clocks in São Paulo were changed often");
    assert_eq!(
        home.number("SELECT sum(contact_messages) FROM v_hourly"),
        home.number("SELECT count(*) FROM v_messages WHERE author_kind = 'contact' AND sent_at IS NOT NULL")
    );

    let told = home.run(&["stats", "--json"]).await.json();
    assert_eq!(told["timezone"], "America/Sao_Paulo");
    let sum = |part: &str| told["sources"].as_array().unwrap().iter().filter_map(|row| row[part].as_i64()).sum::<i64>();
    for part in ["conversations", "contained", "escalated", "unanswered"] {
        assert_eq!(sum(part), home.number(&format!("SELECT sum({part}) FROM v_daily")), "{part}");
    }
    // `--since` asks for the turns of a time, which the view cannot: without it both must say the same.
    let responses: Vec<String> = told["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
            let number = |name: &str| row[name].as_f64().unwrap().to_string();
            [text("source"), text("channel"), text("by"), number("n"), number("median_seconds"), number("p90_seconds")]
                .join("|")
        })
        .collect();
    let quantiles =
        "SELECT source, channel, \"by\", n, median_seconds, p90_seconds FROM v_response_quantiles ORDER BY 1, 2, 3";
    assert!(!responses.is_empty());
    assert_eq!(responses, home.rows(quantiles));
    let page = home.run(&["stats"]).await;
    for words in ["Busiest hours (America/Sao_Paulo)", "90th percentile", "contained", "whatsapp"] {
        assert!(page.stdout.contains(words), "{words}: {}", page.stdout);
    }
    let later = home.run(&["stats", "--json", "--since", "2027-01-01"]).await.json();
    assert_eq!(later["sources"].as_array().unwrap().len(), 0);
    assert_eq!(home.run(&["stats", "--since", "soon"]).await.code, 2);

    let metrics = [
        "first_response",
        "first_bot_response",
        "first_agent_response",
        "contained",
        "escalated",
        "answered",
        "reopened",
    ];
    for conversation in home.rows("SELECT conversation_id FROM v_conversations ORDER BY random() LIMIT 5") {
        for metric in metrics {
            let told = home.run(&["explain", metric, &conversation, "--json"]).await.json();
            let column = told["metric"].as_str().unwrap();
            let held =
                home.rows(&format!("SELECT {column} FROM v_conversations WHERE conversation_id = {conversation}"));
            let value = told["value"].as_f64().map_or_else(|| "-".to_owned(), |value| value.to_string());
            assert_eq!(vec![value], held, "{told}");
            assert_ne!(told["because"], "");
            assert_eq!(told["value"].is_f64(), !told["value"].is_null() && column.ends_with("_seconds"), "{told}");
        }
    }
    let conversation = &home.rows("SELECT conversation_id FROM v_conversations WHERE contact_messages > 0 LIMIT 1")[0];
    let undated = format!("UPDATE messages SET sent_at_ms = NULL WHERE conversation_id = {conversation}");
    rusqlite::Connection::open(home.db()).unwrap().execute(&undated, []).unwrap();
    for (metric, because) in [("first_response", "when the contact wrote"), ("answered", "when anything was said")] {
        let told = home.run(&["explain", metric, conversation]).await;
        assert!(told.stdout.contains(because), "{}", told.stdout);
    }
    // Another zone than the one the store counts in, before any pass: the numbers are the old ones, and it is said.
    home.configure(&format!("[reporting]\ntimezone = \"Asia/Tokyo\"\n{}", all.config()));
    for command in [&["stats"][..], &["export", "--format", "html"]] {
        let told = home.run(command).await;
        assert_eq!(told.code, 0, "{}", told.stderr);
        assert!(told.stderr.contains("times are told in America/Sao_Paulo"), "{command:?}: {}", told.stderr);
    }
    assert_eq!(home.run(&["explain", "happiness", "1"]).await.code, 2);
    assert_eq!(home.run(&["explain", "answered", "999999"]).await.code, 1);
}
