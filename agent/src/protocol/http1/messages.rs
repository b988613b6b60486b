//! The life of a message: how it begins, what its head changes, how it ends.

use super::head::{self, Body, Filled, RequestHead, ResponseHead};
use super::place::{Moved, Place, missing, parsed};
use super::{Emit, Mode, OPEN_REQUESTS_MAX, Reader, recognise};
use crate::protocol::{
    Consumed, Loss, Message, Method, Piece, Recognition, Request, Response, Speaker, Step,
};

impl Reader {
    pub(super) fn begin_message(
        &mut self,
        speaker: Speaker,
        rest: Piece<'_>,
        emit: &mut Emit<'_>,
    ) -> Consumed {
        if let Piece::Lost(_) = rest {
            // How many messages this was is for the connection's turns to tell.
            self.lose(speaker, Loss::Gap, emit);
            return Consumed::default();
        }
        if let Piece::Bytes(bytes) = rest {
            // Empty lines before a request are ignored (section 2.2); so is what old servers put
            // behind a response.
            let empty = bytes
                .iter()
                .take_while(|&byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if empty > 0 {
                return parsed(empty);
            }
        }
        match speaker {
            Speaker::Client => self.begin_request(emit),
            Speaker::Server => self.begin_response(),
        }
        if self.is_joined && self.is_asked_ahead() {
            // Then answers to requests of before may be on their way too.
            self.pipelines = true;
            self.lose(speaker, Loss::Unseen, emit);
            return Consumed::default();
        }
        self.read_head(speaker, rest, emit)
    }

    fn begin_request(&mut self, emit: &mut Emit<'_>) {
        let ends_here = self.response.place == Place::UntilNext && self.open.len() <= 1;
        if ends_here || (self.is_unasked && self.response.is_in_body()) {
            self.end_response(Step::ResponseEndedBefore, emit);
        }
        if self.response.place == Place::Unknown {
            self.response.place = Place::Between;
        }
        self.request.place = Place::Head;
        tell(Step::RequestStarted, emit);
    }

    /// Is a request answered while another one has begun? As long as nothing is answered, the answer that is missing may
    /// have been lost, which is not known before the server speaks again.
    fn is_asked_ahead(&self) -> bool {
        let has_begun = self.request.place == Place::Head && !self.is_told;
        self.response.place != Place::Between && self.open.len() + usize::from(has_begun) > 1
    }

    fn begin_response(&mut self) {
        let is_head_unanswered = self.request.place == Place::Head && !self.is_told;
        self.is_unasked = self.open.is_empty() && !is_head_unanswered;
        self.response.place = Place::Head;
    }

    pub(super) fn read_head(
        &mut self,
        speaker: Speaker,
        rest: Piece<'_>,
        emit: &mut Emit<'_>,
    ) -> Consumed {
        let read = match rest {
            Piece::Bytes(bytes) => self.read_head_bytes(speaker, bytes, emit),
            Piece::Unseen(_) | Piece::Lost(_) => Err(missing(rest)),
        };
        match read {
            Ok(taken) => parsed(taken),
            Err(loss) => {
                self.lose(speaker, loss, emit);
                Consumed::default()
            }
        }
    }

    /// Takes a head, or as much of it as there is, and says how many bytes that was.
    fn read_head_bytes(
        &mut self,
        speaker: Speaker,
        bytes: &[u8],
        emit: &mut Emit<'_>,
    ) -> Result<usize, Loss> {
        if self.side(speaker).buffer.bytes.is_empty() {
            self.check_opening(speaker, bytes)?;
            // Nearly every head comes whole: then it is read where it lies.
            if let Some(taken) = self.take_head(speaker, bytes, emit)? {
                return Ok(taken);
            }
        }
        match self.side(speaker).buffer.fill(bytes) {
            Filled::TooLarge => Err(Loss::TooLarge),
            Filled::More => self.check_buffered_opening(speaker).map(|()| bytes.len()),
            Filled::Complete(taken) => {
                let head = std::mem::take(&mut self.side(speaker).buffer.bytes);
                let result = self
                    .check_opening(speaker, &head)
                    .and_then(|()| self.take_head(speaker, &head, emit));
                let is_whole = result? == Some(head.len());
                self.side(speaker).buffer.reset(head);
                if is_whole {
                    Ok(taken)
                } else {
                    Err(Loss::Malformed)
                }
            }
        }
    }

    /// Finds out at its first bytes that this is no head, rather than at the limit.
    fn check_opening(&self, speaker: Speaker, opening: &[u8]) -> Result<(), Loss> {
        let is_wrong = match speaker {
            Speaker::Client if self.is_anchored => recognise::is_no_request(opening),
            _ => recognise::recognise(speaker, opening) == Recognition::No,
        };
        if is_wrong {
            Err(Loss::Malformed)
        } else {
            Ok(())
        }
    }

    fn check_buffered_opening(&mut self, speaker: Speaker) -> Result<(), Loss> {
        let head = std::mem::take(&mut self.side(speaker).buffer.bytes);
        let result = self.check_opening(speaker, &head);
        self.side(speaker).buffer.bytes = head;
        result
    }

    /// Reads the head that `bytes` begins with; `None` if it is not complete.
    fn take_head(
        &mut self,
        speaker: Speaker,
        bytes: &[u8],
        emit: &mut Emit<'_>,
    ) -> Result<Option<usize>, Loss> {
        match speaker {
            Speaker::Client => {
                let Some((taken, head)) = head::request(bytes)? else {
                    return Ok(None);
                };
                self.take_request(head, emit)?;
                Ok(Some(taken))
            }
            Speaker::Server => {
                let Some((taken, head)) = head::response(bytes)? else {
                    return Ok(None);
                };
                self.take_response(head, emit)?;
                Ok(Some(taken))
            }
        }
    }

    fn take_request(&mut self, head: RequestHead<'_>, emit: &mut Emit<'_>) -> Result<(), Loss> {
        let body = head.body;
        self.is_anchored = true;
        if !std::mem::take(&mut self.is_told) {
            if self.open.len() >= OPEN_REQUESTS_MAX {
                return Err(Loss::TooLarge);
            }
            let kind = tell_request(&head, emit);
            self.open.push_back(kind);
        }
        if !self.request.enter(body) {
            tell(Step::RequestEnded, emit);
        }
        Ok(())
    }

    /// The request whose head is under way is being answered: tells what is known of it.
    fn tell_unfinished_request(&mut self, emit: &mut Emit<'_>) {
        let head = head::unfinished_request(&self.request.buffer.bytes);
        self.is_told = true;
        let kind = tell_request(&head, emit);
        self.open.push_back(kind);
    }

    fn take_response(&mut self, head: ResponseHead, emit: &mut Emit<'_>) -> Result<(), Loss> {
        // A request got in between this head's pieces: which of the two it answers cannot be told.
        if self.is_unasked && !self.open.is_empty() {
            return Err(Loss::Malformed);
        }
        self.pipelines |= self.open.len() > 1;
        if head.is_interim() {
            self.response.place = Place::Between;
            return Ok(());
        }
        if !self.is_unasked && self.open.is_empty() {
            self.tell_unfinished_request(emit);
        }
        let method = if self.is_unasked {
            None
        } else {
            self.open.front().copied()
        };
        let is_upgrade = head.is_upgrade(method);
        let body = if is_upgrade {
            Body::None
        } else {
            head.body(method)?
        };
        tell(Step::ResponseStarted, emit);
        tell(
            Step::Response(Response::Http {
                status: head.status,
            }),
            emit,
        );
        if !self.response.enter(body) {
            self.end_response(Step::ResponseEnded, emit);
        }
        if is_upgrade {
            tell(Step::Upgraded, emit);
            *self = self.anew(Mode::Opaque);
        }
        Ok(())
    }

    pub(super) fn read_body(
        &mut self,
        speaker: Speaker,
        rest: Piece<'_>,
        emit: &mut Emit<'_>,
    ) -> Consumed {
        let (consumed, moved) = self.side(speaker).read_body(rest);
        match (moved, speaker) {
            (Moved::On, _) => {}
            (Moved::Ended, Speaker::Client) => {
                self.request.place = Place::Between;
                tell(Step::RequestEnded, emit);
            }
            (Moved::Ended, Speaker::Server) => {
                let step = match rest {
                    Piece::Bytes(_) | Piece::Unseen(_) => Step::ResponseEnded,
                    Piece::Lost(_) => Step::ResponseEndLost,
                };
                self.end_response(step, emit);
            }
            // The chunks are lost sight of, but what is answered is known, and the next request will
            // tell that the answer has ended.
            (Moved::Blind(_), Speaker::Server) if self.is_response_the_last() => {
                self.response.place = Place::UntilNext;
            }
            (Moved::Blind(loss) | Moved::Broken(loss), _) => self.lose(speaker, loss, emit),
        }
        consumed
    }

    /// Is no request waiting, or on its way, behind the response under way?
    fn is_response_the_last(&self) -> bool {
        let requests = self.open.len() + usize::from(self.request.place == Place::Head);
        requests == usize::from(!self.is_unasked)
    }

    pub(super) fn end_response(&mut self, step: Step<'_>, emit: &mut Emit<'_>) {
        tell(step, emit);
        if !self.is_unasked {
            self.open.pop_front();
        }
        self.is_unasked = false;
        self.response.place = Place::Between;
    }
}

/// Tells a request; what is left to know is how its response is framed.
fn tell_request(head: &RequestHead<'_>, emit: &mut Emit<'_>) -> Method {
    tell(Step::Request(request(head)), emit);
    head.kind
}

pub(super) fn request<'a>(head: &RequestHead<'a>) -> Request<'a> {
    let RequestHead {
        method,
        target,
        host,
        version,
        kind,
        body: _,
    } = *head;
    Request::Http {
        method,
        kind,
        target,
        host,
        version,
    }
}

/// Order decides which response belongs to which request, so the stream is 0.
pub(super) fn tell(step: Step<'_>, emit: &mut Emit<'_>) {
    emit(Message { stream: 0, step });
}
