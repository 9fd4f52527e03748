//! Commands packed into lines. HAProxy runs what stands in one line, separated by semicolons, in one go.

use super::command::Command;

/// Most bytes of a line, its end included. HAProxy 3.x refuses a line beyond `tune.bufsize` (16 KiB) as a whole, and a
/// line of exactly that size puts some releases into an endless loop; half of it is far enough away.
pub(crate) const LINE_LIMIT: usize = 8 << 10;

/// Commands that go out in one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    line: String,
    commands: Vec<Command>,
}

impl Batch {
    /// Packs groups of commands into as few lines as their order allows. The commands of a group stay in one line: between
    /// them nothing else happens in HAProxy. A group that alone is beyond the limit is cut (no group of ours comes
    /// near it).
    #[must_use]
    pub fn pack<'a>(groups: impl IntoIterator<Item = &'a [Command]>) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for group in groups {
            let text: Vec<String> = group.iter().map(Command::to_string).collect();
            let length: usize = text.iter().map(|command| command.len() + 1).sum();
            if batches.last().is_none_or(|batch| batch.line.len() + length > LINE_LIMIT) {
                batches.push(Self::default());
            }
            for (command, text) in group.iter().zip(text) {
                if batches.last().is_none_or(|batch| batch.line.len() + text.len() + 1 > LINE_LIMIT) {
                    batches.push(Self::default());
                }
                let Some(batch) = batches.last_mut() else { continue };
                // The semicolon after the last command becomes the end of the line.
                if !batch.line.is_empty() {
                    batch.line.pop();
                    batch.line.push(';');
                }
                batch.line.push_str(&text);
                batch.line.push('\n');
                batch.commands.push(command.clone());
            }
        }
        batches.retain(|batch| !batch.commands.is_empty());
        batches
    }

    /// The line, with its end.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The commands in it.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::{AdminState, ServerName, Weight};
    use super::*;
    use proptest::prelude::*;

    fn server(backend: &str, number: usize) -> ServerName {
        ServerName { backend: backend.parse().unwrap(), server: format!("s{number}").parse().unwrap() }
    }

    #[test]
    fn one_line_ends_with_a_line_feed_and_nothing_gives_no_line() {
        let group =
            [Command::Weight(server("web", 1), Weight::ZERO), Command::State(server("web", 1), AdminState::Ready)];
        let batches = Batch::pack([group.as_slice()]);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].line(), "set server web/s1 weight 0;set server web/s1 state ready\n");
        assert!(Batch::pack([]).is_empty());
        assert!(Batch::pack([[].as_slice()]).is_empty());
    }

    proptest! {
        #[test]
        fn lines_stay_within_the_limit_and_groups_together(
            sizes in prop::collection::vec(0_usize..9, 0..200), name in "[a-z]{1,300}",
        ) {
            let groups: Vec<Vec<Command>> = sizes.iter().enumerate().map(|(number, size)| {
                vec![Command::State(server(&name, number), AdminState::Maint); *size]
            }).collect();
            let batches = Batch::pack(groups.iter().map(Vec::as_slice));
            for batch in &batches {
                prop_assert!(batch.line().len() <= LINE_LIMIT);
                prop_assert!(!batch.commands().is_empty());
                let text: Vec<String> = batch.commands().iter().map(Command::to_string).collect();
                prop_assert_eq!(batch.line(), format!("{}\n", text.join(";")));
            }
            let all: Vec<Command> = batches.iter().flat_map(|batch| batch.commands().to_vec()).collect();
            prop_assert_eq!(all, groups.concat());
            for group in groups.iter().filter(|group| !group.is_empty()) {
                let together = |batch: &Batch| batch.commands().iter().filter(|c| c.server() == group[0].server()).count();
                prop_assert!(batches.iter().any(|batch| together(batch) == group.len()));
            }
        }
    }
}
