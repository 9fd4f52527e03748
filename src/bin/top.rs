//! haproxystats-top: a doorbell; the program is in the library.

fn main() -> std::process::ExitCode {
    haproxystats::top::main()
}
