//! What differs from run to run is taken out of transcripts.

use insta::Settings;

/// What is replaced, by what.
const FILTERS: &[(&str, &str)] = &[
    // Spans are recorded in microseconds, which could pass for the end of an id.
    (r#""after":( ?)\d+"#, r#""after":$1<micros>"#),
    // Ids that were made in the test; the seeded ones end in words.
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "<new id>",
    ),
    (r"\b[0-9a-f]{12}\b", "<new>       "),
    (r#"/[^\s"'`]*/\.tmp[0-9A-Za-z]{6}"#, "/folder"),
    (r"process \d+ on [^\s:]+", "process <pid> on <host>"),
    (r#""pid": \d+"#, r#""pid": <pid>"#),
    (
        r#""started_at": "20(2[5-9]|[3-9])[^"]*""#,
        r#""started_at": <now>"#,
    ),
    (r#""host": "[^"]*""#, r#""host": "<host>""#),
    (r"SQLite \d+\.\d+\.\d+", "SQLite <version>"),
    (r"\d+(\.\d)? (B|KiB|MiB)\b", "<size>"),
    (r#""(\w*bytes)": \d+"#, r#""$1": <size>"#),
];

/// How goldens are compared.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    for (what, with) in FILTERS {
        settings.add_filter(what, *with);
    }
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(true);
    settings
}
