//! Names of types as operators read them: `Option<String>`, not `core::option::Option<alloc::string::String>`.

/// Crates whose types are known without their path.
const KNOWN: [&str; 4] = ["alloc", "core", "std", "flux_core"];

/// Shortens what `std::any::type_name` gives: types of the standard library and of Flux lose their path, others keep it,
/// since two types of a program may have one name.
pub(crate) fn readable(name: &str) -> String {
    let mut readable = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_of_path(c)).unwrap_or(rest.len());
        let (path, after) = rest.split_at(end);
        readable.push_str(short(path));
        let next = after.find(is_of_path).unwrap_or(after.len());
        readable.push_str(&after[..next]);
        rest = &after[next..];
    }
    readable
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

fn short(path: &str) -> &str {
    match (path.split_once("::"), path.rsplit_once("::")) {
        (Some((first, _)), Some((_, last))) if KNOWN.contains(&first) => last,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;

    struct Mine;

    #[test]
    fn types_of_the_standard_library_lose_their_path() {
        for (name, expected) in [
            (type_name::<String>(), "String"),
            (type_name::<Option<Vec<u8>>>(), "Option<Vec<u8>>"),
            (
                type_name::<(String, &'static str, [u32; 3])>(),
                "(String, &str, [u32; 3])",
            ),
            (
                type_name::<Box<dyn std::error::Error + Send>>(),
                "Box<dyn Error + Send>",
            ),
            (type_name::<crate::TaskError>(), "TaskError"),
            (type_name::<serde_json::Value>(), "serde_json::value::Value"),
            ("shop::String", "shop::String"),
            ("", ""),
        ] {
            assert_eq!(readable(name), expected, "{name}");
        }
        // Of this crate in a test, and of any other otherwise.
        assert_eq!(
            readable(&type_name::<Vec<Mine>>().replace("flux_core", "shop")),
            { "Vec<shop::type_name::tests::Mine>" }
        );
    }
}
