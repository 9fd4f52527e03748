//! haproxystats-run: a doorbell; the program is in the library.

fn main() -> std::process::ExitCode {
    haproxystats::run::main()
}
