use serde_json::Value;

use crate::terminal::{CTRL_C, FLUX, Seen, Terminal, Worker, piped, said, shop, until_said};

/// What `work_slowly` records.
const EVENTS: &[&str] = &[
    "WORKFLOW_STARTED",
    "TASK_STARTED",
    "TASK_COMPLETED",
    "TASK_STARTED",
    "TASK_COMPLETED",
    "TASK_STARTED",
    "TASK_COMPLETED",
    "TASK_STARTED",
    "TASK_COMPLETED",
    "TASK_STARTED",
    "TASK_COMPLETED",
    "WORKFLOW_COMPLETED",
];

const SPINNER: &str = "Running for";

/// The kinds of the events on the screen, line by line.
fn kinds(seen: &Seen) -> Vec<String> {
    let is_kind = |word: &&str| {
        word.contains('_') && word.chars().all(|c| c == '_' || c.is_ascii_uppercase())
    };
    let text = seen.text();
    let kinds = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(is_kind));
    kinds.map(str::to_owned).collect()
}

#[test]
fn each_event_is_a_line_and_a_spinner_turns_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let run = ["run", "work_slowly", "--input", "300", "--follow"];
    let mut terminal = Terminal::start(&shop(), &run, folder.path(), 80);
    terminal.until_seen("TASK_COMPLETED");
    terminal.until_seen(SPINNER);
    let (code, seen) = terminal.end();
    assert_eq!(code, 0);
    assert_eq!(kinds(&seen), EVENTS, "{}", seen.text());
    assert!(!seen.text().contains(SPINNER), "{}", seen.text());
    assert!(seen.text().contains("Result:\n1500"), "{}", seen.text());
}

#[test]
fn without_a_terminal_it_is_json_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = ["run", "work_slowly", "--input", "1", "--follow"];
    let output = piped(&shop(), &run, folder.path());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let lines = String::from_utf8(output.stdout).unwrap();
    let kinds: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, EVENTS);
}

#[test]
fn an_interrupted_run_can_be_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = [
        "run",
        "work_slowly",
        "--input",
        "1000",
        "--id",
        "slow",
        "--follow",
    ];
    let mut terminal = Terminal::start(&shop(), &run, folder, 80);
    terminal.until_seen("TASK_COMPLETED");
    terminal.press(CTRL_C);
    let (code, seen) = terminal.end();
    assert_eq!(code, 130);
    let text = seen.text();
    assert!(text.contains("interrupted"), "{text}");
    assert!(text.contains("resume slow"), "{text}");
    assert!(text.contains("show slow --follow"), "{text}");
    assert!(!text.contains(SPINNER), "{text}");
    assert!(said(&shop(), &["resume", "slow"], folder).contains("5000"));
    let done = said(FLUX, &["events", "slow"], folder);
    assert_eq!(done.matches("TASK_COMPLETED").count(), 5, "{done}");
}

#[test]
fn an_onlooker_that_leaves_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(
        FLUX,
        &[
            "start",
            "work_slowly",
            "--input",
            "1000",
            "--id",
            "slow",
            "-q",
        ],
        folder,
    );
    let _worker = Worker::start(folder);
    let mut terminal = Terminal::start(FLUX, &["show", "slow", "--follow"], folder, 80);
    terminal.until(|seen| {
        seen.text().contains("As it happens") && kinds(seen).contains(&"TASK_COMPLETED".to_owned())
    });
    terminal.press(CTRL_C);
    let (code, seen) = terminal.end();
    assert_eq!(code, 130);
    let text = seen.text();
    assert!(
        text.contains("that changes nothing about execution `slow`"),
        "{text}"
    );
    assert!(text.contains("show slow --follow"), "{text}");
    assert!(said(FLUX, &["result", "slow", "--wait"], folder).contains("5000"));
    let history = said(FLUX, &["events", "slow"], folder);
    assert!(!history.contains("TASK_INTERRUPTED"), "{history}");
}

#[test]
fn what_others_write_is_seen_as_it_happens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let order = r#"{"item": "tea", "cents": 450}"#;
    said(
        FLUX,
        &[
            "start",
            "review_order",
            "--input",
            order,
            "--id",
            "tea",
            "-q",
        ],
        folder,
    );
    let _worker = Worker::start(folder);
    until_said(&["list", "-o", "json"], folder, |json| {
        json.contains("Paused")
    });
    said(FLUX, &["resume", "tea", r#"{"approved": true}"#], folder);
    until_said(&["events", "tea"], folder, |events| {
        events.contains("SIGNAL_AWAITED")
    });
    let mut terminal = Terminal::start(FLUX, &["show", "tea", "--follow"], folder, 80);
    // It stands there and waits: what is seen of it now is seen before its end.
    terminal.until(|seen| kinds(seen).contains(&"SIGNAL_AWAITED".to_owned()));
    terminal.until_seen(SPINNER);
    said(FLUX, &["signal", "tea", "paid", "450"], folder);
    let (code, seen) = terminal.end();
    assert_eq!(code, 0);
    let kinds = kinds(&seen);
    let last = &kinds[kinds.len() - 4..];
    assert_eq!(
        last.last().unwrap(),
        "WORKFLOW_COMPLETED",
        "{}",
        seen.text()
    );
    assert!(
        kinds.contains(&"SIGNAL_RECEIVED".to_owned()),
        "{}",
        seen.text()
    );
}
