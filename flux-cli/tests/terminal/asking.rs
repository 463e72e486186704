use crate::terminal::{CTRL_C, FLUX, Seen, Terminal, Worker, ignores_interrupts, said, until_said};

const RUNNING: &[&str] = &["list", "--status", "running", "-o", "id"];
const CANCEL: &[&str] = &["cancel", "--status", "running", "--workflow", "work_slowly"];

/// Two executions at work, and what comes of the question whether to cancel them.
fn cancelled_after(answer: &str) -> (i32, Seen, String) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for id in ["first", "second"] {
        said(
            FLUX,
            &["start", "work_slowly", "--input", "60000", "--id", id, "-q"],
            folder,
        );
    }
    let _worker = Worker::start(folder);
    until_said(RUNNING, folder, |ids| ids.lines().count() == 2);
    let mut terminal = Terminal::start(FLUX, CANCEL, folder, 80);
    terminal.until_seen("Cancel 2 executions? [y/N]");
    terminal.press(answer);
    let (code, seen) = terminal.end();
    (code, seen, said(FLUX, RUNNING, folder))
}

#[test]
fn a_no_leaves_all_as_it_is() {
    let (code, seen, running) = cancelled_after("n\r");
    assert_eq!(code, 0);
    assert!(seen.text().contains("nothing was done"));
    assert_eq!(running.lines().count(), 2);
}

#[test]
fn no_answer_is_a_no() {
    let (code, seen, running) = cancelled_after("\r");
    assert_eq!(code, 0);
    assert!(seen.text().contains("nothing was done"));
    assert_eq!(running.lines().count(), 2);
}

#[test]
fn a_yes_does_it_to_all() {
    let (code, seen, running) = cancelled_after("y\r");
    assert_eq!(code, 0);
    assert_eq!(seen.lines_with("Cancelled").len(), 2, "{}", seen.text());
    assert_eq!(running, "");
}

#[test]
fn a_question_can_be_broken_off() {
    if ignores_interrupts() {
        println!("skipped: a shell that puts programs into the background has them ignore SIGINT");
        return;
    }
    let (code, _, running) = cancelled_after(CTRL_C);
    assert_eq!(code, 130);
    assert_eq!(running.lines().count(), 2);
}
