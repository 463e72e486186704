//! What each word of the command line does, a file per word.

mod cancel;
mod completions;
mod db;
mod doctor;
mod events;
mod families;
mod init;
mod list;
mod man;
mod many;
mod pause;
mod queue;
mod replay;
mod result;
mod resume;
mod retry;
mod run;
mod schedule;
mod settle;
mod show;
mod signal;
mod start;
mod status;
mod steer;
mod terminate;
mod tree;
mod unread;
mod value;
mod worker;
mod workflow;

use crate::args::Command;
use crate::exit::Outcome;
use crate::session::Session;

/// Does what the command line says.
pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::List(args) => list::list(session, args).await,
        Command::Show(args) => show::show(session, args).await,
        Command::Status(args) => status::status(session, args).await,
        Command::Result(args) => result::result(session, args).await,
        Command::Events(args) => events::events(session, args).await,
        Command::Run(args) => run::run(session, args).await,
        Command::Start(args) => start::start(session, args).await,
        Command::Worker(args) => worker::worker(session, args).await,
        Command::Signal(args) => signal::signal(session, args).await,
        Command::Resume(args) => resume::resume(session, args).await,
        Command::Pause(args) => pause::pause(session, args).await,
        Command::Cancel(args) => cancel::cancel(session, args).await,
        Command::Terminate(args) => terminate::terminate(session, args).await,
        Command::Retry(args) => retry::retry(session, args).await,
        Command::Schedule(args) => schedule::schedule(session, args).await,
        Command::Workflow(args) => workflow::workflow(session, args).await,
        Command::Queue(args) => queue::queue(session, args).await,
        Command::Db(args) => db::db(session, args).await,
        Command::Replay(args) => replay::replay(session, args).await,
        Command::Init(args) => init::init(session, &args),
        Command::Doctor => doctor::doctor(session).await,
        Command::Completions(args) => completions::completions(&args),
        Command::Man => man::man(),
    }
}

/// Writes bytes to standard output as they are.
fn write_all(bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
