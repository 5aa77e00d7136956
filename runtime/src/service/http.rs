//! Metrics and health over HTTP: GET requests flow in, plain text flows out (service.md 7).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::service::failure::{Failure, Kind};

/// Between two attempts to take a connection, where the first one failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The exposition format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens at `address`. Gives where that is, and the work of answering there, which has no end.
///
/// Errors: K0220 the address cannot be had.
pub async fn serve(
    address: SocketAddr,
    metrics: PrometheusHandle,
) -> Result<(SocketAddr, impl Future<Output = ()>), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Config, "K0220", format!("cannot listen on `{address}`: {error}"))
            .hint("choose another `http.listen`")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let answering = async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, metrics.clone()));
                    }
                    // Too many open files, for one: it passes.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    };
    Ok((address, answering))
}

async fn converse(stream: TcpStream, metrics: PrometheusHandle) {
    let service = service_fn(|request| {
        let answer = answer(&request, &metrics);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // A connection that breaks is the client's affair.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, metrics: &PrometheusHandle) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics.render()),
        // Both hold once this answers: configuration and state were opened before. A target that is
        // down is a metric, or restarts would storm.
        (&Method::GET, "/healthz" | "/readyz") => (StatusCode::OK, "ok\n".to_owned()),
        (&Method::GET, _) => (StatusCode::NOT_FOUND, "/metrics, /healthz or /readyz\n".to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(METRICS_TYPE));
    response
}
