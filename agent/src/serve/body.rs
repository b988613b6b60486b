//! A response's body that is made while it is sent.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// Pieces of a body. It is always one ahead, so that a body of one piece is known to be no longer.
pub(super) struct Pieces {
    next: Option<Bytes>,
    later: Option<Bytes>,
    rest: Box<dyn Iterator<Item = Bytes> + Send>,
}

impl Pieces {
    /// A body that is there.
    pub(super) fn whole(body: Bytes) -> Self {
        Self {
            next: Some(body),
            later: None,
            rest: Box::new(std::iter::empty()),
        }
    }

    /// One that is not made yet. No piece but the first is empty.
    pub(super) fn made(mut rest: Box<dyn Iterator<Item = Bytes> + Send>) -> Self {
        Self {
            next: rest.next(),
            later: rest.next(),
            rest,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { next, later, rest } = &mut *self;
        let piece = std::mem::replace(next, later.take());
        if next.is_some() {
            *later = rest.next();
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let known_bytes = self.next.as_ref().map_or(0, |piece| piece.len() as u64);
        match self.later {
            None => SizeHint::with_exact(known_bytes),
            Some(_) => SizeHint::new(),
        }
    }
}
