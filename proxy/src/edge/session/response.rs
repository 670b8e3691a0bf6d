//! The response of a request: how far it has come, and its bytes.

use std::future::poll_fn;

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    Method, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING},
};
use pingora::{
    Error, ErrorType, OrErr, Result,
    http::ResponseHeader,
    protocols::http::{HttpTask, custom::server::Session as _, date::get_cached_date},
};
use tokio::io::AsyncWriteExt;

use crate::{
    client_connection::SaidHead,
    edge::session::{Session, within},
    wire::response::{self, BodyLength},
};

/// Room for the head of a response that is written here.
const HEAD: usize = 1024;

const CLOSE: &[u8] = b"Connection: close\r\n";
const KEPT_OPEN: &[u8] = b"Connection: keep-alive\r\n";

/// How far the final response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Its head has not been written.
    Nothing,
    /// So many bytes are missing.
    Counted(u64),
    /// In chunks; the last one is missing.
    Chunked,
    /// Until the connection ends.
    UntilClose,
    /// It is whole.
    Whole,
    /// It was given up.
    Broken,
}

/// What is to be done when a head has been gathered.
#[derive(Debug)]
pub(crate) enum ThenSend {
    /// More is coming, to be sent with it.
    Nothing,
    /// It is sent.
    Head,
    /// It is sent with all of the body.
    All(Vec<Bytes>),
}

impl Session {
    /// Whether the connection ends with this response, as far as is known.
    pub(crate) fn will_end(&mut self) -> bool {
        let is_told = self.front.as_ref().is_some_and(|it| it.facts().aside.is_last());
        // What the client is still sending could not be told from its next request.
        self.is_last |= is_told || !self.is_body_over();
        self.is_last
    }

    /// Tells how the body of the final response is framed (RFC 9112 §6.3).
    fn framing_of(&self, status: StatusCode, length: BodyLength) -> Writing {
        let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if has_none || self.request.method == Method::HEAD {
            return Writing::Whole;
        }
        match length {
            BodyLength::Known(0) => Writing::Whole,
            BodyLength::Known(length) => Writing::Counted(length),
            BodyLength::Chunked => Writing::Chunked,
            BodyLength::UntilClose => Writing::UntilClose,
        }
    }

    /// Gathers the head of a response. Tells what is to be done next.
    pub(crate) fn put_head(&mut self, header: &mut ResponseHeader) -> Result<ThenSend> {
        if header.status.is_informational() {
            let mut head = BytesMut::with_capacity(HEAD);
            put_all(header, &mut head);
            self.put(&[&head])?;
            return Ok(ThenSend::Head);
        }
        let said = self.front()?.facts().aside.said().unwrap_or_default();
        let length = said.head.as_ref().map_or_else(|| length_in(header), |it| it.length);
        self.body = self.framing_of(header.status, length);
        self.is_last |= self.body == Writing::UntilClose;
        let is_last = self.will_end();
        let connection = if is_last { "close" } else { "keep-alive" };
        if let Some(SaidHead { bytes: head, .. }) = said.head {
            let line: &[u8] = if is_last { CLOSE } else { KEPT_OPEN };
            if response::has_date(&head) {
                self.put(&[&head, line, b"\r\n"])?;
            } else {
                let date = get_cached_date();
                self.put(&[&head, line, b"Date: ", date.as_bytes(), b"\r\n\r\n"])?;
            }
        } else {
            header.insert_header(DATE, get_cached_date())?;
            header.insert_header(CONNECTION, connection)?;
            let mut head = BytesMut::with_capacity(HEAD);
            put_all(header, &mut head);
            self.put(&[&head])?;
        }
        if let Some(all) = said.all {
            return Ok(ThenSend::All(all));
        }
        // What comes piece by piece begins at once.
        let is_counted = matches!(self.body, Writing::Counted(_));
        let is_gathered = is_counted || self.body == Writing::Whole;
        Ok(if is_gathered { ThenSend::Nothing } else { ThenSend::Head })
    }

    /// Puts what is to be sent behind what was gathered.
    fn put(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.is_flushed = false;
        self.front()?.put(parts);
        Ok(())
    }

    /// Sends what was gathered.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let limit = self.write_timeout;
        let flushed = self.front()?.flush();
        let flushed = within(limit, ErrorType::WriteTimedout, flushed).await?;
        self.is_flushed = flushed.is_ok();
        flushed.or_err(ErrorType::WriteError, "flushing")
    }

    /// Sends `bytes` behind what was gathered.
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.is_flushed = false;
        let limit = self.write_timeout;
        let front = self.front()?;
        let mut rest = bytes;
        let sent = poll_fn(|cx| front.poll_send_with(&mut rest, cx));
        within(limit, ErrorType::WriteTimedout, sent)
            .await?
            .or_err(ErrorType::WriteError, "writing")
    }

    /// Sends a piece of the body, or gathers it.
    pub(crate) async fn send_content(&mut self, data: &[u8]) -> Result<()> {
        match self.body {
            Writing::Counted(left) => {
                let length = usize::try_from(left).map_or(data.len(), |it| it.min(data.len()));
                let data = &data[..length];
                self.is_flushed = false;
                if !self.front()?.gather(&[data]) {
                    self.send(data).await?;
                }
                let left = left - length as u64;
                self.body = if left == 0 { Writing::Whole } else { Writing::Counted(left) };
                self.sent += length;
            }
            Writing::Chunked => {
                let size = format!("{:X}\r\n", data.len());
                self.is_flushed = false;
                if self.front()?.gather(&[size.as_bytes(), data, b"\r\n"]) {
                    self.flush().await?;
                } else {
                    self.put(&[size.as_bytes()])?;
                    self.send(data).await?;
                    self.put(&[b"\r\n"])?;
                }
                self.sent += data.len();
            }
            Writing::UntilClose => {
                self.send(data).await?;
                self.sent += data.len();
            }
            // Nothing belongs behind it.
            Writing::Nothing | Writing::Whole | Writing::Broken => {}
        }
        Ok(())
    }

    /// Ends the response.
    pub(crate) async fn end(&mut self) -> Result<()> {
        match self.body {
            Writing::Counted(_) => {
                self.body = Writing::Broken;
                // What there is of it.
                self.flush().await?;
                let missing = "the response is shorter than its head says";
                return Error::e_explain(ErrorType::InternalError, missing);
            }
            Writing::Chunked => {
                let said = self.front()?.facts().aside.said();
                let told = said.and_then(|it| it.last_chunk);
                self.put(&[told.as_deref().unwrap_or(b"0\r\n\r\n")])?;
            }
            Writing::Nothing | Writing::UntilClose | Writing::Whole | Writing::Broken => {}
        }
        self.flush().await?;
        if !matches!(self.body, Writing::Nothing | Writing::Broken) {
            self.body = Writing::Whole;
        }
        Ok(())
    }

    /// Carries out what Pingora's own path has for the client. Tells whether that was the end.
    pub(crate) async fn carry_out(&mut self, task: HttpTask) -> Result<bool> {
        let is_end = match task {
            HttpTask::Header(header, is_end) => {
                self.write_response_header(header, false).await?;
                is_end
            }
            HttpTask::Body(data, is_end) | HttpTask::UpgradedBody(data, is_end) => {
                self.send_content(&data.unwrap_or_default()).await?;
                is_end
            }
            HttpTask::Trailer(_) | HttpTask::Done => true,
            HttpTask::Failed(error) => {
                self.flush().await?;
                return Err(error);
            }
        };
        Ok(is_end)
    }
}

/// Returns how a head frames the body.
fn length_in(header: &ResponseHeader) -> BodyLength {
    if header.headers.contains_key(TRANSFER_ENCODING) {
        return BodyLength::Chunked;
    }
    let length = header.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    let length = length.and_then(|it| it.trim().parse().ok());
    length.map_or(BodyLength::UntilClose, BodyLength::Known)
}

/// Writes a head from the status line to the empty line.
fn put_all(header: &ResponseHeader, out: &mut BytesMut) {
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(header.status.as_str().as_bytes());
    out.put_slice(b" ");
    out.put_slice(header.get_reason_phrase().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    header.header_to_h1_wire(out);
    out.put_slice(b"\r\n");
}
