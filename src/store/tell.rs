//! Telling those who wait what became of their work.

use std::sync::Arc;

use super::error::Outcome;
use super::maps;
use super::work::{Answered, Job, User, Work};
use crate::mongo::failure::Failure;

/// What one user is told: the answers, and how many bytes and writes they were.
type Share = (Arc<dyn User>, Vec<Answered>, usize, usize);

/// Tells each job of a batch what became of it.
pub(super) fn tell(jobs: Vec<Job>, mut outcome: impl FnMut(&Job) -> Option<Answered>) {
    let mut answers: Vec<Share> = Vec::new();
    for job in jobs {
        let Some(answer) = outcome(&job) else { continue };
        let writes = usize::from(job.work.writes());
        match answers.iter_mut().find(|(client, ..)| Arc::ptr_eq(client, &job.client)) {
            Some((_, all, bytes, written)) => {
                all.push(answer);
                *bytes += job.size;
                *written += writes;
            }
            None => answers.push((job.client, vec![answer], job.size, writes)),
        }
    }
    for (client, all, bytes, writes) in answers {
        client.tell(all, bytes, writes);
    }
}

/// The answer of a mark; none of what is no mark.
pub(super) fn marked(job: &Job, outcome: Outcome<()>) -> Option<Answered> {
    match &job.work {
        Work::Mark(call) => Some(Answered::Map(*call, outcome.map(|()| maps::Told::Nothing))),
        _ => None,
    }
}

/// Tells each job that it failed. A mark says only whether what was acknowledged is kept: that outcome is its own.
pub(super) fn fail(jobs: Vec<Job>, failure: &Failure, kept: &Outcome<()>) {
    tell(jobs, |job| match &job.work {
        Work::Map(call, _) => Some(Answered::Map(*call, Err(failure.clone()))),
        Work::Row(request) => Some(Answered::Row(request.call, Err(failure.clone()))),
        Work::Attach | Work::Detach(_) | Work::Mark(_) => marked(job, kept.clone()),
    });
}
