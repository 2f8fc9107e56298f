//! How many warnings become events: the log has all of them.

use crate::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// Of one instance, in each hour.
const WARNINGS: u32 = 10;
const HOUR: Duration = Duration::from_secs(3600);

/// What was used up, by instance: since when its hour runs, and how many.
#[derive(Clone, Debug, Default)]
pub(super) struct Quota(BTreeMap<String, (Instant, u32)>);

impl Quota {
    /// Whether one more is within the quota; counts it.
    pub(super) fn allows(&mut self, instance: &str, now: Instant) -> bool {
        self.0.retain(|_, (begun, _)| now.since(*begun) < HOUR);
        let (_, used) = self.0.entry(instance.to_owned()).or_insert((now, 0));
        *used = used.saturating_add(1);
        *used <= WARNINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_has_its_own_hour() {
        let mut q = Quota::default();
        let begin = Instant::ZERO;
        let allowed = |q: &mut Quota, name: &str, at| (0..100).filter(|_| q.allows(name, at)).count();
        assert_eq!(allowed(&mut q, "a", begin), 10);
        assert_eq!(allowed(&mut q, "a", begin + HOUR / 2), 0);
        assert_eq!(allowed(&mut q, "b", begin + HOUR / 2), 10);
        assert_eq!(allowed(&mut q, "a", begin + HOUR), 10);
        assert_eq!(q.0.len(), 2);
        assert_eq!(allowed(&mut q, "c", begin + 10 * HOUR), 10);
        assert_eq!(q.0.len(), 1, "what is over is forgotten");
    }
}
