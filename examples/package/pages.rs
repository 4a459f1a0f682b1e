//! Man pages and completions from the command line's own definition, and the configuration of a package.
//!
//! Nothing in them comes from the clock or the machine: the same source makes the same bytes.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use chatloom::config::DEFAULT_TOML;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

/// Where the store of a package's service lies; `StateDirectory=` in `systemd/` makes the folder.
const STORE: &str = "path = \"/var/lib/chatloom/chatloom.db\"";

/// Said on every page, in the language of man pages.
const STATUS: &str = r#".SH "EXIT STATUS"
.TP
0
All went well.
.TP
1
Something failed, the rest having been done.
.TP
2
Wrong usage or configuration.
.TP
130, 143
Stopped by SIGINT or SIGTERM. What was being read is stored or dropped whole; the next run goes on from there.
"#;

/// Said on the page of the program itself.
const FILES: &str = r".SH FILES
.TP
.I /etc/chatloom/chatloom.toml
The configuration, where neither \fB\-\-config\fR nor CHATLOOM_CONFIG names another and the current folder has no
chatloom.toml. Every setting is explained in it.
.TP
.I /etc/chatloom/keys/
Keys of the service, a file each, readable by root alone.
.TP
.I /var/lib/chatloom/chatloom.db
The store of the service.
.SH ENVIRONMENT
.TP
CHATLOOM_CONFIG
The configuration file.
.TP
CHATLOOM__\fISECTION\fR__\fIKEY\fR
One setting, over what the file says.
.TP
CHATLOOM_LOG
What is logged, such as chatloom=debug.
";

/// Writes `man/`, `completions/` and `chatloom.toml` into the folder, which is made where it is missing.
///
/// # Errors
/// When something cannot be written.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for (name, page) in man_pages()? {
        fs::write(man.join(name), page)?;
    }
    for (shell, name) in [(Shell::Bash, "chatloom.bash"), (Shell::Zsh, "_chatloom"), (Shell::Fish, "chatloom.fish")] {
        fs::write(completions.join(name), completion(shell))?;
    }
    fs::write(folder.join("chatloom.toml"), configuration()?)
}

/// The program's page and one for every command: file name and text.
pub(crate) fn man_pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = chatloom::cli::Args::command().disable_help_subcommand(true);
    // Hands the options for all commands down to each of them.
    program.build();
    let mut pages = vec![("chatloom.1".to_owned(), page(&program, FILES)?)];
    for command in commands(&program) {
        let name = format!("chatloom-{}", command.get_name());
        pages.push((format!("{name}.1"), page(command, "")?));
    }
    Ok(pages)
}

/// The commands that a user sees.
pub(crate) fn commands(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set())
}

fn page(command: &Command, more: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // No date: it would differ from build to build. A space, because an empty field would shift those after it.
    let man = Man::new(command.clone()).date(" ").source(concat!("chatloom ", env!("CARGO_PKG_VERSION")));
    man.manual("chatloom").render(&mut text)?;
    write!(text, "{more}{STATUS}")?;
    Ok(text)
}

/// The completions of one shell.
pub(crate) fn completion(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut chatloom::cli::Args::command(), "chatloom", &mut text);
    text
}

/// The commented configuration, with the store where a service may write.
pub(crate) fn configuration() -> io::Result<String> {
    let text = DEFAULT_TOML.replacen("\npath = \"chatloom.db\"\n", &format!("\n{STORE}\n"), 1);
    if text == DEFAULT_TOML {
        return Err(io::Error::other("config/default.toml has no line path = \"chatloom.db\" any more"));
    }
    Ok(text)
}
