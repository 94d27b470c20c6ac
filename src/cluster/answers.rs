//! Tells of every request to the API server what it was and how it was answered: of those that kube sends for a
//! watch as well as of ours.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use tower::Service;

/// Is told the method (`WATCH` is a GET that stays) and the HTTP status, None where there was no answer.
pub type OnAnswer = Arc<dyn Fn(&'static str, Option<u16>) + Send + Sync>;

/// The service that sends requests, and who is told.
pub(super) struct Told<S> {
    pub service: S,
    pub on_answer: OnAnswer,
}

impl<S, B, R> Service<Request<B>> for Told<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = method(&request);
        let on_answer = self.on_answer.clone();
        let tell = move |answer: &Result<S::Response, S::Error>| {
            on_answer(method, answer.as_ref().ok().map(|response| response.status().as_u16()));
        };
        self.service.call(request).inspect(tell).boxed()
    }
}

/// The methods that are used, as bounded words.
fn method<B>(request: &Request<B>) -> &'static str {
    let watches = |query: &str| query.split('&').any(|part| part == "watch=true");
    match *request.method() {
        Method::GET if request.uri().query().is_some_and(watches) => "WATCH",
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}
