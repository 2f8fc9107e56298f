//! `ha simulate`: what would happen if.

use super::super::exit::Failure;
use super::super::text::{print, print_value, wrap};
use super::args::HaSimulate;
use crate::control::client::Client;
use crate::control::simulation::PairQuestion;
use crate::pair::{Forecast, Moment, OCCURRENCES, Occurrence, Whose};
use hyper::Method;
use std::fmt::Write;

pub(super) async fn run(client: &Client, ask: HaSimulate) -> Result<(), Failure> {
    if ask.list {
        return print(&list());
    }
    let happens: Vec<Occurrence> = ask.events.iter().filter_map(|word| Occurrence::named(word)).collect();
    let question = PairQuestion { pair: ask.pair, happens };
    let forecast: Forecast = client.change(Method::POST, "/v1/pairs/simulate", &question).await?;
    match ask.json {
        true => print_value(&forecast),
        false => print(&render(&forecast)),
    }
}

fn list() -> String {
    OCCURRENCES.iter().map(|(_, word, meaning)| format!("{word:<20} {meaning}\n")).collect()
}

fn render(f: &Forecast) -> String {
    let mut out = String::new();
    for m in &f.moments {
        let head = format!("+{:>7.1} s  {:<11}", seconds(m.after_ms), name(m));
        out += &wrap(&head, &m.what);
    }
    let _ = writeln!(out);
    let serving: Vec<&str> = f.end.serving.iter().map(|w| of(*w)).collect();
    let at_last = match serving.is_empty() {
        true => "nobody serves".to_owned(),
        false => format!("serving: {}", serving.join(" AND ")),
    };
    out += &wrap("in the end   ", &at_last);
    if f.both {
        out += &wrap("  ! ", "BOTH nodes would have the service up at some time");
    }
    for b in &f.end.blockers {
        out += &wrap("  ! ", &format!("{b} ({})", b.remedy()));
    }
    let state = |s: Option<crate::pair::State>| s.map_or("off".to_owned(), |s| s.name().to_owned());
    out += &wrap(
        "states       ",
        &format!("this node: {}; the other one: {}", state(f.end.this), state(f.end.other)),
    );
    out += &wrap("nobody serves", &format!("for {:.1} s", seconds(f.away_ms)));
    for text in &f.assumed {
        out += &wrap("assumed      ", text);
    }
    out
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

fn name(m: &Moment) -> &'static str {
    match m.whose {
        Whose::World => "",
        whose => of(whose),
    }
}

fn of(whose: Whose) -> &'static str {
    match whose {
        Whose::This => "this node",
        Whose::Other => "other node",
        Whose::World => "the world",
    }
}
