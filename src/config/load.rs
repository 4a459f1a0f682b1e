//! Finding the file, reading it, and laying defaults, file and environment over each other.

use std::fmt;
use std::fs::File as OpenFile;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use config::{ConfigError, File, FileFormat, Map, Source, Value};
use zeroize::Zeroizing;

use super::check::Secrets;
use super::env::Env;
use super::file;
use super::init::DEFAULT_TOML;
use super::problem::{Complaint, Findings, Problem, Problems};
use super::settings::Config;
use super::{check, secret, walk};

/// Where a system-wide installation keeps its configuration.
const SYSTEM_FILE: &str = "/etc/chatloom/chatloom.toml";
const LOCAL_FILE: &str = "chatloom.toml";
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the configuration of this process: the file named, else `CHATLOOM_CONFIG`, else `./chatloom.toml`, else
/// `/etc/chatloom/chatloom.toml`, with `CHATLOOM__SECTION__KEY` variables over it.
///
/// # Errors
/// Every problem that was found, together.
pub fn load(explicit: Option<&Path>) -> Result<Config, Problems> {
    // An empty folder leaves relative paths as they are written.
    load_with(explicit, &Env::process(), Path::new(""))
}

/// The configuration for a command that only reads the store: no key is read, so none need be at hand.
///
/// # Errors
/// Every problem that was found, together.
pub fn load_without_keys(explicit: Option<&Path>) -> Result<Config, Problems> {
    let (env, cwd) = (Env::process(), Path::new(""));
    let path = find(explicit, &env, cwd, Path::new(SYSTEM_FILE))?;
    parse_with(&read(&path)?, &path, &env, cwd, Secrets::None)
}

/// The configuration for a command that serves the store: the listener's token is read, and no key.
///
/// # Errors
/// Every problem that was found, together.
pub fn load_for_serving(explicit: Option<&Path>) -> Result<Config, Problems> {
    let (env, cwd) = (Env::process(), Path::new(""));
    let path = find(explicit, &env, cwd, Path::new(SYSTEM_FILE))?;
    parse_with(&read(&path)?, &path, &env, cwd, Secrets::Token)
}

/// [`load`] with an environment and a current folder of the caller's choosing.
///
/// # Errors
/// Every problem that was found, together.
pub fn load_with(explicit: Option<&Path>, env: &Env, cwd: &Path) -> Result<Config, Problems> {
    let path = find(explicit, env, cwd, Path::new(SYSTEM_FILE))?;
    let text = read(&path)?;
    parse(&text, &path, env, cwd)
}

/// The text of a file at `path`, layered and checked.
pub(super) fn parse(text: &str, path: &Path, env: &Env, cwd: &Path) -> Result<Config, Problems> {
    parse_with(text, path, env, cwd, Secrets::All)
}

pub(super) fn parse_with(text: &str, path: &Path, env: &Env, cwd: &Path, secrets: Secrets) -> Result<Config, Problems> {
    let written = File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|error| problem(path, Complaint::new(syntax(&error))))?;
    let mut findings = Findings::new(path.to_owned());
    let written = walk::file_layer(written, &mut findings);
    let variables = walk::env_layer(env, &written, &mut findings);
    let layered = config::Config::builder()
        .add_source(File::from_str(DEFAULT_TOML, FileFormat::Toml))
        .add_source(Layer(written))
        .add_source(Layer(variables))
        .build()
        .and_then(config::Config::try_deserialize::<file::File>);
    let Ok(shapes) = layered else {
        // The error's own text may repeat values, keys among them.
        return Err(problem(path, Complaint::new("the configuration does not fit together")));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = check::check(shapes, path, &check::Around { env, folder, cwd, secrets }, &mut findings);
    findings.finish()?;
    config.ok_or_else(|| problem(path, Complaint::new("the configuration does not fit together")))
}

fn problem(file: &Path, complaint: Complaint) -> Problems {
    let Complaint { message, suggestion } = complaint;
    let file = (!file.as_os_str().is_empty()).then(|| file.to_owned());
    Problem { file, variable: None, key: String::new(), source: None, message, suggestion }.into()
}

/// Which file is read. One that was asked for by name is never replaced by another.
fn find(explicit: Option<&Path>, env: &Env, cwd: &Path, system: &Path) -> Result<PathBuf, Problems> {
    if let Some(path) = explicit.or_else(|| env.get("CHATLOOM_CONFIG").map(Path::new)) {
        return Ok(cwd.join(path));
    }
    let local = cwd.join(LOCAL_FILE);
    for candidate in [local.as_path(), system] {
        // What is there but cannot be read is an error of its own, told by `read`.
        match std::fs::metadata(candidate) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            _ => return Ok(candidate.to_owned()),
        }
    }
    let message = format!(
        "no configuration file: --config and CHATLOOM_CONFIG name none, and neither {} nor {} is there",
        local.display(),
        system.display()
    );
    Err(problem(Path::new(""), Complaint::new(message).suggest("`chatloom init` writes one to start from")))
}

/// The text is wiped after use, since it may hold keys. What the TOML reader copies out of it is not.
fn read(path: &Path) -> Result<Zeroizing<String>, Problems> {
    let failed = |error: std::io::Error| {
        problem(
            path,
            match error.kind() {
                ErrorKind::NotFound => Complaint::new("there is no such file")
                    .suggest(format!("`chatloom --config {} init` writes one to start from", path.display())),
                _ => Complaint::new(format!("cannot be read: {error}")),
            },
        )
    };
    let file = OpenFile::open(path).map_err(failed)?;
    let bytes = secret::whole(file, MAX_BYTES).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(problem(path, Complaint::new("is larger than 1 MiB: that is no configuration file")));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(problem(path, Complaint::new("is not UTF-8 text"))),
    }
}

/// What a syntax error says, without the line that it quotes: the line may hold a key.
fn syntax(error: &ConfigError) -> String {
    let ConfigError::FileParse { cause, .. } = error else {
        return "is not valid TOML".to_owned();
    };
    // "TOML parse error at line 3, column 5", a ruler, the line, the marker, then the message.
    let told = cause.to_string();
    let Some(place) = told.lines().next().and_then(|line| line.strip_prefix("TOML parse error at ")) else {
        return "is not valid TOML: a number or date in it cannot be read".to_owned();
    };
    let message: Vec<&str> = told.lines().skip(4).filter(|line| !line.trim().is_empty()).collect();
    format!("is not valid TOML at {place}: {}", message.join("; "))
}

/// One layer, already walked.
#[derive(Clone)]
struct Layer(Map<String, Value>);

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_for_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let system = here.join("system.toml");
        let none = Env::default();
        let named = Env::from_pairs([("CHATLOOM_CONFIG", "named.toml")]);
        let blank = Env::from_pairs([("CHATLOOM_CONFIG", "")]);

        let told = find(None, &none, here, &system).unwrap_err().to_string();
        assert!(
            told.contains("chatloom.toml") && told.contains("system.toml") && told.contains("chatloom init"),
            "{told}"
        );
        std::fs::write(&system, "").unwrap();
        assert_eq!(find(None, &none, here, &system).unwrap(), system);
        std::fs::write(here.join("chatloom.toml"), "").unwrap();
        assert_eq!(find(None, &none, here, &system).unwrap(), here.join("chatloom.toml"));
        assert_eq!(find(None, &blank, here, &system).unwrap(), here.join("chatloom.toml"));
        assert_eq!(find(None, &named, here, &system).unwrap(), here.join("named.toml"));
        assert_eq!(find(Some(Path::new("x.toml")), &named, here, &system).unwrap(), here.join("x.toml"));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chatloom.toml"), "").unwrap();
        let told = load_with(Some(Path::new("other.toml")), &Env::default(), folder.path()).unwrap_err().to_string();
        assert!(told.contains("other.toml") && told.contains("no such file") && told.contains("init"), "{told}");
    }

    #[test]
    fn files_that_are_no_text_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chatloom.toml");
        for (content, part) in [(vec![0xff, 0xfe], "UTF-8"), (vec![b'#'; 1024 * 1024 + 1], "1 MiB")] {
            std::fs::write(&path, content).unwrap();
            let told = load_with(None, &Env::default(), folder.path()).unwrap_err().to_string();
            assert!(told.contains(part), "{told}");
        }
        let told = load_with(Some(folder.path()), &Env::default(), folder.path()).unwrap_err().to_string();
        assert!(told.contains("cannot be read"), "{told}");
    }

    #[test]
    fn a_syntax_error_gives_the_place_and_not_the_line() {
        for text in [
            "[store]\napi_key = \"hunter2\n",
            "api_key = hunter2",
            "api_key = \"hunter2\"\napi_key = \"hunter2\"",
            "api_key = \"\\hunter2\"",
            "hunter2",
            "api_key = 'hunter2' hunter2",
            "api_key = \"\"\"hunter2\nhunter2",
        ] {
            let told = parse(text, Path::new("c.toml"), &Env::default(), Path::new("")).unwrap_err().to_string();
            assert!(told.contains("c.toml") && told.contains("line "), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        let deep = "a = ".to_owned() + &"[".repeat(100_000);
        assert!(parse(&deep, Path::new("c.toml"), &Env::default(), Path::new("")).is_err());
        let huge = parse("a = 99999999999999999999", Path::new("c.toml"), &Env::default(), Path::new("")).unwrap_err();
        assert!(huge.to_string().contains("number"), "{huge}");
    }
}
