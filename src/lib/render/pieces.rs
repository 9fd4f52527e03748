//! A snapshot in pieces, one after the other, so that a large one is never in memory as a whole.
//!
//! Rendering hands a piece over when there is enough for one, and goes on when the next is asked for. It is a
//! generator: rendering is a future that waits at each piece, and [`Pieces`] is what drives it, on the caller's thread and
//! outside of any event loop, in which polars would refuse to run.

use crate::batch::Piece;
use crate::encode::sink::Sink;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Where pieces go out, and empty buffers come in.
#[derive(Debug)]
pub struct Outlet {
    /// Bytes from which on there is enough for a piece.
    size: usize,
    piece: RefCell<Option<Piece>>,
    buffer: RefCell<Vec<u8>>,
}

impl Outlet {
    /// For pieces of about so many bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, piece: RefCell::default(), buffer: RefCell::default() }
    }

    /// For whole snapshots.
    #[must_use]
    pub fn whole() -> Self {
        Self::new(usize::MAX)
    }

    /// To be called between objects, where none of those before has anything more to say: hands over what there is, if it is
    /// enough for a piece.
    pub async fn between(&self, sink: &mut Sink) {
        if sink.size() >= self.size {
            self.hand_over(sink).await;
        }
    }

    async fn hand_over(&self, sink: &mut Sink) {
        let piece = sink.take(true, self.buffer.take());
        *self.piece.borrow_mut() = Some(piece);
        // Until it has been fetched: the driver fetches it before going on.
        std::future::poll_fn(|_| if self.piece.borrow().is_some() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// A buffer for the lines of the next piece; it is to be empty.
    pub fn give(&self, buffer: Vec<u8>) {
        self.buffer.replace(buffer);
    }
}

/// The pieces of a snapshot while it is rendered.
pub struct Pieces<'a, F: Future> {
    outlet: &'a Outlet,
    rendering: Pin<&'a mut F>,
    result: Option<F::Output>,
}

impl<'a, F: Future> Pieces<'a, F> {
    /// Those that `rendering` hands over to `outlet`.
    pub fn new(outlet: &'a Outlet, rendering: Pin<&'a mut F>) -> Self {
        Self { outlet, rendering, result: None }
    }

    /// Renders up to the next piece; the last is not one of these, see [`Pieces::end`]. `None` at the end.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if self.result.is_some() {
            return None;
        }
        // It waits for nothing but this.
        let mut context = Context::from_waker(Waker::noop());
        match self.rendering.as_mut().poll(&mut context) {
            Poll::Pending => self.outlet.piece.take(),
            Poll::Ready(result) => {
                self.result = Some(result);
                None
            }
        }
    }

    /// What rendering came to; pieces that nobody has asked for are thrown away.
    pub fn end(mut self) -> F::Output {
        loop {
            match self.result.take() {
                Some(result) => return result,
                None => drop(self.next_piece()),
            }
        }
    }
}

/// Renders what is handed over as a whole: see [`Outlet::whole`].
pub fn whole<F: Future>(outlet: &Outlet, rendering: F) -> F::Output {
    Pieces::new(outlet, std::pin::pin!(rendering)).end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Output;
    use crate::encode::object::{Object, ObjectKind};
    use crate::encode::prefix::Prefixes;
    use crate::snapshot::Epoch;
    use crate::value::Value;

    #[test]
    fn pieces_come_when_they_are_asked_for_and_the_result_behind_them() {
        let mut sink = Sink::plaintext(&crate::testing::config());
        let prefixes = Prefixes { plain: [b"a.".to_vec().into_boxed_slice()].into(), ..Prefixes::default() };
        let outlet = Outlet::new(20);
        let told = std::cell::Cell::new(0);
        let rendering = async {
            sink.begin(Epoch(1), Vec::new());
            for number in 0..10 {
                told.set(number);
                sink.object(Object::unnamed(ObjectKind::Daemon), &prefixes).metric(b"x", Value::Int(number));
                outlet.between(&mut sink).await;
            }
            sink.take(false, Vec::new()).take(Output::Plaintext).unwrap()
        };
        let mut rendering = std::pin::pin!(rendering);
        let mut pieces = Pieces::new(&outlet, rendering.as_mut());
        let (mut text, mut numbers) = (Vec::new(), Vec::new());
        while let Some(mut piece) = pieces.next_piece() {
            let batch = piece.take(Output::Plaintext).unwrap();
            assert_eq!((batch.lines, told.get()), (3, 3 * batch.piece as i64 + 2), "no further than that");
            numbers.push(batch.piece);
            text.extend(batch.text);
            outlet.give(Vec::with_capacity(100));
        }
        let last = pieces.end();
        assert_eq!((numbers, last.piece, last.lines, last.more), (vec![0, 1, 2], 3, 1, false));
        text.extend(last.text);
        assert_eq!(text, (0..10).flat_map(|n| format!("a.x {n} 1\n").into_bytes()).collect::<Vec<u8>>());
    }
}
