//! What would happen to a pair if.

use super::server::{Backend, BackendError, Daemon, error};
use crate::pair::{Forecast, Occurrence};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// `POST /v1/pairs/simulate`: changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PairQuestion {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// What is to happen, in this order and at once; at least one, at most [`TOGETHER`].
    pub happens: Vec<Occurrence>,
}

/// More at once are refused.
pub const TOGETHER: usize = 16;

/// Its answer.
pub type Simulated = Result<Forecast, String>;

pub(super) async fn pair_simulate<B: Backend>(
    State(b): Daemon<B>,
    question: Result<Json<PairQuestion>, JsonRejection>,
) -> Response {
    let question = match question {
        Ok(Json(question)) => question,
        Err(e) => return error(e.status(), &e.body_text()),
    };
    if question.happens.is_empty() || question.happens.len() > TOGETHER {
        let text = format!("name what is to happen: 1 to {TOGETHER} things");
        return error(StatusCode::BAD_REQUEST, &text);
    }
    let answer: Result<Simulated, BackendError> = b.pair_simulate(question).await;
    match answer {
        Ok(Ok(forecast)) => Json(forecast).into_response(),
        Ok(Err(why)) => error(StatusCode::CONFLICT, &why),
        Err(e) => e.into_response(),
    }
}
