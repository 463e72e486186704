//! `man`: the manual page, of the program and of each of its commands.

use clap::Command;
use clap_mangen::Man;

use crate::exit::{Exit, Failure, Outcome};
use crate::program;

pub(super) fn man() -> Outcome {
    let mut page = Vec::new();
    let commands = program::commands();
    render(&Man::new(commands.clone()), &mut page)?;
    describe(&commands, "", &mut page)?;
    super::write_all(&page)?;
    Ok(Exit::Done)
}

fn render(man: &Man, page: &mut Vec<u8>) -> Result<(), Failure> {
    Ok(man.render(page)?)
}

/// Adds a section for each command: its usage, its options and its examples.
fn describe(command: &Command, before: &str, page: &mut Vec<u8>) -> Result<(), Failure> {
    for part in command
        .get_subcommands()
        .filter(|part| part.get_name() != "help")
    {
        let name = format!("{before}{}", part.get_name());
        page.extend(format!(".SH \"{}\"\n", name.to_uppercase()).bytes());
        let man = Man::new(part.clone());
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        man.render_extra_section(page)?;
        describe(part, &format!("{name} "), page)?;
    }
    Ok(())
}
