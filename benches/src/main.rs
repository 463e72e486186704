//! `cargo run --release -p flux-bench [-- --json] [--dir DIR] [CASE ..]`
//!
//! Each case measures Flux with default settings and, interleaved with it on the same file system, the floor
//! that no engine can beat. The ratio is the median of the rounds' ratios: the machine may drift, both drift
//! together. See `README.md` beside this for what each case models.

use std::error::Error;
use std::path::PathBuf;

mod cases;
mod floor;
mod measure;
mod process;
mod report;
mod workload;

use report::Report;

/// What the command line asks for.
struct Options {
    json: bool,
    dir: PathBuf,
    cases: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    if process::is_idle() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let Some(part) = process::part() {
        return runtime.block_on(part);
    }
    let options = Options::parse(std::env::args().skip(1))?;
    std::fs::create_dir_all(&options.dir)?;
    // A task of its own, as a user's would be: not the thread that blocks on the runtime.
    let done = runtime.block_on(async { tokio::spawn(run(options)).await })?;
    done.map_err(Into::into)
}

async fn run(options: Options) -> Result<(), String> {
    let report = Report::new(options.json);
    report.head(&options.dir);
    for case in cases::ALL {
        if !options.cases.is_empty() && !options.cases.iter().any(|name| name == case.name) {
            continue;
        }
        let dir = options.dir.join(case.name);
        let result = cases::run(case, &dir).await;
        let _ = std::fs::remove_dir_all(&dir);
        report.lines(
            case,
            &result.map_err(|error| format!("{}: {error}", case.name))?,
        );
    }
    Ok(())
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let dir = PathBuf::from("target/flux-bench").join(std::process::id().to_string());
        let mut options = Self {
            json: false,
            dir,
            cases: Vec::new(),
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--json" => options.json = true,
                "--dir" => options.dir = args.next().ok_or("--dir needs a folder")?.into(),
                name if cases::ALL.iter().any(|case| case.name == name) => options.cases.push(arg),
                _ => {
                    let known: Vec<_> = cases::ALL.iter().map(|case| case.name).collect();
                    return Err(format!(
                        "`{arg}` is no case; the cases are {}",
                        known.join(", ")
                    ));
                }
            }
        }
        Ok(options)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
