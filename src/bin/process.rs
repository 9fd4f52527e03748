//! haproxystats-process: a doorbell; the program is in the library.

fn main() -> std::process::ExitCode {
    haproxystats::process::main()
}
