//! Bodies of answers: a text, and where there is more, what an iterator makes of it.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a program answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) page: String,
    pub(super) rest: Option<Rest>,
}

/// Text that is made as it is taken.
pub(super) struct Rest(pub(super) Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>);

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
    }
}

/// The body.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) first: Option<Bytes>,
    pub(super) rest: Option<Rest>,
}

impl Body for Text {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let next = self.rest.as_mut().and_then(|Rest(rest)| rest.next());
        Poll::Ready(next.map(|text| text.map(|text| Frame::data(text.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.first, &self.rest) {
            (first, None) => SizeHint::with_exact(first.as_ref().map_or(0, |first| first.len() as u64)),
            (_, Some(_)) => SizeHint::default(),
        }
    }
}
