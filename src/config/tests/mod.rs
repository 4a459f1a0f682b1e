//! Stories of whole configurations. Single values are tested beside the code that reads them.

mod bad;
mod good;
mod random;

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::load::parse;
use super::*;

const KEY: &str = "k3y-that-nobody-may-see";

fn env() -> Env {
    Env::from_pairs([("BD_API_KEY", KEY), ("SITEGPT_API_KEY", KEY)])
}

fn read(text: &str) -> Result<Config, Problems> {
    read_with(text, &env())
}

fn read_with(text: &str, env: &Env) -> Result<Config, Problems> {
    parse(text, Path::new("/etc/chatloom/chatloom.toml"), env, Path::new("/here"))
}

/// A source that is in order, with more lines.
fn zaia(lines: &str) -> String {
    format!("[[sources]]\nname = \"agents\"\nprovider = \"zaia\"\napi_key = \"{KEY}\"\n{lines}\n")
}

fn bd(lines: &str) -> String {
    format!(
        "[[sources]]\nname = \"directory\"\nprovider = \"brilliant_directories\"\n\
         base_url = \"https://www.example.test\"\napi_key = \"{KEY}\"\n{lines}\n"
    )
}

fn sitegpt(lines: &str) -> String {
    format!("[[sources]]\nname = \"bots\"\nprovider = \"sitegpt\"\napi_key_env = \"SITEGPT_API_KEY\"\n{lines}\n")
}
