//! What every command is given: the store, the output, and how to speak to the user.

use std::env;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use flux_core::clock::{Clock, SystemClock, Timestamp};
use flux_core::{Engine, EngineBuilder};
use futures::future::BoxFuture;

use crate::exit::{Exit, Failure};
use crate::output::{Output, paint};
use crate::place::{Place, Source};

/// Adds state and defaults to the engine of a program.
pub(crate) type Configure = Box<
    dyn FnOnce(
            EngineBuilder,
        ) -> BoxFuture<
            'static,
            Result<EngineBuilder, Box<dyn std::error::Error + Send + Sync>>,
        > + Send,
>;

/// One call of the command line.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Session {
    pub(crate) output: Output,
    pub(crate) place: Place,
    /// Whether the program has workflows of its own.
    pub(crate) has_code: bool,
    /// Whether `-o` was not given, so that streams may choose.
    pub(crate) is_default_format: bool,
    pub(crate) is_verbose: bool,
    pub(crate) is_quiet: bool,
    /// Whether nothing is asked.
    pub(crate) is_sure: bool,
    /// How this program is called again.
    pub(crate) program: String,
    pub(crate) configure: Mutex<Option<Configure>>,
}

/// A clock that stands still, for looking.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        SystemClock.sleep_until(moment)
    }
}

/// The environment variable that makes the clock stand still for commands that look.
const NOW: &str = "FLUX_NOW";

/// The moment that all spans are counted to.
pub(crate) fn now() -> Result<SystemTime, Failure> {
    match env::var(NOW) {
        Ok(text) if !text.is_empty() => {
            let moment: jiff::Timestamp = text
                .parse()
                .map_err(|error| Failure::usage(format!("`${NOW}` is no moment: {error}")))?;
            Ok(moment.into())
        }
        _ => Ok(SystemTime::now()),
    }
}

impl Session {
    /// An engine that looks and steers: it creates no store, and is no owner until it has to be. The program's own
    /// `configure` is not called: what a body needs (a connection, a key) is not needed to look, and may not be there.
    pub(crate) async fn look(&self) -> Result<Engine, Failure> {
        self.built_to_look(self.builder_to_look()).await
    }

    /// An engine that looks and runs the code of workflows, though no body: that code may want the program's state.
    pub(crate) async fn rehearse(&self) -> Result<Engine, Failure> {
        let builder = self.configured(self.builder_to_look()).await?;
        self.built_to_look(builder).await
    }

    fn builder_to_look(&self) -> EngineBuilder {
        let builder = Engine::builder().sqlite(&self.place.location).onlooker();
        if env::var_os(NOW).is_none() {
            return builder;
        }
        builder.clock(Still(self.output.now.into()))
    }

    async fn built_to_look(&self, builder: EngineBuilder) -> Result<Engine, Failure> {
        match builder.build().await {
            Err(error) if !self.is_there() => {
                Err(Failure::from(error).hint(self.place.source.text()))
            }
            built => Ok(built?),
        }
    }

    /// Whether there is a store.
    fn is_there(&self) -> bool {
        flux_core::maintain(Some(&self.place.location)).is_ok_and(|store| store.exists())
    }

    /// As [`look`](Self::look); without a store, one that knows this program alone.
    pub(crate) async fn look_if_there(&self) -> Result<Engine, Failure> {
        if !self.has_code || self.is_there() {
            return self.look().await;
        }
        Ok(Engine::in_memory())
    }

    /// An engine that runs this program's code; its store is created where there is none.
    pub(crate) async fn drive(&self) -> Result<Engine, Failure> {
        let builder = Engine::builder().sqlite(&self.place.location);
        Ok(self.configured(builder).await?.build().await?)
    }

    /// The builder with what `main_with` adds to it.
    async fn configured(&self, builder: EngineBuilder) -> Result<EngineBuilder, Failure> {
        let configure = self
            .configure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(configure) = configure else {
            return Ok(builder);
        };
        configure(builder).await.map_err(|error| {
            Failure::operational(format!(
                "the engine of this program cannot be set up: {error}"
            ))
        })
    }

    /// Says something that is no data.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.is_quiet {
            anstream::eprintln!("{}", text.as_ref());
        }
    }

    /// Says a command that may be what the user wants next.
    pub(crate) fn suggest(&self, why: &str, words: &[&str]) {
        let dim = anstyle::Style::new().dimmed();
        self.say(format!("{}  {}", self.command(words), paint(dim, why)));
    }

    /// A command of this program, to be pasted.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut command = self.program.clone();
        if self.place.source == Source::Flag {
            command.push_str(" --db ");
            command.push_str(&quoted(&self.place.location));
        }
        for word in words {
            command.push(' ');
            command.push_str(&quoted(word));
        }
        command
    }

    /// A command of the program that has the code, to be pasted where its sources are.
    pub(crate) fn command_elsewhere(&self, words: &[&str]) -> String {
        let mut command = format!("cargo run -- --db {}", quoted(&self.place.absolute()));
        for word in words {
            command.push(' ');
            command.push_str(&quoted(word));
        }
        command
    }

    /// Refuses what needs workflow code where there is none.
    pub(crate) fn needs_code(&self, what: &str) -> Result<(), Failure> {
        if self.has_code {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Usage,
            format!("{what} needs the code of workflows, and this program has none"),
        )
        .hint(format!(
            "call it in the program that has them, `cargo run -- ..`, with `flux::cli::main()` as its `main`; \
             `{} init NAME --tasks a,b` makes one",
            self.program
        )))
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

/// How this program was called, as short as it can be called again.
pub(crate) fn program() -> String {
    let called = env::args().next().unwrap_or_else(|| "flux".to_owned());
    let path = Path::new(&called);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let Some(name) = name else { return called };
    let is_under_cargo = env::var_os("CARGO_MANIFEST_DIR").is_some() && called.contains("target");
    if is_under_cargo {
        return "cargo run --".to_owned();
    }
    let is_on_path = env::var_os("PATH").is_some_and(|folders| {
        env::split_paths(&folders).any(|folder| folder.join(&name).is_file())
    });
    if is_on_path || !called.contains(std::path::MAIN_SEPARATOR) {
        return name;
    }
    quoted(&called)
}

/// The name of this program in its own help.
pub(crate) fn program_name() -> String {
    let called = env::args().next().unwrap_or_default();
    let stem = Path::new(&called).file_stem();
    stem.map_or_else(
        || "flux".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
