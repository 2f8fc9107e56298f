//! `health`: one line for each problem; the exit code says how bad it is.

use super::exit::Failure;
use super::text::print;
use super::text::print_value;
use crate::control::api::{Health, HealthLevel};
use crate::control::client::{Client, ClientError};

pub(super) async fn run(client: &Client, json: bool) -> Result<(), Failure> {
    let health = client.health().await.map_err(|e| match e {
        ClientError::NotReachable { .. } | ClientError::Refused { status: 503, .. } => Failure::NoDaemon(e),
        other => Failure::Client(other),
    })?;
    if json {
        print_value(&health)?;
    } else {
        print(&render(&health))?;
    }
    match health.level {
        HealthLevel::Ok => Ok(()),
        level => Err(Failure::Unwell(level)),
    }
}

/// Not broken into lines: scripts count them.
fn render(h: &Health) -> String {
    if h.problems.is_empty() {
        return "ok\n".to_owned();
    }
    h.problems.iter().map(|p| format!("{}: {}\n", p.level, p.text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::Problem;

    #[test]
    fn one_line_for_each_problem() {
        let problem = |level, text: &str| Problem { level, text: text.into() };
        let problems = vec![
            problem(HealthLevel::Failed, "resource fs is stuck: stop failed: busy"),
            problem(HealthLevel::Warning, "maintenance is on"),
        ];
        let h = Health { ok: false, level: HealthLevel::Failed, problems };
        assert_eq!(
            render(&h),
            "failed: resource fs is stuck: stop failed: busy\nwarning: maintenance is on\n"
        );
        assert_eq!(render(&Health { ok: true, level: HealthLevel::Ok, problems: vec![] }), "ok\n");
    }
}
