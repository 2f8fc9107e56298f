//! From a verdict to what it does to a priority.

use super::Verdict;

/// A file's value times weight below this is a FAULT, as in keepalived.
const FILE_FAULT: i32 = -253;

/// What a track does to one router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Added to the priority.
    pub delta: i32,
    /// Keeps the router in FAULT.
    pub fault: bool,
    /// False while the track is failed.
    pub ok: bool,
}

const NONE: Effect = Effect { delta: 0, fault: false, ok: true };

/// Weight 0: a failure is a FAULT. A positive weight is added while the track is up, a negative one taken away
/// while it is down. `reverse` swaps up and down. For a file the value times the weight counts; with weight 0
/// any value but 0 is a FAULT. Nothing is held against a track without a result.
pub fn effect(verdict: Verdict, weight: i16, reverse: bool) -> Effect {
    let weight = i32::from(weight);
    let up = match verdict {
        Verdict::Unknown => return NONE,
        Verdict::Value(value) => return file_effect(value, weight, reverse),
        Verdict::Up => !reverse,
        Verdict::Down => reverse,
    };
    match (weight, up) {
        (0, up) => Effect { delta: 0, fault: !up, ok: up },
        (w, true) => Effect { delta: w.max(0), fault: false, ok: true },
        (w, false) => Effect { delta: w.min(0), fault: false, ok: false },
    }
}

fn file_effect(value: i32, weight: i32, reverse: bool) -> Effect {
    if weight == 0 {
        let fault = (value != 0) != reverse;
        return Effect { delta: 0, fault, ok: !fault };
    }
    let product = value.saturating_mul(weight);
    let delta = if reverse { product.saturating_neg() } else { product };
    let fault = delta < FILE_FAULT;
    Effect { delta: if fault { 0 } else { delta }, fault, ok: delta >= 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_weights() {
        use Verdict::{Down, Unknown, Up, Value};
        let rows = [
            // verdict, weight, reverse -> delta, fault, ok
            (Up, 0, false, 0, false, true),
            (Down, 0, false, 0, true, false),
            (Up, 0, true, 0, true, false),
            (Down, 0, true, 0, false, true),
            (Up, 20, false, 20, false, true),
            (Down, 20, false, 0, false, false),
            (Up, -60, false, 0, false, true),
            (Down, -60, false, -60, false, false),
            (Up, -60, true, -60, false, false),
            (Down, 20, true, 20, false, true),
            (Unknown, 0, true, 0, false, true),
            (Unknown, -60, false, 0, false, true),
            (Value(0), 0, false, 0, false, true),
            (Value(3), 0, false, 0, true, false),
            (Value(0), 0, true, 0, true, false),
            (Value(10), 2, false, 20, false, true),
            (Value(-10), 2, false, -20, false, false),
            (Value(10), 2, true, -20, false, false),
            (Value(-253), 1, false, -253, false, false),
            (Value(-254), 1, false, 0, true, false),
            (Value(i32::MIN), 254, false, 0, true, false),
            (Value(i32::MIN), -254, true, 0, true, false),
        ];
        for (verdict, weight, reverse, delta, fault, ok) in rows {
            let expected = Effect { delta, fault, ok };
            assert_eq!(effect(verdict, weight, reverse), expected, "{verdict:?} {weight} {reverse}");
        }
    }
}
