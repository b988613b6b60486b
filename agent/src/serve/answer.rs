//! One request in, one response out: the list of paths.

use super::body::Pieces;
use super::{Ask, Health, Page, Part, Shared, Status};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::sync::OnceLock;
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::timeout;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

const INDEX: &str = include_str!("index.html");
const NOT_FOUND: &str =
    "not found; there are /metrics, /health, /health/live, /health/ready and /\n";
const NOT_ALLOWED: &str = "method not allowed; use GET or HEAD\n";

type Answer = Response<Pieces>;

/// Answers a request; `scrape` keeps a scrape's place until its connection ends.
pub(super) async fn answer<'a, B>(
    request: Request<B>,
    shared: &'a Shared,
    scrape: &OnceLock<SemaphorePermit<'a>>,
) -> Result<Answer, Infallible> {
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    Ok(match request.uri().path() {
        "/" | "/metrics" | "/health" | "/health/live" | "/health/ready" if !reading => {
            let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, NOT_ALLOWED);
            refusal
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refusal
        }
        "/" => page(StatusCode::OK, HTML, INDEX),
        "/metrics" => match metrics(accept(request.headers()), shared, scrape).await {
            Ok(Page { content_type, body }) => {
                respond(StatusCode::OK, content_type, Pieces::made(body))
            }
            Err(why) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, why + "\n"),
        },
        "/health" => {
            let health = health(shared).await;
            // A struct of strings always has a JSON form.
            let body = serde_json::to_vec(&health).unwrap_or_default();
            page(ok_if(health.status != Status::Failed), JSON, body)
        }
        "/health/live" => page(StatusCode::OK, TEXT, "ok\n"),
        "/health/ready" => {
            let why_not = health(shared).await.not_ready;
            page(
                ok_if(why_not.is_none()),
                TEXT,
                why_not.unwrap_or_else(|| "ready".to_owned()) + "\n",
            )
        }
        _ => page(StatusCode::NOT_FOUND, TEXT, NOT_FOUND),
    })
}

async fn metrics<'a>(
    accept: Option<String>,
    shared: &'a Shared,
    scrape: &OnceLock<SemaphorePermit<'a>>,
) -> Result<Page, String> {
    bounded(shared, async {
        if let Ok(place) = shared.scrapes.acquire().await {
            // Empty before, because a connection serves one request.
            let _ = scrape.set(place);
        }
        ask(shared, |reply| Ask::Metrics { accept, reply }).await
    })
    .await
}

/// The pipeline's own answer or, without one, that it is what failed.
async fn health(shared: &Shared) -> Health {
    bounded(shared, ask(shared, |reply| Ask::Health { reply }))
        .await
        .unwrap_or_else(|why| Health {
            status: Status::Failed,
            not_ready: Some(why.clone()),
            parts: vec![Part {
                name: "pipeline".to_owned(),
                status: Status::Failed,
                why,
            }],
        })
}

async fn ask<T>(
    shared: &Shared,
    question: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Result<T, String> {
    let stopped = || "the pipeline has stopped".to_owned();
    let (reply, answer) = oneshot::channel();
    shared
        .source
        .0
        .send(question(reply))
        .await
        .map_err(|_| stopped())?;
    answer.await.map_err(|_| stopped())
}

async fn bounded<T>(
    shared: &Shared,
    answer: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let limit = shared.limits.answer;
    timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(format!("the pipeline did not answer within {limit:?}")))
}

/// `Accept` may be sent in several lines, which mean the same as one.
fn accept(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn ok_if(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    respond(status, content_type, Pieces::whole(body.into()))
}

fn respond(status: StatusCode, content_type: &'static str, body: Pieces) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
