//! A client of the API server that sends nothing outside of a term. What a pass has begun may lie in buffers, of HTTP
//! and of TLS, when the process is stopped in the middle of it; so the clock is looked at below all of them, right
//! before bytes are given to the kernel. What the kernel has by then is on the wire.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::Config;
use kube::client::{Body, ClientBuilder, ConfigExt};
use tokio::net::TcpStream;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_http::decompression::DecompressionLayer;

use super::answers::{OnAnswer, Told};
use super::term::Term;

/// As kube's own, but for the fence. No time-outs: whoever asks has one.
pub(super) fn client(config: &Config, term: Term, on_answer: &OnAnswer) -> kube::Result<kube::Client> {
    let mut plain = HttpConnector::new();
    plain.enforce_http(false);
    // A request that takes two packets would else wait for the server to confirm the first.
    plain.set_nodelay(true);
    plain.set_connect_timeout(config.connect_timeout);
    let fenced = plain.map_response(move |stream| Fenced { stream, term: term.clone() });
    let connector = config.rustls_https_connector_with_connector(fenced)?;
    let client: legacy::Client<_, Body> = legacy::Builder::new(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    let told = Told { service, on_answer: on_answer.clone() };
    Ok(ClientBuilder::new(told, config.default_namespace.clone()).build())
}

/// A connection that may be written to during the term.
struct Fenced {
    stream: TokioIo<TcpStream>,
    term: Term,
}

impl Fenced {
    fn writable(&mut self) -> io::Result<Pin<&mut TokioIo<TcpStream>>> {
        if self.term.is_running() { Ok(Pin::new(&mut self.stream)) } else { Err(io::Error::other("the term is over")) }
    }
}

impl Write for Fenced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writable()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writable()?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Read for Fenced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl Connection for Fenced {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}
