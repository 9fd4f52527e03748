//! haproxystats-discovery: a doorbell; the program is in the library.

fn main() -> std::process::ExitCode {
    haproxystats::discovery::main()
}
