//! Further questions on the connections of a socket.

use super::super::gathering::Gathering;
use super::super::job::Job;
use crate::haproxy::socket::{Stream, connect};
use crate::logging::Chain;
use crate::snapshot::stage::StageError;
use std::io::{self, ErrorKind};
use tokio::time::timeout;

impl Job {
    /// Asks what is left of the further questions, on connections of their own.
    pub(in crate::pull) async fn ask_further(&self) -> Result<(), StageError> {
        while !self.further.borrow().is_done() {
            let Some(line) = self.further.borrow_mut().line(self.one_command_only.get()) else { break };
            let sent = async {
                let stream = connect(&self.target.server, self.manner.timeout)
                    .await
                    .map_err(|error| Chain(&error).to_string())?;
                let line = format!("{line}\n");
                self.send(&stream, line.as_bytes(), None).await.map_err(|error| error.to_string())?;
                Ok::<Stream, String>(stream)
            };
            match sent.await {
                Ok(stream) => self.receive_further(&stream).await?,
                Err(reason) => self.further.borrow_mut().fail(&reason)?,
            }
        }
        Ok(())
    }

    /// Stores the replies to further questions as they come. Their failure is theirs alone.
    pub(in crate::pull) async fn receive_further(&self, stream: &Stream) -> Result<(), StageError> {
        let limit = self.manner.further_limit;
        match timeout(limit, self.take_further(stream)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => self.further.borrow_mut().fail(&error.to_string()),
            Ok(Err(error)) => Err(error),
            Err(_) => self.further.borrow_mut().fail(&format!("no answer within {} s", limit.as_secs_f64())),
        }
    }

    async fn take_further(&self, stream: &Stream) -> Result<io::Result<()>, StageError> {
        let mut gathering = Gathering::default();
        while !self.further.borrow().is_answered() {
            let gathered = match gathering.wait(stream).await {
                Ok(gathered) => gathered,
                Err(error) => return Ok(Err(error)),
            };
            let mut buffer = self.buffer.borrow_mut();
            match stream.read_now(&mut buffer) {
                Ok(0) => return Ok(Err(ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    self.further.borrow_mut().take(buffer.get(..length).unwrap_or_default())?;
                    gathering.took(length, gathered);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}
