//! Texts with placeholders, written as in `format!`: `process-{region}`.

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Placeholder(String),
}

/// Takes a template apart at its placeholders, each of which `placeholder` checks.
pub(crate) fn split(
    template: &str,
    placeholder: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        text.push_str(before);
        if brace.starts_with("{{") || brace.starts_with("}}") {
            text.push_str(&brace[..1]);
            rest = &brace[2..];
        } else if let Some(inside) = brace.strip_prefix('{') {
            let (name, after) = inside
                .split_once('}')
                .ok_or("this `{` is not closed; a brace itself is `{{`")?;
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Placeholder(placeholder(name)?));
            rest = after;
        } else {
            return Err("this `}` closes nothing; a brace itself is `}}`".to_owned());
        }
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    parts.retain(|part| *part != Part::Text(String::new()));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(template: &str) -> Result<Vec<Part>, String> {
        split(template, |name| Ok(name.trim().to_owned()))
    }

    #[test]
    fn a_template_is_taken_apart_at_its_placeholders() {
        let text = |text: &str| Part::Text(text.to_owned());
        let placeholder = |name: &str| Part::Placeholder(name.to_owned());
        let cases = [
            ("charge", vec![text("charge")]),
            (
                "process-{region}",
                vec![text("process-"), placeholder("region")],
            ),
            ("{a}{ b }", vec![placeholder("a"), placeholder("b")]),
            ("{{a}}-{b}", vec![text("{a}-"), placeholder("b")]),
        ];
        for (template, expected) in cases {
            assert_eq!(parts(template), Ok(expected), "{template}");
        }
    }

    #[test]
    fn braces_come_in_pairs() {
        for template in ["a-{", "a-}", "{a", "a}}}"] {
            assert!(parts(template).is_err(), "{template}");
        }
    }
}
