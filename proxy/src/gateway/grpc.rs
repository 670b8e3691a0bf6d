//! gRPC at the gateway: how long a call may take, and how the proxy's own errors are said.

use std::time::Duration;

use pingora::{Result, http::ResponseHeader, protocols::http::ServerSession};

use crate::{
    exchange::request::{Call, RequestContext},
    gateway::reply::Reply,
    wire::grpc,
};

/// Notes that a request is a call, if it is one, and by when its client wants an answer. `timeout` is
/// the route's.
pub(crate) fn note(session: &ServerSession, timeout: Duration, ctx: &mut RequestContext) {
    let request = session.req_header();
    if !session.is_http2() || !grpc::is_grpc(&request.headers) {
        return;
    }
    let wanted = request.headers.get(grpc::TIMEOUT).and_then(|it| grpc::timeout(it.as_bytes()));
    let latest = wanted.map(|wanted| ctx.began + wanted);
    ctx.deadline = latest.map_or(ctx.deadline, |latest| ctx.deadline.min(latest));
    ctx.call = Some(Call { timeout, latest, meant: None });
}

/// Sends an answer of the proxy's own, in the client's terms. Nothing is sent when a response has
/// already begun.
pub(crate) async fn answer(
    reply: &Reply,
    session: &mut ServerSession,
    ctx: &mut RequestContext,
) -> Result<()> {
    ctx.answering();
    let is_grpc = grpc::is_grpc(&session.req_header().headers);
    if let (true, ServerSession::H2(stream)) = (is_grpc, &mut *session) {
        if stream.response_written().is_some() {
            return Ok(());
        }
        if let Some(call) = &mut ctx.call {
            call.meant = Some(reply.status);
        }
        let mut header = trailers_only(reply, &ctx.request_id)?;
        for (name, value) in &ctx.additions {
            header.append_header(name, value)?;
        }
        return stream.write_response_header(Box::new(header), true);
    }
    reply.send_with(&ctx.additions, session, &ctx.request_id).await
}

/// Builds a response that is nothing but its trailers, in the place of the head.
fn trailers_only(reply: &Reply, request_id: &str) -> Result<ResponseHeader> {
    let mut header = ResponseHeader::build(200, Some(5))?;
    header.insert_header("Content-Type", "application/grpc")?;
    header.insert_header(grpc::STATUS, grpc::status_of_http(reply.status).to_string())?;
    header.insert_header(grpc::MESSAGE, grpc::message(&reply.message))?;
    header.insert_header("X-Request-Id", request_id)?;
    Ok(header)
}
