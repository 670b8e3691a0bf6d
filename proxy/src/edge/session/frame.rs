//! What Pingora's frame asks of a session.

use std::{future::poll_fn, io, time::Duration};

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http::HeaderMap;
use pingora::{
    Error, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::{
        Digest,
        http::{
            HttpTask,
            custom::{CustomMessageWrite, server::Session as CustomSession},
        },
        l4::socket::SocketAddr,
    },
};
use tokio::time::timeout;

use crate::edge::session::{
    Session,
    response::{ThenSend, Writing},
    within,
};

#[async_trait]
impl CustomSession for Session {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        let limit = self.read_timeout;
        let front = self.front()?;
        let read = poll_fn(|cx| front.poll_content(cx));
        let read = within(limit, ErrorType::ReadTimedout, read).await?;
        let read = read.map_err(|error| {
            let is_cut = error.kind() == io::ErrorKind::UnexpectedEof;
            let kind = if is_cut { ErrorType::ConnectionClosed } else { ErrorType::ReadError };
            Error::because(kind, "reading the body", error)
        })?;
        if let Some(content) = &read {
            self.read += content.len();
            if let Some(kept) = &mut self.kept {
                kept.take(content);
            }
        }
        Ok(read)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        let limit = self.drain_timeout;
        let drained = async {
            while self.read_body_bytes().await?.is_some() {}
            Ok(())
        };
        match limit {
            None => drained.await,
            Some(limit) => Box::pin(timeout(limit, drained)).await.unwrap_or_else(|_| {
                Error::e_explain(ErrorType::ReadTimedout, "the rest of the body came too slowly")
            }),
        }
    }

    async fn write_response_header(
        &mut self,
        mut header: Box<ResponseHeader>,
        end: bool,
    ) -> Result<()> {
        if self.body != Writing::Nothing {
            // There is one already.
            return Ok(());
        }
        let then = self.put_head(&mut header)?;
        self.written = Some(header);
        match then {
            ThenSend::All(all) => {
                for piece in &all {
                    self.send_content(piece).await?;
                }
                self.end().await
            }
            ThenSend::Nothing | ThenSend::Head if end => self.end().await,
            ThenSend::Nothing => Ok(()),
            ThenSend::Head => self.flush().await,
        }
    }

    async fn write_response_header_ref(
        &mut self,
        header: &ResponseHeader,
        end: bool,
    ) -> Result<()> {
        self.write_response_header(Box::new(header.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        if !data.is_empty() {
            self.send_content(&data).await?;
        }
        if end { self.end().await } else { Ok(()) }
    }

    /// What there is of trailers is told past Pingora.
    async fn write_trailers(&mut self, _: HeaderMap) -> Result<()> {
        Ok(())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut is_end = false;
        for task in tasks {
            is_end = self.carry_out(task).await.map_err(Error::into_down)?;
        }
        if is_end {
            self.end().await.map_err(Error::into_down)?;
        } else {
            self.flush().await.map_err(Error::into_down)?;
        }
        Ok(is_end || self.body == Writing::Whole)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.drain_timeout = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.drain_timeout
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.request.method, self.request.uri)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        self.is_last = true;
        if self.body != Writing::Whole {
            self.body = Writing::Broken;
        }
    }

    fn is_body_done(&mut self) -> bool {
        self.is_body_over()
    }

    async fn finish(&mut self) -> Result<()> {
        self.end().await
    }

    fn is_body_empty(&mut self) -> bool {
        !self.has_body
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_over() {
            return self.gone().await;
        }
        self.read_body_bytes().await
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.read
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        let mut head = BytesMut::new();
        head.put_slice(self.request.method.as_str().as_bytes());
        head.put_slice(b" ");
        head.put_slice(self.request.raw_path());
        head.put_slice(b" HTTP/1.1\r\n");
        self.request.header_to_h1_wire(&mut head);
        head.put_slice(b"\r\n");
        head.freeze()
    }

    fn enable_retry_buffering(&mut self) {
        self.kept.get_or_insert_default();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.kept.as_ref().is_some_and(|it| it.is_truncated)
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        let kept = self.kept.as_ref().filter(|it| !it.is_truncated && !it.bytes.is_empty())?;
        Some(kept.bytes.clone().freeze())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
