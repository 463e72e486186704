use vt100::Color;

use crate::terminal::{FLUX, Seen, Terminal, said, shop};

const ESCAPE: u8 = 0x1b;

/// An order that failed, listed in a terminal.
fn listed(args: &[&str], variables: &[(&str, &str)]) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let free = r#"{"item": "air"}"#;
    let begin = ["start", "place_order", "-q", "--input", free];
    said(&shop(), &begin, folder.path());
    let (code, seen) = Terminal::start_with(FLUX, args, folder.path(), 80, variables).end();
    assert_eq!(code, 0, "{}", seen.text());
    seen
}

#[test]
fn a_terminal_gets_colors() {
    let seen = listed(&["list"], &[]);
    assert_eq!(seen.cell("Pending").fgcolor(), Color::Idx(6));
    assert!(seen.cell("WORKFLOW").bold());
    assert_eq!(seen.cell("place_order").fgcolor(), Color::Default);
}

#[test]
fn no_color_takes_them_away() {
    for seen in [
        listed(&["list"], &[("NO_COLOR", "1")]),
        listed(&["list", "--color", "never"], &[]),
        listed(&["list"], &[("TERM", "dumb")]),
    ] {
        assert!(seen.text().contains("Pending"));
        assert!(!seen.bytes.contains(&ESCAPE), "{:?}", seen.text());
    }
}

#[test]
fn color_always_wins_over_no_color() {
    let seen = listed(&["list", "--color", "always"], &[("NO_COLOR", "1")]);
    assert_eq!(seen.cell("Pending").fgcolor(), Color::Idx(6));
}
