//! Finding cycles in dependencies, and an order in which everything comes after what it needs.

use super::types::Name;
use std::collections::BTreeMap;

/// Resources and what each needs.
pub(super) type Needs = BTreeMap<Name, Vec<Name>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// On the way to the current one.
    Open,
    /// Done with.
    Closed,
}

#[derive(Default)]
struct Walk {
    marks: BTreeMap<Name, Mark>,
    order: Vec<Name>,
    cycles: Vec<Vec<Name>>,
}

/// All names of `first` and of `needs`, each after what it needs and otherwise as in `first`; or the cycles, each as
/// a way round that ends where it begins.
pub(super) fn order(first: &[Name], needs: &Needs) -> Result<Vec<Name>, Vec<Vec<Name>>> {
    let mut walk = Walk::default();
    for name in first.iter().chain(needs.keys()) {
        walk.visit(name, needs);
    }
    if walk.cycles.is_empty() { Ok(walk.order) } else { Err(walk.cycles) }
}

impl Walk {
    /// Depth first, with a stack of its own: a chain may be longer than a thread's stack is deep.
    fn visit(&mut self, start: &Name, needs: &Needs) {
        if self.marks.contains_key(start) {
            return;
        }
        let below = |name: &Name| needs.get(name).map_or(&[][..], Vec::as_slice).iter();
        let mut path = vec![(start.clone(), below(start))];
        self.marks.insert(start.clone(), Mark::Open);
        while let Some((name, rest)) = path.last_mut() {
            let Some(next) = rest.next() else {
                self.marks.insert(name.clone(), Mark::Closed);
                self.order.push(name.clone());
                path.pop();
                continue;
            };
            match self.marks.get(next) {
                Some(Mark::Closed) => {}
                Some(Mark::Open) => {
                    let way = path.iter().map(|(n, _)| n).skip_while(|n| *n != next);
                    self.cycles.push(way.chain([next]).cloned().collect());
                }
                None => {
                    self.marks.insert(next.clone(), Mark::Open);
                    path.push((next.clone(), below(next)));
                }
            }
        }
    }
}
