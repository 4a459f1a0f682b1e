//! Whatever is written, it is read or refused.

use super::*;

/// Text that gets further than random characters do.
fn almost_a_configuration() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let key = proptest::sample::select(
        keys::SOURCE.iter().map(|key| key.name).chain(["path", "listen", "token_file", "x"]).collect::<Vec<_>>(),
    );
    let value = prop_oneof![
        "\"[ -!#-\\[\\]-~]{0,12}\"",
        "-?[0-9]{1,20}",
        Just("true".to_owned()),
        Just("[1, \"a\"]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        Just("\"zaia\"".to_owned()),
        Just("\"sitegpt\"".to_owned()),
    ];
    let heading = prop_oneof![
        Just("[store]".to_owned()),
        Just("[http]".to_owned()),
        Just("[[sources]]".to_owned()),
        Just("[reporting]".to_owned())
    ];
    let line = prop_oneof![3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")), 1 => heading];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        drop(read(&text));
    }

    #[test]
    fn any_lines_are_read_or_refused(text in almost_a_configuration()) {
        if let Err(problems) = read(&text) {
            let told = problems.to_string();
            proptest::prop_assert!(!told.is_empty() && !told.contains("fit together"), "{}", told);
        }
    }

    #[test]
    fn any_variables_are_read_or_refused(name in "[A-Z0-9_\\[\\].-]{0,30}", value in "[^\\x00]{0,20}") {
        drop(read_with(&zaia(""), &Env::from_pairs([(format!("CHATLOOM__{name}"), value)])));
    }
}
