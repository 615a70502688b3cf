//! Sends writes: with a number where the server knows them, and again where that is safe.

use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawDocumentBuf, rawdoc};

use super::connection::Connected;
use super::executor::{Executor, SENDS};
use super::late::Held;
use super::numbers::{Numbered, Written};
use crate::mongo::delivery::{Delivery, Next, Repeat};
use crate::mongo::failure::{Outcome, checked};
use crate::mongo::server::{knows_numbers, refuses_numbers};

impl Executor {
    /// Sends a write, and again where that is safe: with a number where the server knows them, and without one where it
    /// does no harm (`harmless`). What a silent server may still have is sent again only where another one takes over.
    pub(super) async fn write(&self, command: RawDocumentBuf, harmless: bool) -> Outcome<Written> {
        let connected = self.connect().await?;
        if let Some(numbered) = self.numbered(&connected).await? {
            self.fence(&connected, &command).await?;
            match self.deliver(&connected, command.clone(), Some(numbered), Repeat::Numbered).await {
                Err(failure) if refuses_numbers(failure.server_code(), &failure.error.message) => {
                    connected.numbers.refuse();
                }
                outcome => return outcome,
            }
        }
        let repeat = if harmless { Repeat::Harmless } else { Repeat::Never };
        self.deliver(&connected, command, None, repeat).await
    }

    /// The same for a write that does no harm twice: the reply, and whether it was sent twice.
    pub(super) async fn write_harmless(&self, command: RawDocumentBuf) -> Outcome<(Document, bool)> {
        match self.write(command, true).await? {
            Written::Reply(reply, repeated) => Ok((reply, repeated)),
            Written::Unanswered(failure) => Err(failure.unknown()),
        }
    }

    async fn deliver(
        &self,
        connected: &Connected,
        mut command: RawDocumentBuf,
        numbered: Option<Numbered>,
        repeat: Repeat,
    ) -> Outcome<Written> {
        let mut delivery = Delivery::new(repeat);
        let held = numbered.map(|mut numbered| {
            command.append(cstr!("txnNumber"), numbered.next());
            Held::new(numbered)
        });
        let mut repeated = false;
        let mut attempts = self.attempts().await?;
        let outcome = loop {
            let (database, command, held) = (connected.database.clone(), command.clone(), held.clone());
            // What was not answered must let go of its session.
            if let Some(held) = held.as_ref().filter(|_| repeated) {
                held.give_up();
            }
            let trip = async move {
                match held {
                    Some(held) => held.run(database, |_| command).await,
                    None => database.run_raw_command(command).await,
                }
            };
            match attempts.send(trip).await.and_then(checked) {
                Ok(reply) => break Ok(Written::Reply(reply, repeated)),
                Err(failure) => match delivery.failed(failure, attempts.may_repeat(SENDS)) {
                    Next::Again => {
                        self.count_retry();
                        repeated = true;
                    }
                    Next::FindOut(failure) => break Ok(Written::Unanswered(failure)),
                    Next::Failed(failure) => break Err(failure),
                },
            }
        };
        if let Some(held) = held.filter(|_| delivery.may_come_late()) {
            connected.late.add(&command, held);
        }
        outcome
    }

    /// A session for a write, where the server knows numbers.
    pub(super) async fn numbered(&self, connected: &Connected) -> Outcome<Option<Numbered>> {
        let numbers = &connected.numbers;
        if numbers.is_refused() {
            return Ok(None);
        }
        let ask = async { Ok(knows_numbers(&self.command(rawdoc! { "hello": 1 }).await?)) };
        if !numbers.known.get_or_make(ask).await? {
            return Ok(None);
        }
        if let Some(numbered) = numbers.take() {
            return Ok(Some(numbered));
        }
        let client = connected.client.clone();
        let start = async move { client.start_session().causal_consistency(false).await };
        Ok(Some(numbers.first(self.bounded(start).await?)))
    }
}
