//! The local listener, asked by those who should not.

use chatloom::config::{Env, load_with};
use chatloom::store::open_reader;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::super::play;
use crate::failures::Everybody;
use crate::harness::Home;
use crate::telling::Listener;

#[tokio::test(flavor = "multi_thread")]
async fn i10_a_page_elsewhere_asks() {
    play("I10", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        home.sync().await;
        let config =
            load_with(Some(&home.folder.path().join("chatloom.toml")), &Env::default(), home.folder.path()).unwrap();
        assert!(config.http.is_none(), "nothing is served unless it is asked for");
        for token in [None, Some("a-token-of-some-length")] {
            let listener = Listener::over(&config, token).await;
            let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
            let own = listener.served.address.to_string();
            for (host, more, status) in [
                (&*own, "", 200),
                (&*own, "Origin: http://attacker.example.test\r\n", 403),
                (&*own, "Origin: null\r\n", 403),
                (&*own, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403),
                (
                    "attacker.example.test",
                    "Origin: http://attacker.example.test\r\n",
                    if token.is_none() { 421 } else { 200 },
                ),
                ("attacker.example.test", "", if token.is_none() { 421 } else { 200 }),
            ] {
                let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n{more}{shown}\r\n");
                let answer = listener.ask(&request).await;
                assert_eq!(answer.status, status, "{request}: {answer:?}");
                for header in ["access-control-", "set-cookie"] {
                    assert!(!answer.head.contains(header), "{answer:?}");
                }
                for header in [
                    "content-security-policy: default-src 'none'; frame-ancestors 'none'",
                    "x-content-type-options: nosniff",
                    "referrer-policy: no-referrer",
                    "cache-control: no-store",
                    "cross-origin-resource-policy: same-origin",
                    "cross-origin-opener-policy: same-origin",
                ] {
                    assert!(answer.head.contains(header), "{header}: {answer:?}");
                }
            }
            let preflight = format!(
                "OPTIONS /metrics HTTP/1.1\r\nHost: {own}\r\nAccess-Control-Request-Method: GET\r\n{shown}\r\n"
            );
            let answer = listener.ask(&preflight).await;
            assert!(answer.status == 405 && !answer.head.contains("access-control-"), "{answer:?}");

            // Clients that take their time hold up neither a pass nor each other.
            let mut slow = Vec::new();
            for _ in 0..80 {
                let mut stream = TcpStream::connect(listener.served.address).await.unwrap();
                stream.write_all(format!("GET /metrics HTTP/1.1\r\nHost: {own}\r\n{shown}").as_bytes()).await.unwrap();
                slow.push(stream);
            }
            home.sync_with(&["--full"]).await;
            assert_eq!(listener.get("/healthz").await.status, 200);
            drop(slow);
            listener.close().await;
        }

        let reader = open_reader(&home.db()).unwrap();
        let other = home.folder.path().join("attached");
        reader.execute_batch("PRAGMA query_only = OFF; PRAGMA writable_schema = ON").unwrap();
        for statement in [
            "DELETE FROM messages",
            "CREATE TABLE t (a)",
            "PRAGMA user_version = 99",
            "UPDATE sqlite_schema SET sql = ''",
            "SELECT load_extension('/tmp/x')",
            &format!("ATTACH '{}' AS other", other.display()),
            &format!("VACUUM INTO '{}'", other.display()),
        ] {
            assert!(reader.execute_batch(statement).is_err(), "{statement}");
        }
        assert!(!other.exists());
        all.assert_all_exact(&home);
    })
    .await;
}
