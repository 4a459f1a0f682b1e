//! What was found out about an API at run time.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// The fact that says that conversations are to be fetched again and are not marked yet.
const REFETCH_OWED: &str = "refetch_owed";

/// What was found out about an API at run time, remembered in the store between passes.
///
/// Values are small JSON texts under names such as `timezone` or `pagination`.
#[derive(Debug, Default)]
pub struct Facts(Mutex<FactsInner>);

#[derive(Debug, Default)]
struct FactsInner {
    known: BTreeMap<String, String>,
    fresh: BTreeMap<String, String>,
}

impl Facts {
    /// Starts with what the store remembers.
    #[must_use]
    pub fn new(known: BTreeMap<String, String>) -> Self {
        Self(Mutex::new(FactsInner { known, fresh: BTreeMap::new() }))
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, FactsInner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What is known under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.inner().known.get(name).cloned()
    }

    /// Remembers a value; it reaches the store with the next commit.
    pub fn set(&self, name: &str, value: impl Into<String>) {
        let value = value.into();
        let mut inner = self.inner();
        if inner.known.get(name) != Some(&value) {
            inner.known.insert(name.to_owned(), value.clone());
            inner.fresh.insert(name.to_owned(), value);
        }
    }

    /// What is about to be learnt makes every conversation worth fetching again. To be said *before* the fact itself is
    /// set: facts reach the store with whichever commit is next, and a process that dies between that commit and the
    /// one that marks the conversations must find the debt.
    pub fn owe_refetch(&self) {
        self.set(REFETCH_OWED, "1");
    }

    /// Whether conversations are still to be marked for fetching again.
    #[must_use]
    pub fn owes_refetch(&self) -> bool {
        self.get(REFETCH_OWED).as_deref() == Some("1")
    }

    /// The facts to be stored together with the marks; from now on nothing is owed.
    #[must_use]
    pub fn pay_refetch(&self) -> (String, String) {
        let mut inner = self.inner();
        inner.fresh.remove(REFETCH_OWED);
        inner.known.insert(REFETCH_OWED.to_owned(), "0".to_owned());
        (REFETCH_OWED.to_owned(), "0".to_owned())
    }

    /// Takes a debt out of facts that were taken before it was paid.
    pub fn forget_paid(&self, taken: &mut BTreeMap<String, String>) {
        if !self.owes_refetch() && taken.get(REFETCH_OWED).is_some_and(|owed| owed == "1") {
            taken.remove(REFETCH_OWED);
        }
    }

    /// Takes what was learnt since the last call, to be stored.
    #[must_use]
    pub fn take_fresh(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.inner().fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_reaches_the_store_no_later_than_the_fact_behind_it_and_is_paid_once() {
        let facts = Facts::default();
        facts.owe_refetch();
        assert!(facts.owes_refetch());
        facts.set("threads", "omitted");
        let mut taken = facts.take_fresh();
        assert_eq!(taken.get(REFETCH_OWED).map(String::as_str), Some("1"));
        facts.forget_paid(&mut taken);
        assert!(taken.contains_key(REFETCH_OWED), "still owed");
        assert_eq!(facts.pay_refetch(), (REFETCH_OWED.to_owned(), "0".to_owned()));
        facts.forget_paid(&mut taken);
        assert_eq!(taken.into_keys().collect::<Vec<_>>(), ["threads"]);
        assert!(!facts.owes_refetch() && facts.take_fresh().is_empty());
        facts.owe_refetch();
        assert!(facts.owes_refetch(), "a second discovery is a second debt");
    }
}
