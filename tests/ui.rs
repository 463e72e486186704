//! What the compiler says of each mistake, and that its cure compiles and runs.
//!
//! The messages are those of Rust 1.95. After a change on purpose, or with another compiler:
//! `TRYBUILD=overwrite cargo test -p flux-tests --test ui`.

#[test]
fn each_mistake_has_its_message_and_each_cure_works() {
    let tests = trybuild::TestCases::new();
    tests.pass("ui/pass/*.rs");
    tests.compile_fail("ui/*.rs");
}
