//! The options of each program.

use crate::config::Program;

/// Options that one program alone has.
pub(super) const OWN: [(&str, Program); 32] = [
    ("--ask", Program::Pull),
    ("--ask", Program::Process),
    ("--setup", Program::Pull),
    ("--latency-rules", Program::Pull),
    ("--buckets", Program::Pull),
    ("--timers", Program::Pull),
    ("--table", Program::Pull),
    ("--base", Program::Pull),
    ("--peers", Program::Pull),
    ("--server", Program::Discovery),
    ("--client", Program::Discovery),
    ("--debug", Program::Discovery),
    ("--dry-run", Program::Discovery),
    ("--skip-config", Program::Agent),
    ("--bind", Program::Agent),
    ("--port", Program::Agent),
    ("--explain", Program::Agent),
    ("--import-datawave", Program::Agent),
    ("--count", Program::Process),
    ("--explain", Program::Process),
    ("--replay", Program::Process),
    ("--from", Program::Process),
    ("--to", Program::Process),
    ("--rate", Program::Process),
    ("--resume", Program::Process),
    ("--to-graphite", Program::Process),
    ("--hostname", Program::Process),
    ("--interval", Program::Top),
    ("--host", Program::Top),
    ("--replay", Program::Top),
    ("--from", Program::Top),
    ("--to", Program::Top),
];

/// Options that have to be written out: they came later, and would make abbreviations of others ambiguous.
pub(super) const IN_FULL: [&str; 8] =
    ["--count", "--replay", "--from", "--to", "--rate", "--resume", "--to-graphite", "--hostname"];

/// An option: its long form, its short form, and whether a value follows.
pub(super) type Known = (&'static str, Option<char>, bool);

const OPTIONS: [Known; 37] = [
    ("--setup", None, false),
    ("--strict", None, false),
    ("--server", Some('s'), false),
    ("--client", Some('c'), false),
    ("--debug", None, false),
    ("--dry-run", None, false),
    ("--file", Some('f'), true),
    ("--dir", Some('d'), true),
    ("--print", Some('p'), false),
    ("--print-conf", Some('P'), false),
    ("--check", None, false),
    ("--ask", None, false),
    ("--latency-rules", None, false),
    ("--buckets", None, true),
    ("--timers", None, true),
    ("--table", None, true),
    ("--base", None, true),
    ("--peers", None, true),
    ("--status", None, false),
    ("--json", None, false),
    ("--skip-config", None, false),
    ("--bind", Some('b'), true),
    ("--port", None, true),
    ("--explain", None, true),
    ("--import-datawave", None, true),
    ("--count", None, false),
    ("--replay", None, true),
    ("--from", None, true),
    ("--to", None, true),
    ("--rate", None, true),
    ("--resume", None, true),
    ("--to-graphite", None, true),
    ("--hostname", None, true),
    ("--interval", Some('i'), true),
    ("--host", None, true),
    ("--help", Some('h'), false),
    ("--version", Some('v'), false),
];

/// The options of a program. `--once` is not the same in all of them.
pub(super) fn known(program: Program) -> impl Iterator<Item = Known> {
    let owners = |long| OWN.iter().filter(move |(own, _)| *own == long).map(|(_, owner)| *owner);
    let foreign = move |long| owners(long).next().is_some() && !owners(long).any(|owner| owner == program);
    let once = ("--once", None, program == Program::Process);
    let options = OPTIONS.into_iter().filter(move |(long, ..)| *long != "--once" && !foreign(*long));
    let once =
        std::iter::once(once).filter(move |_| matches!(program, Program::Process | Program::Discovery | Program::Top));
    // It has no daemon to look at.
    let options = options.filter(move |(long, ..)| *long != "--status" || program != Program::Top);
    options.chain(once)
}
