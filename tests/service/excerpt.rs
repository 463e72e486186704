//! What the README shows of the service.

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../examples/service.rs");

#[test]
fn the_readme_shows_lines_of_the_service_in_their_order() {
    let (_, excerpt) = README.split_once("```rust,ignore\n").unwrap();
    let (excerpt, _) = excerpt.split_once("```").unwrap();
    let mut rest = EXAMPLE;
    for line in excerpt.lines().map(str::trim) {
        // Two dots stand for what is left out.
        let wanted = line.split("..").next().unwrap();
        let found = rest.find(wanted);
        let at = found.unwrap_or_else(|| panic!("`{line}` is not in the example, or not there"));
        rest = &rest[at + wanted.len()..];
    }
}
