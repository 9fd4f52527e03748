//! haproxystats-process: a doorbell; the program is in the library.

use haproxystats::process::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> std::process::ExitCode {
    haproxystats::process::main()
}
