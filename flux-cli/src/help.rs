//! The first page of help: the commands by purpose, on one screen.

use std::fmt::Write;

use anstyle::Style;
use clap::Command;

use crate::output::paint;

/// Every command, by what it is for.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Look",
        &["list", "show", "status", "result", "events", "workflow"],
    ),
    ("Start", &["run", "start", "worker", "schedule", "queue"]),
    (
        "Steer",
        &["signal", "resume", "pause", "cancel", "terminate", "retry"],
    ),
    ("Keep", &["db", "doctor", "replay"]),
    ("Begin", &["init", "completions", "man"]),
];

/// Replaces the help of the whole program.
pub(crate) fn grouped(command: Command) -> Command {
    let bold = Style::new().bold();
    let name = command.get_name().to_owned();
    let mut text = format!(
        "{} See, start and steer durable executions.\n\n{} {name} [OPTIONS] <COMMAND>\n",
        paint(bold, format!("{name}:")),
        paint(bold, "Usage:")
    );
    for (group, names) in GROUPS {
        text.push('\n');
        for (place, name) in names.iter().enumerate() {
            let about = command
                .find_subcommand(name)
                .and_then(Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            let group = if place == 0 { group } else { "" };
            let _ = writeln!(
                text,
                "{}  {name:<12} {about}",
                paint(bold, format!("{group:<6}"))
            );
        }
    }
    let _ = write!(
        text,
        "
{}  --db PATH|URL   the store [else $FLUX_STORE, flux.toml, ./flux.db]
        -o FORMAT       table, wide, json, jsonl, id   --time relative|iso|local
        --color WHEN    auto, always, never            -q -v -y --no-headers -V

`{name} help COMMAND` has examples of each.
",
        paint(bold, "Global")
    );
    command.override_help(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_command_is_in_a_group_and_has_an_example() {
        let all = Cli::command();
        let named: BTreeSet<_> = all.get_subcommands().map(Command::get_name).collect();
        let grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        assert_eq!(grouped.len(), named.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), named);
        let mut unseen: Vec<&Command> = all.get_subcommands().collect();
        while let Some(command) = unseen.pop() {
            unseen.extend(command.get_subcommands());
            let help = command.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|help| help.contains("Examples:")),
                "{} has no example",
                command.get_name()
            );
        }
    }

    #[test]
    fn the_first_page_fits_a_screen() {
        let help = grouped(Cli::command()).render_help().to_string();
        let lines: Vec<_> = help.lines().collect();
        assert!(lines.len() <= 40, "{} lines", lines.len());
        let widest = lines.iter().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}");
    }

    #[test]
    fn the_commands_are_put_together_well() {
        Cli::command().debug_assert();
    }
}
