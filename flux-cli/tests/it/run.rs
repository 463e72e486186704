//! `run` and `start`.

use serde_json::json;

use crate::support::{Folder, golden};

/// AT-12.
#[test]
fn a_run_is_told_by_six_events() {
    let folder = Folder::empty();
    let line = r#"shop run greet_person --input '{"name":"John"}' --id john"#;
    let ran = folder.call(line).in_real_time().run().exits(0);
    let text = "hello, John! Your name is 4 characters long";
    assert!(
        ran.stdout
            .starts_with("Workflow 'greet_person' started successfully.\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("Execution ID: john\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains(text), "{}", ran.stdout);
    let result = folder.run("flux result john").exits(0).json();
    assert_eq!(result, json!({"text": text, "name_length": 4}));
    for program in ["shop", "flux"] {
        let status = folder
            .run(&format!("{program} status greet_person --verbose"))
            .exits(0);
        assert!(
            status.stdout.contains("\nFound 6 events:\n"),
            "{}",
            status.stdout
        );
        assert_eq!(status.stdout.matches("] ").count(), 6, "{}", status.stdout);
        assert!(
            status
                .stdout
                .contains("Activity: greet_person/2.say_hello\n"),
            "{}",
            status.stdout
        );
    }
    let status = folder
        .run("flux status greet_person --verbose --json")
        .exits(0);
    assert_eq!(status.json()["events"].as_array().unwrap().len(), 6);
}

#[test]
fn without_input_every_field_takes_its_default() {
    let folder = Folder::empty();
    let line = "shop run greet_person --id nobody";
    folder.run(line).exits(0);
    folder.run(line).exits(0);
    let result = folder.run("flux result nobody").exits(0).json();
    assert_eq!(
        result["text"],
        "hello, no name! Your name is 7 characters long"
    );
}

#[test]
fn input_comes_from_the_line_a_file_or_standard_input() {
    let folder = Folder::empty();
    folder.write("ada.json", r#"{"name": "Ada"}"#);
    folder
        .run("shop run greet_person --input @ada.json --id file")
        .exits(0);
    let piped = folder.call("shop run greet_person --input - --id pipe");
    piped.input(r#"{"name": "Bob"}"#).run().exits(0);
    let text = |id| folder.run(&format!("flux result {id}")).json()["text"].clone();
    assert_eq!(text("file"), "hello, Ada! Your name is 3 characters long");
    assert_eq!(text("pipe"), "hello, Bob! Your name is 3 characters long");
}

#[test]
fn a_bad_input_is_refused_and_nothing_is_stored() {
    let folder = Folder::empty();
    folder.run("flux db migrate").exits(0);
    golden!(folder.transcript(&[
        r#"shop run greet_person --input '{"name": 7}'"#,
        r#"shop start place_order --input '{"item": "tea", "cents": "four"}'"#,
        "shop run place_order",
        "shop run greet_person --input John",
        "shop run greet_person --input @nowhere.json",
        "flux start greet_person --input {",
        "flux list",
    ]));
}

#[test]
fn what_no_program_has_described_is_recorded_as_it_is_called() {
    golden!(Folder::empty().transcript(&[
        "flux start load_a --id a",
        "flux start load_b --id b",
        "flux list -o id",
        "shop run xyzzy",
        "shop start xyzzy",
        "shop run greet_persn",
        "flux list -o id",
    ]));
}

#[test]
fn an_unknown_workflow_is_told_the_nearest() {
    golden!(Folder::seeded().transcript(&[
        "shop run greet_persn",
        "shop start plaice_order",
        "flux run greet_persn",
        "flux run xyzzy",
    ]));
}

#[test]
fn a_second_start_with_the_same_id_finds_the_first() {
    let folder = Folder::empty();
    let line = r#"shop run greet_person --input '{"name":"John"}' --id john"#;
    let first = folder.run(line).exits(0);
    let second = folder.run(line).exits(0);
    let result = |text: &str| text.split("Result:").nth(1).unwrap().to_owned();
    assert_eq!(result(&second.stdout), result(&first.stdout));
    assert_eq!(folder.run("flux list -o id").stdout, "john\n");
    golden!(folder.transcript(&[
        r#"shop run greet_person --input '{"name":"Jane"}' --id john"#,
        r#"flux start greet_person --input '{"name":"Jane"}' --id john"#,
        "flux list -o id",
    ]));
}

#[test]
fn without_the_code_it_is_recorded_and_who_serves_it_is_said() {
    golden!(Folder::seeded().transcript(&[
        "flux run greet_person --input '\"Bob\"' --id bob",
        "flux start send_parcel --input 1 --id parcel-1",
        "flux start send_email --input '\"ada\"' --queue letters --priority 5 --id mail-1 --json",
        "flux start remind --in 5m --input '\"tea\"' --id tea-1",
        "flux start remind --at 2024-12-24T18:00:00Z --input '\"tea\"' --id tea-2",
        "flux start remind --dedup tea --input '\"tea\"' --id tea-3",
        "flux start remind --dedup tea --input '\"tea\"' --id tea-4",
        "flux run remind --input '\"tea\"' --id tea-5 --wait --timeout 30ms",
        "flux start remind --at soon --input '\"tea\"'",
        "flux --db flux.db start remind --input '\"tea\"' -q",
        "flux show tea-1",
    ]));
}

#[test]
fn in_a_new_folder_a_start_makes_the_store() {
    let folder = Folder::empty();
    golden!(folder.transcript(&["flux start greet_person --id first", "flux list"]));
}

#[test]
fn a_run_pauses_and_says_how_to_go_on() {
    let folder = Folder::empty();
    let line = r#"shop run review_order --input '{"item": "tea"}' --id tea"#;
    let ran = folder.run(line).exits(6);
    assert!(
        ran.stdout.ends_with("Paused at `review`\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("shop resume tea '<json>'"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_failed_run_says_what_failed() {
    let folder = Folder::empty();
    let line = r#"shop run place_order --input '{"item": "air"}' --id air"#;
    let ran = folder.run(line).exits(4);
    assert!(
        ran.stdout
            .contains("`charge` failed on attempt 3: nothing to charge"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("shop retry air"), "{}", ran.stderr);
}

/// Piped, each event is a line of JSON, and nothing else is on standard output.
#[test]
fn a_followed_run_is_a_stream_of_events() {
    let folder = Folder::empty();
    let line = r#"shop run greet_person --input '{"name":"John"}' --id john --follow"#;
    let ran = folder.run(line).exits(0);
    let kinds: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "WORKFLOW_STARTED",
            "TASK_STARTED",
            "TASK_COMPLETED",
            "TASK_STARTED",
            "TASK_COMPLETED",
            "WORKFLOW_COMPLETED",
        ]
    );
    let asked = folder
        .run("shop run greet_person --id table --follow -o table")
        .exits(0);
    assert!(
        asked.stdout.contains("TASK_COMPLETED       say_hello\n"),
        "{}",
        asked.stdout
    );
}
