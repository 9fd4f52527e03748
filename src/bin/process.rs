//! haproxystats-process: see `haproxystats::process`.
use haproxystats::cli::{self, Command};
use haproxystats::logging;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::process(std::env::args_os()) {
        Command::Done(code) => ExitCode::from(code),
        Command::Once { snapshot, loaded } => {
            logging::init(loaded.config.process.loglevel, logging::Output::Stderr);
            let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
            ExitCode::from(haproxystats::process::once::run(&loaded.config, &host, &snapshot))
        }
        Command::Run(_) => ExitCode::FAILURE,
    }
}
