//! For tests only: makes a task fail where it comes round, in ways that no input is known to cause.
//!
//! The environment variable `HAPROXYSTATS_TEST_FAULT` holds `<how>:<task>`, separated by commas where there are several; `how` is
//! `hang` or `panic`, and the task has the name of its duty. See [`injection`].

use crate::injection;

/// Name of the variable.
const VARIABLE: &str = "HAPROXYSTATS_TEST_FAULT";

/// How a task fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It waits for what never comes.
    Hang,
    /// It panics.
    Panic,
}

impl Fault {
    /// What the variable has for this task.
    pub(super) fn of(task: &str) -> Option<Self> {
        find(&injection::variable(VARIABLE)?, task)
    }

    /// Fails.
    ///
    /// # Panics
    /// If it is to.
    #[allow(clippy::panic)]
    pub(super) async fn spring(self) {
        match self {
            Self::Hang => std::future::pending().await,
            Self::Panic => panic!("a test has set a trap"),
        }
    }
}

fn find(text: &str, task: &str) -> Option<Fault> {
    let mut all = text.split(',').filter_map(|fault| fault.split_once(':'));
    let (how, _) = all.find(|(_, name)| *name == task)?;
    match how {
        "hang" => Some(Fault::Hang),
        "panic" => Some(Fault::Panic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_those_of_the_task() {
        let text = "hang:checks of web,,panic:port [::1]:3333,x:y";
        assert_eq!(find(text, "checks of web"), Some(Fault::Hang));
        assert_eq!(find(text, "port [::1]:3333"), Some(Fault::Panic));
        assert_eq!(find(text, "checks of"), None);
        assert_eq!(find(text, "y"), None);
    }
}
