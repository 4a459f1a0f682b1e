//! What a key travels through: TLS, names, proxies.

use std::sync::atomic::Ordering;

use super::super::play;
use super::super::stage::{HASTE, Stage, part, sync};
use super::Elsewhere;
use super::tls::{self, Authority, Front, Tunnels};
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, run, source};

#[tokio::test(flavor = "multi_thread")]
async fn k5_a_base_url_without_encryption() {
    play("K5", async {
        for base_url in ["http://www.example.test", "http://192.0.2.1:8080", "http://localhost.example.test", "ws://x"]
        {
            let home = Home::new(&source("bd", "brilliant_directories", base_url, "bd-key", ""));
            for command in ["sync", "check"] {
                let done = home.run(&[command]).await;
                assert_eq!(done.code, 2, "{base_url}: {}", done.stderr);
                assert_says(&done.stderr, &["base_url", "https://"]);
            }
        }
        let all = Everybody::start().await;
        let home = Home::new(&source("bd", "brilliant_directories", &all.bd.base_url(), "bd-key", ""));
        home.sync().await;
    })
    .await;
}

/// One source at this address, with the authority's certificate beside the configuration.
fn home_at(base_url: &str, authority: &Authority, more: &str) -> Home {
    let home = Home::new(&source("bd", "brilliant_directories", base_url, "bd-key", more));
    std::fs::write(home.folder.path().join("root.pem"), &authority.pem).unwrap();
    home
}

const TRUSTED: &str = "ca_file = \"root.pem\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn k6_a_certificate_does_not_prove_what_it_should() {
    play("K6", async {
        let all = Everybody::start().await;
        let authority = Authority::new();
        let here = "127.0.0.1";
        for (config, more, words) in [
            (authority.certify(here, (2001, 2002)), TRUSTED, "expired"),
            (authority.certify(here, (2080, 2090)), TRUSTED, "certificate not accepted"),
            (authority.certify("other.example.test", (2020, 2090)), TRUSTED, "certificate not accepted"),
            (tls::self_signed(here), TRUSTED, "certificate not accepted"),
            (Authority::new().certify(here, (2020, 2090)), TRUSTED, "certificate not accepted"),
            // Nobody said that this authority is to be trusted.
            (authority.certify(here, (2020, 2090)), "", "certificate not accepted"),
        ] {
            let front = Front::before(all.bd.addr(), config).await;
            let home = home_at(&format!("https://{}", front.addr), &authority, more);
            let done = sync(&home).await;
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert_says(part(&done, "bd")["error"].as_str().unwrap(), &[words]);
            assert!(front.met.load(Ordering::SeqCst) > 0);
            assert_eq!(front.agreed.load(Ordering::SeqCst), 0, "{words}: a request was sent");
        }
        let old = tls::of_the_nineties().await;
        let done = sync(&home_at(&format!("https://{old}"), &authority, TRUSTED)).await;
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert_says(part(&done, "bd")["error"].as_str().unwrap(), &["TLS failed"]);
        assert_eq!(all.bd.world().requests(), 0);

        // The same with all in order, at the most talkative level.
        let front = Front::before(all.bd.addr(), authority.certify(here, (2020, 2090))).await;
        let home = home_at(&format!("https://{}", front.addr), &authority, TRUSTED);
        let done = home.run_logging(&["sync", "--json"], "trace").await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(front.agreed.load(Ordering::SeqCst) > 0);
        all.assert_exact(&home, "bd");

        for (file, words) in [("none.pem", "no file"), ("chatloom.toml", "no certificate")] {
            let home = home_at("https://www.example.test", &authority, &format!("ca_file = \"{file}\"\n"));
            let done = home.run(&["sync"]).await;
            assert_eq!(done.code, 2, "{}", done.stderr);
            assert_says(&done.stderr, &["ca_file", words]);
        }
        // A certificate that is none is noticed before anything is sent.
        let home = home_at("https://www.example.test", &authority, TRUSTED);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(home.folder.path().join("root.pem"), broken).unwrap();
        let done = home.run(&["check", "--offline"]).await;
        assert_eq!(done.code, 1, "{}\n{}", done.stdout, done.stderr);
        assert!(done.stdout.contains("FAIL"), "{}", done.stdout);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k7_a_base_url_leads_inside() {
    play("K7", async {
        let inside = Elsewhere::at("127.0.0.1").await;
        let port = inside.addr.port();
        for (base_url, words) in [
            ("https://169.254.169.254", "metadata"),
            ("https://[::ffff:169.254.169.254]/latest", "metadata"),
            ("https://[fd00:ec2::254]", "metadata"),
            ("https://10.0.0.7", "private_network = true"),
            ("https://192.168.1.20:8443", "private_network = true"),
            ("https://[fd12:3456::1]", "private_network = true"),
            (&*format!("https://[::ffff:127.0.0.1]:{port}"), "this machine"),
            (&*format!("http://0x7f000001:{port}"), "127.0.0.1"),
            (&*format!("https://0x7f000001:{port}"), "127.0.0.1"),
            (&*format!("http://2130706433:{port}"), "127.0.0.1"),
            (&*format!("https://user:pw@127.0.0.1:{port}"), "user or password"),
            (&*format!("https://127.0.0.1:{port}\\n@www.example.test"), "control characters"),
            ("https://www.example.test\\r\\nX-Other: 1", "control characters"),
            ("file:///etc/hostname", "no host"),
        ] {
            let home = Home::new(&source("bd", "brilliant_directories", base_url, "bd-key", ""));
            let done = home.run(&["sync"]).await;
            assert_eq!(done.code, 2, "{base_url}: {}", done.stderr);
            assert_says(&done.stderr, &["base_url", words]);
        }
        inside.assert_untouched();
        // What is meant is said, and then it may be.
        let meant = "private_network = true\n";
        let home = Home::new(&source("bd", "brilliant_directories", "https://10.0.0.7", "bd-key", meant));
        assert_eq!(home.run(&["check", "--offline"]).await.code, 0);
        let home = Home::new(&source("bd", "brilliant_directories", "https://169.254.169.254", "bd-key", meant));
        assert_eq!(home.run(&["check", "--offline"]).await.code, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k8_a_proxy_stands_in_the_environment() {
    play("K8", async {
        const PASSWORD: &str = "proxy-PASSWORD-5c1d77";
        crate::traces::note(PASSWORD);
        let stage = Stage::start().await;
        let authority = Authority::new();
        // The name is looked up by the proxy alone: nobody else knows it.
        let front = Front::before(stage.all.bd.addr(), authority.certify("provider.example.test", (2020, 2090))).await;
        let proxy = Tunnels::to(front.addr).await;
        let home = home_at("https://provider.example.test", &authority, TRUSTED);
        let with_proxy = |home: &Home, args: &[&str]| {
            let mut command = home.command(args, "trace");
            let value = format!("http://user:{PASSWORD}@{}", proxy.addr);
            command.env("HTTPS_PROXY", &value).env("http_proxy", &value).env("CHATLOOM_FAULTS", HASTE);
            command
        };
        let checked = run(with_proxy(&home, &["check"])).await;
        assert_eq!(checked.code, 0, "{}\n{}", checked.stdout, checked.stderr);
        assert_says(&checked.stdout, &["proxy", "HTTPS_PROXY", "http_proxy"]);
        let done = run(with_proxy(&home, &["sync", "--json"])).await;
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        stage.all.assert_exact(&home, "bd");
        let heads = proxy.heads.lock().unwrap().clone();
        assert!(!heads.is_empty());
        for head in &heads {
            assert!(head.starts_with("CONNECT provider.example.test:443 HTTP/1.1\r\n"), "{head}");
            assert!(!head.to_ascii_lowercase().contains("x-api-key") && !head.contains("bd-key"), "{head}");
        }
        // What is on this machine is asked without it.
        let near = stage.home("");
        let done = run(with_proxy(&near, &["sync", "--json"])).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(proxy.heads.lock().unwrap().len(), heads.len());
        assert!(stage.bd.count("/") > 0);
    })
    .await;
}
