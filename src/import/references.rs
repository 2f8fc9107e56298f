//! `track_interface`, `track_script`, `track_process`, `track_file` and `track_bfd` in instances and groups.

use super::context::{Context, Named};
use super::features::{Feature, NOT_YET, has};
use super::settings::Weight;
use super::toml::quote;
use super::tree::Statement;

/// The keys, and what they refer to; interfaces need no definition.
const KEYS: [(&str, Option<Named>); 5] = [
    ("track_interface", None),
    ("track_script", Some(Named::Script)),
    ("track_process", Some(Named::Process)),
    ("track_file", Some(Named::File)),
    ("track_bfd", Some(Named::Bfd)),
];

/// Whose list it is.
pub(super) struct Owner<'t> {
    /// The instance's interface, which needs no tracking.
    pub(super) interface: Option<&'t str>,
    /// A member of a sync group whose weights do not count.
    pub(super) weightless: bool,
}

/// The weight in a track's own definition.
pub(super) fn own_weight(kind: Named, s: &Statement) -> Weight {
    let default = Weight { weight: i64::from(kind == Named::File), reverse: false };
    let Some(weight) = s.inner().iter().rfind(|i| i.keyword() == "weight") else { return default };
    let number = weight.value().and_then(|v| v.parse().ok()).unwrap_or(default.weight);
    Weight { weight: number, reverse: weight.values().iter().any(|w| w == "reverse") }
}

/// One of the lists; whether it was one.
pub(super) fn translate(context: &mut Context<'_>, s: &Statement, owner: &Owner<'_>) -> bool {
    let Some((key, kind)) = KEYS.iter().find(|(word, _)| *word == s.keyword()).copied() else { return false };
    if kind == Some(Named::Bfd) && !has(Feature::TrackBfd) {
        context.missing(s, NOT_YET);
        return true;
    }
    context.done(s);
    let mut seen: Vec<&str> = Vec::new();
    for item in s.inner() {
        let name = item.keyword();
        if seen.contains(&name) {
            context.differs(item, "is listed twice: once is in the result");
            continue;
        }
        seen.push(name);
        one(context, item, key, kind, owner);
    }
    true
}

fn one(context: &mut Context<'_>, s: &Statement, key: &'static str, kind: Option<Named>, owner: &Owner<'_>) {
    let original = s.keyword().to_owned();
    if kind.is_none() && owner.interface == Some(original.as_str()) {
        context.differs(
            s,
            "not needed: it is the instance's own interface, which keepalived does not track twice",
        );
        return;
    }
    if let Some(kind) = kind
        && !context.knows(kind, &original)
    {
        context.mistake(s, "is not defined; keepalived ignores it");
        return;
    }
    context.done(s);
    let own =
        kind.and_then(|k| context.settings.weights.get(&(k, original.clone())).copied()).unwrap_or_default();
    let written = words(context, s);
    let weight = written.weight.unwrap_or(own.weight);
    if owner.weightless && weight != 0 {
        context.differs(
            s,
            "is left out: keepalived ignores tracks with a weight in members of a sync group (unless \
             sync_group_tracking_weight is set)",
        );
        return;
    }
    let name = kind.map_or_else(|| original.clone(), |k| context.name(k, &original));
    let mut fields = vec![format!("name = {}", quote(&name))];
    if let Some(weight) = written.weight {
        fields.push(format!("weight = {}", clamp(context, s, weight)));
    }
    if written.reverse.unwrap_or(own.reverse) {
        fields.push("reverse = true".to_owned());
    }
    let text = if fields.len() == 1 { quote(&name) } else { format!("{{ {} }}", fields.join(", ")) };
    context.push(key, text, s);
}

/// tandemd's weights end at 254, which no priority can exceed.
pub(super) fn clamp(context: &mut Context<'_>, s: &Statement, weight: i64) -> i64 {
    let fitting = weight.clamp(-254, 254);
    if fitting != weight {
        context.differs(s, format!("weight {weight} becomes {fitting}: a priority has no more steps"));
    }
    fitting
}

struct Written {
    weight: Option<i64>,
    reverse: Option<bool>,
}

/// `weight N`, `reverse`, `noreverse`.
fn words(context: &mut Context<'_>, s: &Statement) -> Written {
    let mut written = Written { weight: None, reverse: None };
    let mut rest = s.values().iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "weight" => match rest.next().map(|w| w.parse::<i64>()) {
                Some(Ok(weight)) => written.weight = Some(weight),
                _ => context.mistake(s, "its weight is not a number; keepalived takes the default"),
            },
            "reverse" => written.reverse = Some(true),
            "noreverse" | "no_reverse" => written.reverse = Some(false),
            _ => context.mistake(s, "has a word that keepalived does not know here and ignores"),
        }
    }
    written
}
