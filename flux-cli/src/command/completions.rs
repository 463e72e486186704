//! `completions`: for a shell.

use crate::args::Completions;
use crate::exit::{Exit, Outcome};
use crate::{program, session};

pub(super) fn completions(args: &Completions) -> Outcome {
    let mut commands = program::commands();
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut commands,
        session::program_name(),
        &mut script,
    );
    super::write_all(&script)?;
    Ok(Exit::Done)
}
